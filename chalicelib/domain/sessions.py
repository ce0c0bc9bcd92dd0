"""Sessions, and what a client holds of one. Pure, frozen; times are whole seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport


LONGEST_SESSION = 400 * 86400  # seconds: browsers keep no cookie longer, and no setting admits more
USER_AGENT_BYTES = 160  # that a session keeps of the login's user agent


class Session(NamedTuple):
    """One login on one device, and the generation of refresh token that it holds. domain/rotation.py draws the line.

    `digest` is SHA-256 of the held generation's secret. `wrapped` is that secret, encrypted under its predecessor's:
    whoever presents the predecessor inside the rotation window is answered with the same successor. `key_id` names the
    root secret that authenticates the held token, so that the same successor is the same string across key rotation.
    Tokens of a generation under `floor` are dead: the session's credentials were renewed since.

    `device` is the id that the login's answer issued to its device (16 bytes; empty where the session has none). A late
    answer turns the key for that device: `late_base` is the generation that was answered late, `late_wrapped` the held
    secret, encrypted under that generation's, and `late_at` are the times of the last two late answers.

    `address` and `user_agent` are the login's. `answered` stands for those that the last turn was answered to
    (`answered_to` in crypto/refresh_tokens.py), so that nothing here tells its owner's list when the key was turned.

    With transport `session` there is no refresh token: the cookie's secret is of `generation`, which a renewal alone
    raises, nothing is wrapped, and `used_at` is the last use, to the minute.
    """

    sub: str
    sid: str
    generation: int
    digest: bytes
    wrapped: bytes
    key_id: str
    epoch: int
    created_at: int
    rotated_at: int
    idle_expires_at: int
    absolute_expires_at: int
    transport: Transport
    auth_time: int
    amr: tuple[str, ...]
    address: str
    user_agent: str
    answered: bytes = b""
    floor: int = 0
    device: bytes = b""
    late_base: int | None = None
    late_wrapped: bytes = b""
    late_at: tuple[int, ...] = ()
    used_at: int = 0

    @property
    def last_used_at(self) -> int:
        """The last use that is known: a turn, a renewal, or the note of a session cookie's use.

        Of a refresh token no use is noted: a note in its session has been written by somebody else.
        """
        return max(self.rotated_at, self.used_at) if self.transport == "session" else self.rotated_at

    def ends_at(self, now: int) -> int:
        """When the session ends if it is not used again: at the first of its limits.

        It ends as long after its last use as it was given at its last turn. A note of a use that is still to come
        counts as a use of now: its writer may move no limit further than a use does.
        """
        last_used_at = min(self.last_used_at, max(self.rotated_at, now))
        return min(last_used_at + self.idle_expires_at - self.rotated_at, self.absolute_expires_at)

    def lives(self, epoch: int, now: int) -> bool:
        """Whether the session is accepted: of this account's epoch, and within both limits (ASVS V7.3.1, V7.3.2)."""
        return self.epoch == epoch and now < self.ends_at(now)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a genuine refresh token says."""

    sub: str
    sid: str
    generation: int
    secret: bytes = field(repr=False)


class Device(NamedTuple):
    """A device that has logged in to the account while it was of this epoch. `id` is random (base64url)."""

    id: str
    epoch: int
