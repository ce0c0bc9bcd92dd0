"""Owner, lost answers and thief, played out in every order over the rules of domain/rotation.py alone.

Every state that twelve steps reach is visited. It is small because a session's rules know generations by their distance
from the held one, and times by the window that they lie in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.rotation import Answer, Place, answer, place
from tests.store.samples import a_session
from tests.world.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.sessions import Session

WINDOW = 20  # seconds
STEPS = 12
SESSION = a_session("somebody")


@dataclass(frozen=True)
class State:
    """A session, who has which generations of it, and whether the thief's last use has left a trace."""

    held: int = 1
    late_base: int | None = None
    inside: bool = False
    owner: int = 1
    thief: frozenset[int] = frozenset()
    thief_has_device: bool = False
    unseen: bool = False
    last: str = "owner"  # whom the last turn was answered to

    def session(self) -> Session:
        """The session as a record."""
        rotated_at = START if self.inside else START - WINDOW - 1
        return SESSION._replace(generation=self.held, late_base=self.late_base, rotated_at=rotated_at)

    def normal(self) -> State:
        """The same state, with its generations counted from the held one."""
        shift = 10 - self.held
        return replace(
            self,
            held=10,
            late_base=None if self.late_base is None else self.late_base + shift,
            owner=self.owner + shift,
            thief=frozenset(each + shift for each in self.thief),
        )

    def present(self, generation: int, *, own_device: bool) -> tuple[Answer, State]:
        """What the rules make of a token, and the state afterwards, with the thief's and the owner's jars untouched."""
        session = self.session()
        found = place(session, generation, 0, START)
        assert found in {Place.HELD, Place.PREDECESSOR, Place.LATE_BASE, Place.OLDER}
        decided = answer(found, session, START, WINDOW, own_device=own_device)
        match decided:
            case Answer.TURN:
                return decided, replace(self, held=self.held + 1, late_base=None, inside=True)
            case Answer.LATE:
                return decided, replace(self, held=self.held + 1, late_base=generation, inside=True)
        return decided, self


def owner_steps(state: State) -> Iterator[tuple[bool, State]]:
    """The owner refreshes, and hears the answer or not; whether the session ends, and the state afterwards."""
    decided, after = state.present(state.owner, own_device=True)
    if decided is Answer.THEFT:
        yield True, after
        return
    # An answer that writes nothing is an event where it goes to another client than the last turn's.
    traced = decided is Answer.LATE or (decided in {Answer.ITSELF, Answer.SUCCESSOR} and state.last == "thief")
    assert traced or not state.unseen, "an owner came after a thief, and nothing tells"
    turned = decided in {Answer.TURN, Answer.LATE}
    after = replace(after, unseen=False, last="owner" if turned else state.last)
    yield False, after
    yield False, replace(after, owner=after.held)


def thief_steps(state: State) -> Iterator[State]:
    """The thief copies what the owner has, or uses what they have; a session that ends is found out, and left out."""
    yield replace(state, thief=state.thief | {state.owner})
    yield replace(state, thief=state.thief | {state.owner}, thief_has_device=True)
    for generation in state.thief:
        decided, after = state.present(generation, own_device=state.thief_has_device)
        if decided is Answer.THEFT:
            continue
        # A turn by the held token is no event. An answer inside the window of the thief's own turn adds nothing.
        turned = decided in {Answer.TURN, Answer.LATE}
        yield replace(
            after,
            thief=after.thief | {after.held},
            unseen=state.unseen or decided is Answer.TURN,
            last="thief" if turned else state.last,
        )


def reached(*, with_thief: bool) -> set[State]:
    """Every state that so many steps reach. AssertionError where an honest sequence ends in theft."""
    seen = frontier = {State().normal()}
    for _ in range(STEPS):
        found: set[State] = set()
        for state in frontier:
            found.add(replace(state, inside=False).normal())
            for ended, after in owner_steps(state):
                assert with_thief or not ended, f"an honest owner is taken for a thief: {state}"
                if not ended:
                    found.add(after.normal())
            if with_thief:
                found |= {after.normal() for after in thief_steps(state)}
        frontier = {state for state in found - seen if min([state.owner, *state.thief]) > 4}
        seen = seen | frontier
    return seen


def test_no_honest_sequence_ends_in_theft() -> None:
    """Answers that are heard or lost, inside the window and after it, in every order: the owner stays logged in."""
    assert len(reached(with_thief=False)) > 4


def test_every_thief_is_found_or_leaves_a_trace() -> None:
    """After each silent use of a thief, the owner's next use is an event or the end of the session."""
    assert len(reached(with_thief=True)) > 100


@pytest.mark.parametrize("whole_jar", [False, True])
@pytest.mark.parametrize("first", ["owner", "thief"])
def test_both_using_the_same_token_late_is_found(*, whole_jar: bool, first: str) -> None:
    """Owner and thief hold one token. Once both have used it outside the window, the session is over or it is told."""
    state = replace(State(), thief=frozenset({1}), thief_has_device=whole_jar)
    order = ["owner", "thief"] if first == "owner" else ["thief", "owner"]
    told = False
    for who in order:
        own = who == "owner" or whole_jar
        decided, state = state.present(1, own_device=own)
        told |= decided in {Answer.LATE, Answer.THEFT}
        state = replace(state, inside=False)
    assert told
