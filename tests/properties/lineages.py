"""Sessions as the design describes them, without a table: what each presentation of each token must come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Comes(Enum):
    """What a presented refresh token comes to."""

    DEAD = "refused, and nothing changes"
    TURNS = "a new successor"
    ITSELF = "the token that was presented"
    REPEATS = "the successor that was answered before"
    LATE = "a new successor, although the one of before was answered and never used"
    THEFT = "refused, and the session is over"

    @property
    def answered(self) -> bool:
        """Whether the presenter is logged in."""
        return self not in {Comes.DEAD, Comes.THEFT}


@dataclass(eq=False)
class Owner:
    """An account, by its owner."""

    sub: str
    email: str
    password: str
    epoch: int = 0
    disabled: bool = False


@dataclass(frozen=True)
class Issued:
    """An access token."""

    text: str
    expires_at: int
    epoch: int


@dataclass(eq=False)
class Lineage:
    """One session: its refresh tokens by generation, and who has which of them."""

    person: Owner
    sid: str
    epoch: int
    rotated_at: int
    idle_expires_at: int
    absolute_expires_at: int
    tokens: dict[int, str] = field(default_factory=dict)  # those that were ever handed out
    access: list[Issued] = field(default_factory=list)
    held: int = 0  # the generation that the table holds
    floor: int = 0  # what is older was renewed since
    late_base: int | None = None  # the generation that the last turn answered late, until the held token turns
    late_at: list[int] = field(default_factory=list)
    jar: int = 0  # the generation that the honest client has
    device_token: str = ""  # what the honest client's device is known by
    late: list[int] = field(default_factory=list)  # generations in its requests that are still on their way
    stolen: set[int] = field(default_factory=set)  # generations that a thief has
    robbed: bool = False  # a thief has used one
    unseen: bool = False  # the thief's last turn left no trace yet
    thief_was_answered: bool = False  # by the last turn
    ended: bool = False  # by logout, by the end of one session, by theft

    def lives(self, now: int) -> bool:
        """Whether it is accepted: neither ended, nor of an epoch that is over, nor over a limit."""
        limit = min(self.idle_expires_at, self.absolute_expires_at)
        return not (self.ended or self.person.disabled) and self.epoch == self.person.epoch and now < limit

    def accepts(self, issued: Issued, now: int) -> bool:
        """Whether the authorizer lets the bearer of the access token in."""
        return not self.ended and issued.epoch == self.person.epoch and now < issued.expires_at

    def predict(self, generation: int, now: int, window: int, *, own_device: bool) -> Comes:
        """What presenting the token of this generation comes to (design, section 3, Rotation)."""
        inside = self.held > 0 and now - self.rotated_at <= window
        if not self.lives(now) or generation < self.floor:
            return Comes.DEAD
        if generation == self.held:
            return Comes.ITSELF if inside else Comes.TURNS
        if generation == self.held - 1:
            if inside:
                return Comes.REPEATS
            return Comes.LATE if own_device and self.late_base is None else Comes.THEFT
        if generation == self.late_base:
            return Comes.REPEATS if own_device else Comes.THEFT
        return Comes.THEFT

    def turn(self, now: int, idle: int, late_base: int | None = None) -> None:
        """The key was turned, by the held token or, late, for the token of `late_base`."""
        self.held += 1
        self.late_base = late_base
        self.rotated_at, self.idle_expires_at = now, now + idle
        if late_base is not None:
            self.late_at.append(now)

    def renew(self, now: int, idle: int) -> None:
        """Its credentials were renewed, and the client has the next one."""
        self.turn(now, idle)
        self.floor = self.jar = self.held
        self.thief_was_answered = False

    def keeps_its_promise(self, generation: int, now: int, window: int) -> bool:
        """Whether an honest client's token of this generation has to be answered: no thief was here."""
        if self.robbed or not self.lives(now):
            return False
        return self.predict(generation, now, window, own_device=True).answered

    def may_go_on(self) -> bool:
        """Whether an honest client would refresh now: its requests with older tokens have arrived."""
        return all(generation == self.jar for generation in self.late)
