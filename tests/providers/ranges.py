"""A list of breached passwords on loopback that is honest until a test tells it otherwise."""

from __future__ import annotations

from hashlib import sha1, sha256
from typing import TYPE_CHECKING

from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

PATH = "/range"


def digest(password: str) -> str:
    """A password as such lists have it."""
    return sha1(password.encode()).hexdigest().upper()  # noqa: S324  # the list's own form


class Ranges(StandIn):
    """Answers as the real service does: a few hundred others in each range, and as much padding, of count 0.

    Faults and `requests` are the stand-in's. `body` replaces every answer.
    """

    def __init__(self, *breached: str) -> None:
        super().__init__()
        self.breached = {digest(password) for password in breached}
        self.padding: set[str] = set()
        self.body: bytes | None = None

    def pad_with(self, password: str) -> None:
        """Let the padding hold this password's own digest, as chance may have it."""
        self.padding.add(digest(password))

    def answer(self, path: str, headers: Message, form: Mapping[str, str]) -> tuple[int, bytes]:
        """The lines of the range that the path names."""
        del headers, form
        prefix = path.removeprefix(f"{PATH}/")
        others = [sha256(f"{prefix}{number}".encode()).hexdigest()[:35].upper() for number in range(600)]
        lines = [f"{other}:{number % 2 * (number + 1)}" for number, other in enumerate(others)]
        lines += [f"{entry[5:]}:52579" for entry in self.breached if entry.startswith(prefix)]
        lines += [f"{entry[5:]}:0" for entry in self.padding if entry.startswith(prefix)]
        return 200, "\r\n".join(sorted(lines)).encode() if self.body is None else self.body
