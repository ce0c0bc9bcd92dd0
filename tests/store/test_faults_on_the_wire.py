"""Throttling, timeouts and lost answers, met by botocore itself: success or Unavailable, and the retry converges.

On dynoxide, because moto does not know a transaction's repetition by its ClientRequestToken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.domain.denials import DENIED_SESSIONS, Denials, deny_until, entry
from chalicelib.domain.limits import LimitPolicy
from chalicelib.errors import Unavailable
from chalicelib.store.dynamodb import DynamoDBStore
from chalicelib.store.outcomes import AccessChanged, LateAnswer, Rotated
from tests.store.fault_proxy import Fault, FaultProxy
from tests.store.samples import (
    NOW,
    PROVEN,
    a_login,
    a_renewal,
    a_rotation,
    a_session,
    a_transaction,
    an_arrival,
    an_event,
    an_identity,
    digest_of,
    elsewhere,
    identifier,
)
from tests.world import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.domain.accounts import Account, Login
    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Renewal

DENY_UNTIL = NOW + 1020
POLICY = LimitPolicy("wire", 3600, ((5, 0),), 300)
DENIED = entry("denied", deny_until(NOW))


class Scene:
    """An account with a session; `store` reaches it through the proxy, `direct` does not."""

    def __init__(self, proxy: FaultProxy, through: str) -> None:
        client = engines.connect(proxy.engine)
        table = engines.make_table(client)
        self.proxy = proxy
        self.store = DynamoDBStore(engines.connect(through), table)
        self.direct = DynamoDBStore(client, table)
        self.login = a_login(elsewhere())
        self.sub = self.login.account.sub
        self.session = a_session(self.sub)
        self.direct.create_account(self.login, self.session)
        assert [self.direct.count_attempt(POLICY, "counted", NOW) for _ in range(5)] == [0] * 5
        self.rotation = a_rotation(self.session)
        self.late_session = a_session(self.sub, generation=4)
        self.direct.create_session(self.late_session)
        self.late_answer = a_rotation(self.late_session, late=LateAnswer(3, bytes(32), (NOW,)))
        self.renewal = a_renewal(self.session)
        self.moved_along = a_renewal(self.session, epoch=1)
        self.new_login = an_arrival(an_identity())
        self.new_session = a_session(self.sub)
        self.identity = an_identity()
        self.transaction = a_transaction()
        self.events = tuple(an_event(self.sub) for _ in range(3))
        self.direct.begin_login(b"begun", self.transaction)
        self.crowded = identifier()
        for _ in range(DENIED_SESSIONS):
            self.direct.deny_session(self.crowded, identifier(), now=NOW)
        self.full = self.direct.find_denials(self.crowded)
        self.compacted = self.full.with_name("sessions", "denied", NOW + 60)

    @property
    def account_now(self) -> Account:
        """The account as the table holds it."""
        account = self.direct.find_account(self.sub)
        assert account
        return account

    @property
    def login_now(self) -> Login:
        """The login as the table holds it."""
        login = self.direct.find_login(self.login.account.email)
        assert login
        return login

    @property
    def identity_now(self) -> str | None:
        """Whose the new identity is."""
        return self.direct.find_identity(self.identity.issuer, self.identity.subject)

    @property
    def session_now(self) -> Session | None:
        """The session as the table holds it."""
        return self.direct.find_session(self.sub, self.session.sid)

    @property
    def late_session_now(self) -> Session | None:
        """The session that is answered late, as the table holds it."""
        return self.direct.find_session(self.sub, self.late_session.sid)

    def holds(self, renewal: Renewal) -> bool:
        """Whether the session has these credentials and no other way to them."""
        held = self.session_now
        return held is not None and (held.digest, held.floor) == (renewal.next_digest, 1)


@dataclass(frozen=True)
class Verb:
    """How to call it, what it answers when it is done, whether it is done, and what the caller's own retry is told."""

    call: Callable[[Scene], Any]
    answer: Callable[[Any], bool]
    done: Callable[[Scene], bool]
    answer_to_retry: Callable[[Any], bool] | None = None


