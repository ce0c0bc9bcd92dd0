"""Late answers: an answer was lost and the device slept past the window; its own device goes on, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import InvalidGrant, Unavailable
from tests.flows.steps import (
    ELSEWHERE,
    EMAIL,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    device_token,
    generation_of,
    log_in,
    long_lived,
    publish_keys,
    redeployed,
    refresh,
    sign_up,
)
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services.sessions.grants import Grant

WINDOW = 20
DAY = 86400


def text_of(grant: Grant) -> str:
    """The refresh token as the client keeps it."""
    return long_lived(grant).refresh_token


class Phone:
    """A device that keeps a session, whose answers are lost at times, and that sleeps."""

    def __init__(self, keyturn: Keyturn) -> None:
        self.keyturn = keyturn
        self.grant = sign_up(keyturn.services)
        self.device_token = device_token(self.grant)

    def present(self) -> Grant:
        """Send the refresh token that it holds; the answer, which has not arrived yet."""
        return refresh(self.keyturn.container(), self.grant, device_token=self.device_token)

    def refresh(self) -> Grant:
        """Send it, and keep the answer."""
        self.grant = self.present()
        return self.grant

    def lose(self, sleep: int = 3600) -> Grant:
        """Send it, lose the answer, and sleep for so many seconds; what was lost."""
        lost = self.present()
        self.keyturn.clock.advance(sleep)
        return lost

    def wait(self) -> None:
        """Let the window be over."""
        self.keyturn.clock.advance(WINDOW + 1)


def assert_theft(keyturn: Keyturn, act: Callable[[], object], *grants: Grant) -> None:
    """The act ends the session, denies its access tokens and is told as theft; the newest of the grants comes first."""
    with pytest.raises(InvalidGrant):
        act()
    assert keyturn.audit.names()[-1] == "refresh_token_reused"
    assert_dead(keyturn, *grants)


@pytest.mark.parametrize("sleep", [WINDOW + 1, 3600, 13 * DAY])
@pytest.mark.parametrize("turns", [0, 2])
def test_own_device_is_answered_late(anywhere: Keyturn, turns: int, sleep: int) -> None:
    """A lost answer and a phone that sleeps: a new generation, an event, and the session goes on.

    (regressions: supabase-flutter #459, supabase #9668)
    """
    phone = Phone(anywhere)
    for _ in range(turns):
        phone.wait()
        phone.refresh()
    phone.wait()
    lost = phone.lose(sleep)
    late = phone.refresh()
    assert text_of(late) != text_of(lost)
    assert generation_of(anywhere, late) == turns + 2
    told = {"caller": CLIENT, "sub": late.account.sub, "sid": late.session_id}
    assert anywhere.audit.events[1:] == [("refresh_answered_late", told)]
    assert anywhere.authorize(late.access_token).sid == late.session_id
    phone.wait()
    assert_works(anywhere, phone.refresh())


def test_lost_late_answer_is_given_again(anywhere: Keyturn) -> None:
    """The same successor, byte for byte, inside the window and after it, until the held token turns; no write."""
    phone = Phone(anywhere)
    phone.lose()
    lost = phone.present()
    held = anywhere.store.find_session(lost.account.sub, lost.session_id)
    for later in (0, WINDOW, 1, 3600, DAY):
        anywhere.clock.advance(later)
        assert text_of(phone.present()) == text_of(lost)
    assert anywhere.store.find_session(lost.account.sub, lost.session_id) == held
    assert anywhere.audit.names() == ["signed_up", "refresh_answered_late"]
    phone.refresh()
    assert_works(anywhere, phone.refresh())


@pytest.mark.parametrize("tabs", [2, 5])
def test_tabs_that_wake_together_get_one_successor(anywhere: Keyturn, tabs: int) -> None:
    """All present the token whose answer was lost, by the one device: one turn, one event."""
    phone = Phone(anywhere)
    phone.lose()
    answers = [phone.present() for _ in range(tabs)]
    assert len({text_of(answer) for answer in answers}) == 1
    assert generation_of(anywhere, phone.grant) == 2
    assert anywhere.audit.names() == ["signed_up", "refresh_answered_late"]
    assert_works(anywhere, answers[-1])


@pytest.mark.parametrize("nth", [1, 2])
def test_tabs_that_race_for_a_late_answer_get_one_successor(anywhere: Keyturn, nth: int) -> None:
    """One runs whole at a write of the other: both are answered with the generation that one of them made."""
    phone = Phone(anywhere)
    phone.lose()
    rival: list[Grant] = []

    def at_call(verb: str, number: int) -> None:
        if (verb, number) == ("rotate_refresh_token", nth):
            rival.append(phone.present())

    store = FaultyStore(anywhere.store, at_call=at_call)
    racing = Keyturn(store, anywhere.clock, anywhere.parameters, anywhere.audit)
    mine = refresh(racing.services, phone.grant, device_token=phone.device_token)
    assert text_of(mine) == text_of(rival[0])
    assert anywhere.audit.names() == ["signed_up", "refresh_answered_late"]
    assert_works(anywhere, mine)


def another_devices(keyturn: Keyturn, _: str) -> str:
    """The token of a device that logged in to the same account."""
    return device_token(log_in(keyturn.services))


def another_accounts(keyturn: Keyturn, _: str) -> str:
    """The token of a device of somebody else's."""
    return device_token(sign_up(keyturn.services, email="bob@example.com"))


def forged(_: Keyturn, genuine: str) -> str:
    """One that nobody has made."""
    return f"{genuine[:-4]}AAAA"


def renewed_for_another_epoch(keyturn: Keyturn, genuine: str) -> str:
    """The device's token as it would be after a password change, which has not happened."""
    devices, now = keyturn.services.log_in.devices, keyturn.clock.now()
    device = devices.verify(genuine, EMAIL, now)
    assert device is not None
    return devices.issue(EMAIL, 1, now, device)


STRANGERS: dict[str, Callable[[Keyturn, str], str | None]] = {
    "missing": lambda _, __: None,
    "empty": lambda _, __: "",
    "nonsense": lambda _, __: "nonsense",
    "forged": forged,
    "another device's": another_devices,
    "another account's": another_accounts,
    "another epoch's": renewed_for_another_epoch,
}


@pytest.mark.parametrize("whose", STRANGERS)
def test_any_other_device_is_a_thief(anywhere: Keyturn, whose: str) -> None:
    """A device that is missing, foreign or not to be verified gets no late answer: theft."""
    phone = Phone(anywhere)
    presented = STRANGERS[whose](anywhere, phone.device_token)
    lost = phone.lose()
    assert_theft(anywhere, lambda: refresh(anywhere.services, phone.grant, device_token=presented), lost, phone.grant)


@pytest.mark.parametrize("whose", STRANGERS)
def test_lost_late_answer_is_given_to_no_other_device(anywhere: Keyturn, whose: str) -> None:
    """Not inside the window either, although the successor is there."""
    phone = Phone(anywhere)
    presented = STRANGERS[whose](anywhere, phone.device_token)
    phone.lose()
    late = phone.present()
    assert_theft(anywhere, lambda: refresh(anywhere.services, phone.grant, device_token=presented), late, phone.grant)


def test_device_token_that_expired_is_no_device() -> None:
    """A device is known for so long: a session that outlives that is answered late no more."""
    keyturn = Keyturn(FakeStore(), config=config(idle_ttl=800 * DAY, absolute_ttl=800 * DAY))
    phone = Phone(keyturn)
    lost = phone.lose(sleep=799 * DAY)
    assert_theft(keyturn, phone.present, lost, phone.grant)


def test_device_token_of_an_older_epoch_is_no_device(anywhere: Keyturn) -> None:
    """A password change that brought no device along has made every device unknown, the session's own included."""
    phone = Phone(anywhere)
    phone.grant = change_password(anywhere.services, phone.grant)
    phone.wait()
    lost = phone.lose()
    assert_theft(anywhere, phone.present, lost, phone.grant)


def test_device_token_that_a_password_change_renewed_is_the_device(anywhere: Keyturn) -> None:
    """The device keeps its id over the change, and the session knows it by that."""
    phone = Phone(anywhere)
    changed = change_password(anywhere.services, phone.grant, device_token=phone.device_token)
    phone.grant, phone.device_token = changed, device_token(changed)
    phone.wait()
    phone.lose()
    assert_works(anywhere, phone.refresh())
    assert anywhere.audit.names()[-1] == "refresh_answered_late"


def test_device_token_of_a_later_login_is_the_device(anywhere: Keyturn) -> None:
    """A device that logs in again keeps its id: what its newest login gave it stands for its older session too."""
    phone = Phone(anywhere)
    phone.device_token = device_token(log_in(anywhere.services, device_token=phone.device_token))
    phone.lose()
    assert_works(anywhere, phone.refresh())


def test_late_answers_never_follow_each_other(anywhere: Keyturn) -> None:
    """Where nobody has turned the token that a late answer gave out, its own predecessor is not answered late."""
    phone = Phone(anywhere)
    lost = phone.lose()  # the predecessor of what the late answer gives out
    late = phone.present()
    phone.wait()
    assert_theft(
        anywhere,
        lambda: refresh(anywhere.services, lost, device_token=phone.device_token),
        late,
        lost,
        phone.grant,
    )


def test_late_answer_after_a_turn_of_the_held_token(anywhere: Keyturn) -> None:
    """Between two late answers the held token has turned: then the second one is an honest client's."""
    phone = Phone(anywhere)
    for _ in range(2):
        phone.lose()
        phone.refresh()
        phone.wait()
        phone.refresh()
        phone.wait()
    assert anywhere.audit.names() == ["signed_up", "refresh_answered_late", "refresh_answered_late"]
    assert_works(anywhere, phone.grant)


def test_turn_of_the_held_token_ends_the_late_answer(anywhere: Keyturn) -> None:
    """What was answered late stands two generations behind from then on: theft, by its own device too."""
    phone = Phone(anywhere)
    phone.lose()
    former = phone.grant
    phone.refresh()
    phone.wait()
    turned = phone.refresh()
    assert_theft(anywhere, lambda: refresh(anywhere.services, former, device_token=phone.device_token), turned, former)


def test_predecessor_of_a_late_answer_inside_the_window_is_answered(anywhere: Keyturn) -> None:
    """The answer that was thought lost comes after all, to another tab, as the late one is given: one successor."""
    phone = Phone(anywhere)
    arrived_after_all = phone.lose()
    late = phone.refresh()
    answer = refresh(anywhere.services, arrived_after_all, device_token=phone.device_token)
    assert text_of(answer) == text_of(late)
    assert_works(anywhere, answer)


@pytest.mark.parametrize("first", ["thief", "owner"])
def test_thief_with_the_whole_jar_is_found(anywhere: Keyturn, first: str) -> None:
    """A copy of refresh and device token: as soon as both have used theirs, the session is over, or it is an event."""
    phone = Phone(anywhere)
    phone.wait()
    phone.refresh()
    copy, jar = phone.grant, phone.device_token
    phone.wait()
    holds = {"thief": copy, "owner": copy}
    others = {"thief": "owner", "owner": "thief"}
    user = first
    used = 0
    while "refresh_token_reused" not in anywhere.audit.names():
        used += 1
        assert used <= 4, "both have used theirs again and again"
        try:
            holds[user] = refresh(anywhere.container(), holds[user], device_token=jar)
        except InvalidGrant:
            break
        phone.wait()
        user = others[user]
    names = anywhere.audit.names()
    assert names.count("refresh_answered_late") == 1
    assert names[-1] == "refresh_token_reused"
    assert_dead(anywhere, holds["thief"], holds["owner"])


def test_thief_who_waits_for_lost_answers_is_an_event_each_time(anywhere: Keyturn) -> None:
    """The owner's answer is lost, and the thief's jar has the predecessor: each answer that the thief gets is told."""
    phone = Phone(anywhere)
    phone.wait()
    lost = phone.lose(WINDOW + 1)
    refresh(anywhere.services, phone.grant, ELSEWHERE, device_token=phone.device_token)
    assert anywhere.audit.events[-1][0] == "refresh_answered_late"
    assert anywhere.audit.events[-1][1]["caller"] == ELSEWHERE
    phone.wait()
    assert_theft(anywhere, lambda: refresh(anywhere.services, lost), lost)


@pytest.mark.parametrize(("apart", "alarms"), [(DAY, 1), (84 * 3600 - 60, 1), (84 * 3600 + 60, 0)])
def test_third_late_answer_within_seven_days_is_an_alarm(anywhere: Keyturn, apart: int, alarms: int) -> None:
    """The first and the third at most seven days apart, however often the key turned between; two are no alarm."""
    phone = Phone(anywhere)
    for number in range(3):
        begun = anywhere.clock.now()
        phone.lose()
        phone.refresh()
        assert anywhere.audit.names().count("refresh_answered_late") == number + 1
        phone.wait()
        phone.refresh()
        if number < 2:
            assert "refresh_answered_late_often" not in anywhere.audit.names()
        anywhere.clock.time = begun + apart
    assert anywhere.audit.names().count("refresh_answered_late_often") == alarms
    if alarms:
        told = {"caller": CLIENT, "sub": phone.grant.account.sub, "sid": phone.grant.session_id}
        assert ("refresh_answered_late_often", told) in anywhere.audit.events


def test_each_late_answer_from_the_third_on_is_an_alarm(keyturn: Keyturn) -> None:
    """The session keeps the times of the last two, which is enough for every later one."""
    phone = Phone(keyturn)
    for _ in range(5):
        phone.lose()
        phone.refresh()
        phone.wait()
        phone.refresh()
        phone.wait()
    assert keyturn.audit.names().count("refresh_answered_late") == 5
    assert keyturn.audit.names().count("refresh_answered_late_often") == 3


@pytest.mark.parametrize("fail", [FaultyStore.fail_before, FaultyStore.fail_after])
def test_late_answer_is_told_although_the_tables_answer_was_lost(
    anywhere: Keyturn, fail: Callable[[FaultyStore, str, int], None]
) -> None:
    """The key may have turned: no retry would tell, so that the event comes before it is known. The retry converges."""
    phone = Phone(anywhere)
    phone.lose()
    store = FaultyStore(anywhere.store)
    fail(store, "rotate_refresh_token", 2)
    losing = Keyturn(store, anywhere.clock, anywhere.parameters, anywhere.audit)
    with pytest.raises(Unavailable):
        refresh(losing.services, phone.grant, device_token=phone.device_token)
    assert anywhere.audit.names()[-1] == "refresh_answered_late"
    phone.wait()
    assert_works(anywhere, phone.refresh())


def test_late_answer_outlives_key_rotation(keyturn: Keyturn) -> None:
    """The late answer is of the newest root secret, and so is its repetition."""
    phone = Phone(keyturn)
    phone.lose()
    publish_keys(keyturn)
    keyturn.clock.advance(601)
    late = phone.present()
    assert text_of(late).split(".")[1] != text_of(phone.grant).split(".")[1]
    publish_keys(keyturn)
    keyturn.clock.advance(601)
    assert text_of(phone.present()) == text_of(late)


def test_over_a_limit_nobody_is_answered_late(anywhere: Keyturn) -> None:
    """A session that slept past its idle limit is over, and that is no theft."""
    phone = Phone(anywhere)
    lost = phone.lose(anywhere.config.sessions.idle_ttl)
    events = anywhere.audit.names()
    assert_dead(anywhere, lost, phone.grant)
    assert anywhere.audit.names() == events


def test_late_answer_does_not_survive_a_renewal(anywhere: Keyturn) -> None:
    """What a late answer left stands under the floor: dead, and no theft."""
    phone = Phone(anywhere)
    phone.lose()
    former = phone.grant
    phone.refresh()
    renewed = change_password(anywhere.services, phone.grant, PASSWORD, NEW_PASSWORD, device_token=phone.device_token)
    events = anywhere.audit.names()
    for grant in (former, phone.grant):
        for token in (phone.device_token, device_token(renewed)):
            with pytest.raises(InvalidGrant):
                refresh(anywhere.services, grant, device_token=token)
    assert anywhere.audit.names() == events
    held = anywhere.store.find_session(renewed.account.sub, renewed.session_id)
    assert held
    assert (held.wrapped, held.late_base, held.late_wrapped) == (b"", None, b"")
    assert_works(anywhere, renewed)


def test_late_answer_of_a_window_that_was_switched_off_is_given_to_nobody(keyturn: Keyturn) -> None:
    """A stage that sets the window to 0 takes late answers of before back."""
    phone = Phone(keyturn)
    phone.lose()
    late = phone.present()
    strict = redeployed(keyturn, rotation_window=0)
    assert_theft(
        keyturn,
        lambda: refresh(strict.services, phone.grant, device_token=phone.device_token),
        late,
        phone.grant,
    )


@pytest.mark.parametrize("with_device", [True, False])
def test_token_that_was_answered_late_changes_no_way_in(keyturn: Keyturn, with_device: bool) -> None:  # noqa: FBT001 - which of the two
    """It proves the session to `/refresh` alone, and there with its device: a copy of it must not renew anything."""
    phone = Phone(keyturn)
    phone.refresh()
    phone.wait()
    base = phone.grant
    phone.lose()
    late = phone.present()
    with pytest.raises(InvalidGrant):
        change_password(keyturn.services, base, device_token=phone.device_token if with_device else None)
    assert generation_of(keyturn, late) == generation_of(keyturn, base)
    assert_works(keyturn, late)
