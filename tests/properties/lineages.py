"""Sessions as the design describes them, without a table: what each presentation of each token must come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Comes(Enum):
    """What a presented refresh token comes to."""

    DEAD = "refused, and nothing changes"
    TURNS = "a new successor"
    REPEATS = "the successor that was answered before"
    THEFT = "refused, and the session is over"


@dataclass(eq=False)
class Person:
    """An account."""

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

    person: Person
    sid: str
    epoch: int
    rotated_at: int
    idle_expires_at: int
    absolute_expires_at: int
    tokens: dict[int, str] = field(default_factory=dict)  # those that were ever handed out
    access: list[Issued] = field(default_factory=list)
    held: int = 0  # the generation that the table holds
    jar: int = 0  # the generation that the honest client has
    late: list[int] = field(default_factory=list)  # generations in its requests that are still on their way
    stolen: set[int] = field(default_factory=set)  # generations that a thief has
    robbed: bool = False  # a thief has used one
    ended: bool = False  # by logout, by the end of one session, by theft

    def lives(self, now: int) -> bool:
        """Whether it is accepted: neither ended, nor of an epoch that is over, nor over a limit."""
        limit = min(self.idle_expires_at, self.absolute_expires_at)
        return not (self.ended or self.person.disabled) and self.epoch == self.person.epoch and now < limit

    def accepts(self, issued: Issued, now: int) -> bool:
        """Whether the authorizer lets the bearer of the access token in."""
        return not self.ended and issued.epoch == self.person.epoch and now < issued.expires_at

    def predict(self, generation: int, now: int, window: int) -> Comes:
        """What presenting the token of this generation comes to (design, section 3, Rotation)."""
        if not self.lives(now):
            return Comes.DEAD
        if generation == self.held:
            return Comes.TURNS
        if generation == self.held - 1 and now - self.rotated_at <= window:
            return Comes.REPEATS
        return Comes.THEFT

    def turn(self, now: int, idle: int) -> None:
        """The key was turned."""
        self.held += 1
        self.rotated_at, self.idle_expires_at = now, now + idle

    def keeps_its_promise(self, now: int, window: int) -> bool:
        """Whether the honest client's next refresh has to succeed: no thief was here, and no retry would be late."""
        return self.lives(now) and not self.robbed and (self.jar == self.held or now - self.rotated_at <= window)

    def may_go_on(self) -> bool:
        """Whether an honest client would refresh now: its requests with older tokens have arrived."""
        return all(generation == self.jar for generation in self.late)