WRITES: dict[str, Verb] = {
    "count_attempt": Verb(
        lambda s: s.store.count_attempt(POLICY, "value", NOW),
        lambda wait: wait == 0,
        lambda s: [s.direct.count_attempt(POLICY, "value", NOW) for _ in range(5)] != [0] * 5,
    ),
    "return_attempt": Verb(
        lambda s: s.store.return_attempt(POLICY, "counted", NOW),
        lambda answer: answer is None,
        lambda s: s.direct.count_attempt(POLICY, "counted", NOW) == 0,
    ),
    "create_account": Verb(
        lambda s: s.store.create_account(s.new_login, a_session(s.new_login.account.sub, sid="first")),
        lambda made: made is True,
        lambda s: s.direct.find_login(s.new_login.account.email) == s.new_login,
    ),
    "replace_password_digest": Verb(
        lambda s: s.store.replace_password_digest(s.login.account.email, digest_of(s.login), "$new"),
        lambda replaced: replaced is True,
        lambda s: getattr(s.direct.find_login(s.login.account.email), "password_digest", "") == "$new",
    ),
    "change_password": Verb(
        lambda s: s.store.change_password(s.login, "$new", s.moved_along, deny_until=DENY_UNTIL),
        lambda outcome: outcome is AccessChanged.CHANGED,
        lambda s: s.account_now.epoch == 1 and s.holds(s.moved_along),
    ),
    "raise_epoch": Verb(
        lambda s: s.store.raise_epoch(s.login.account, deny_until=DENY_UNTIL),
        lambda raised: raised is True,
        lambda s: s.account_now.epoch == 1,
        lambda raised: raised is False,  # the caller reads the account again and raises the epoch that it finds
    ),
    "link_identity": Verb(
        lambda s: s.store.link_identity(s.login, s.identity, proves=PROVEN, session=s.renewal),
        lambda outcome: outcome is AccessChanged.CHANGED,
        lambda s: (
            s.identity_now == s.sub
            and s.login_now.identities == (*s.login.identities, s.identity)
            and s.holds(s.renewal)
        ),
        lambda outcome: outcome is AccessChanged.IDENTITY_TAKEN,  # the caller reads the login again and finds it there
    ),
    "take_over_account": Verb(
        lambda s: s.store.take_over_account(s.login, s.identity, proves=PROVEN, deny_until=DENY_UNTIL),
        lambda taken: taken is True,
        lambda s: s.identity_now == s.sub and s.login_now.identities == (s.identity,) and s.account_now.epoch == 1,
        lambda taken: taken is False,  # the caller finds that the identity opens the account
    ),
    "unlink_identity": Verb(
        lambda s: s.store.unlink_identity(s.login, "oidc", s.renewal),
        lambda outcome: outcome is AccessChanged.CHANGED,
        lambda s: s.login_now.identities == () and s.holds(s.renewal),
        lambda outcome: outcome is AccessChanged.LOGIN_MOVED,  # the caller reads the login again and does not find it
    ),
    "begin_login": Verb(
        lambda s: s.store.begin_login(b"fresh", s.transaction),
        lambda nothing: nothing is None,
        lambda s: s.direct.take_login(b"fresh", "another", NOW) == s.transaction,
    ),
    "take_login": Verb(
        lambda s: s.store.take_login(b"begun", "attempt", NOW),
        lambda transaction: transaction == a_transaction(),
        lambda s: s.direct.take_login(b"begun", "another", NOW) is None,
    ),
    "create_session": Verb(
        lambda s: s.store.create_session(s.new_session),
        lambda nothing: nothing is None,
        lambda s: s.direct.find_session(s.sub, s.new_session.sid) == s.new_session,
    ),
    "rotate_refresh_token": Verb(
        lambda s: s.store.rotate_refresh_token(s.rotation),
        lambda outcome: isinstance(outcome, Rotated) and outcome.session.generation == 1,
        lambda s: getattr(s.session_now, "digest", b"") == s.rotation.next_digest,
    ),
    "rotate_refresh_token, late": Verb(
        lambda s: s.store.rotate_refresh_token(s.late_answer),
        lambda outcome: isinstance(outcome, Rotated) and outcome.session.late_base == 3,
        lambda s: getattr(s.late_session_now, "digest", b"") == s.late_answer.next_digest,
    ),
    "renew_session": Verb(
        lambda s: s.store.renew_session(s.renewal),
        lambda renewed: renewed is True,
        lambda s: s.holds(s.renewal),
    ),
    "touch_session": Verb(
        lambda s: s.store.touch_session(s.sub, s.session.sid, now=NOW + 60, unless_since=NOW + 1),
        lambda nothing: nothing is None,
        lambda s: getattr(s.session_now, "used_at", 0) == NOW + 60,
    ),
    "deny_session": Verb(
        lambda s: s.store.deny_session(s.sub, "denied", now=NOW),
        lambda full: full is None,
        lambda s: s.direct.find_denials(s.sub) == Denials(sessions=frozenset({DENIED})),
    ),
    "deny_token": Verb(
        lambda s: s.store.deny_token(s.sub, "denied", now=NOW),
        lambda full: full is None,
        lambda s: s.direct.find_denials(s.sub) == Denials(tokens=frozenset({DENIED})),
    ),
    "replace_denials": Verb(
        lambda s: s.store.replace_denials(s.crowded, s.full, s.compacted),
        lambda replaced: replaced is True,
        lambda s: s.direct.find_denials(s.crowded) == s.compacted,
    ),
    "delete_sessions": Verb(
        lambda s: s.store.delete_sessions(s.sub, [s.session.sid, s.late_session.sid, "gone"]),
        lambda nothing: nothing is None,
        lambda s: s.session_now is None and s.late_session_now is None,
    ),
    "delete_session": Verb(
        lambda s: s.store.delete_session(s.sub, s.session.sid),
        lambda nothing: nothing is None,
        lambda s: s.session_now is None,
    ),
    "record_events": Verb(
        lambda s: s.store.record_events(s.events),
        lambda nothing: nothing is None,
        lambda s: (
            {event.id: event for event in s.direct.list_events(s.sub, rank="other", now=NOW, limit=50)}
            == {event.id: event for event in s.events}
        ),
    ),
}
EVERY_WRITE = pytest.mark.parametrize("verb", WRITES.values(), ids=WRITES.keys())
SLOW_ONES = pytest.mark.parametrize("name", ["rotate_refresh_token", "create_account"])


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A scene on a table of its own, with no fault to come."""
    proxy = FaultProxy(engines.start("dynoxide"))
    with proxy.serve() as through:
        yield Scene(proxy, through)


@EVERY_WRITE
def test_write_whose_answer_is_lost_is_done(scene: Scene, verb: Verb) -> None:
    """Botocore repeats it byte for byte, and the repetition is answered as the first one would have been."""
    scene.proxy.faults.append(Fault.LOST)
    assert verb.answer(verb.call(scene))
    assert verb.done(scene)
    first, second = scene.proxy.requests
    assert first == second


@EVERY_WRITE
def test_write_whose_answers_are_all_lost_is_unavailable_and_converges(scene: Scene, verb: Verb) -> None:
    """The caller is told to come again; it was done once, and the caller's retry finds it done."""
    scene.proxy.faults.extend([Fault.LOST, Fault.LOST])
    with pytest.raises(Unavailable):
        verb.call(scene)
    assert (verb.answer_to_retry or verb.answer)(verb.call(scene))
    assert verb.done(scene)


@EVERY_WRITE
def test_write_that_dynamodb_fails_once_is_done(scene: Scene, verb: Verb) -> None:
    """One internal error of DynamoDB is not seen by the caller."""
    scene.proxy.faults.append(Fault.UNAVAILABLE)
    assert verb.answer(verb.call(scene))
    assert verb.done(scene)


@EVERY_WRITE
def test_write_that_dynamodb_keeps_failing_is_unavailable_and_not_done(scene: Scene, verb: Verb) -> None:
    """After the second attempt the caller is told to come again; nothing has happened, and the retry does it."""
    scene.proxy.faults.extend([Fault.UNAVAILABLE, Fault.UNAVAILABLE])
    with pytest.raises(Unavailable, match="InternalServerError"):
        verb.call(scene)
    assert len(scene.proxy.requests) == 2
    assert verb.answer(verb.call(scene))
    assert verb.done(scene)


@SLOW_ONES
def test_throttling_is_waited_out_once(scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One refusal for want of capacity is repeated; two are Unavailable, and nothing has happened."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    verb = WRITES[name]
    scene.proxy.faults.extend([Fault.THROTTLED, Fault.THROTTLED])
    with pytest.raises(Unavailable, match="ProvisionedThroughputExceededException"):
        verb.call(scene)
    assert not verb.done(scene)
    scene.proxy.faults.append(Fault.THROTTLED)
    assert verb.answer(verb.call(scene))
    assert verb.done(scene)


@SLOW_ONES
def test_answer_that_never_comes_is_asked_for_again(scene: Scene, name: str) -> None:
    """The first attempt is given up after a second; the repetition finds the write done."""
    scene.proxy.faults.append(Fault.STALLED_ANSWER)
    verb = WRITES[name]
    assert verb.answer(verb.call(scene))
    assert verb.done(scene)


def test_silence_is_unavailable(scene: Scene) -> None:
    """A table that answers nobody is Unavailable, for reads as for writes, and is asked again at the next call."""
    scene.proxy.faults.extend([Fault.STALLED, Fault.STALLED])
    with pytest.raises(Unavailable, match="ReadTimeoutError"):
        scene.store.find_account(scene.sub)
    assert scene.store.find_account(scene.sub) == scene.login.account


def test_nobody_there_is_unavailable() -> None:
    """A refused connection is Unavailable."""
    with FaultProxy("").serve() as endpoint:
        store = DynamoDBStore(engines.connect(endpoint), "table")
    with pytest.raises(Unavailable, match="EndpointConnectionError"):
        store.find_account("sub")
