"""Clients, lost answers, tabs, thieves, clocks and revocations in any order, against the real store and a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.crypto.encoding import b64url
from chalicelib.domain.limits import HOUR
from chalicelib.errors import InvalidCredentials, InvalidGrant, InvalidToken, Unavailable
from tests.flows.contents import contents, rows
from tests.flows.steps import ELSEWHERE, bearer, credentials, log_in, long_lived, publish_keys
from tests.flows.tables import a_table
from tests.properties.lineages import Comes, Issued, Lineage, Owner
from tests.world.clock import FrozenClock
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config

if TYPE_CHECKING:
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant

DAY = 86400
WINDOW, ACCESS, IDLE, ABSOLUTE = 20, 900, 4 * DAY, 15 * DAY  # seconds
# Owners come every hour, every day and every three days.
STEPS_OF_TIME = (*range(1, 5), WINDOW - 1, WINDOW, WINDOW + 1, 61, 601, ACCESS - 1, HOUR, DAY, 3 * DAY, IDLE - 1, IDLE)
SKEWS = (0, 5, -5)  # seconds by which containers' clocks are off
KEY_ROTATIONS = 3  # at once; a parameter has room for a few more
PASSWORDS_AN_HOUR = 18  # tried; the limiter has tests of its own
SESSIONS = 5

anyone = st.integers(0, 59)  # of a list, modulo its length
revocations = st.sampled_from(("one", "one", "another", "password", "everywhere", "disabled"))
waits = st.sampled_from((0, 0, 0, 1, WINDOW, WINDOW + 1))  # seconds


class SkewedClock(FrozenClock):
    """A clock that is off by as many seconds, whatever time it is."""

    def __init__(self, clock: FrozenClock, skew: int) -> None:
        super().__init__()
        self.clock, self.skew = clock, skew

    def now(self) -> int:
        """The time of the other one, off."""
        return self.clock.now() + self.skew


class Sessions(RuleBasedStateMachine):
    """Everybody who has a token, and the table."""

    engine: ClassVar = "dynoxide"

    @initialize()
    def begin(self) -> None:
        """One account in an empty table, two running containers."""
        self.store = a_table(self.engine)
        limits = {"rotation_window": WINDOW, "idle_ttl": IDLE, "absolute_ttl": ABSOLUTE}
        self.keyturn = Keyturn(self.store, config=config(access_ttl=ACCESS, **limits))
        self.running = [self.skewed(skew) for skew in SKEWS]
        self.lineages: list[Lineage] = []
        self.passwords: list[str] = []
        self.tried: dict[tuple[str, int], int] = {}
        self.rotations = 0
        self.touched: Lineage | None = None
        self.sign_up()

    # --- who there is

    @property
    def now(self) -> int:
        """The time everywhere."""
        return self.keyturn.clock.now()

    def living(self) -> list[Lineage]:
        """Sessions that are accepted."""
        return [lineage for lineage in self.lineages if lineage.lives(self.now)]

    def unrevoked(self) -> list[Lineage]:
        """Sessions that nobody has ended; time may have."""
        return [one for one in self.lineages if not one.ended and one.epoch == one.person.epoch]

    def container(self, index: int) -> Services:
        """One that runs, whose clock may be off, or a cold one."""
        return self.running[index % 4] if index % 4 < len(self.running) else self.keyturn.container()

    def skewed(self, skew: int) -> Services:
        """A container whose clock is off by so many seconds."""
        world = self.keyturn
        return Keyturn(self.store, SkewedClock(world.clock, skew), world.parameters, world.audit, world.config).services

    def sign_up(self) -> None:
        """A person with an address and a password that nobody had before."""
        email, password = f"n{len(self.passwords)}@example.com", self.fresh_password()
        grant = self.keyturn.services.sign_up(credentials(password, email=email), CLIENT)
        self.person = Owner(grant.account.sub, email, password)
        self.begin_lineage(grant, self.now)

    def fresh_password(self) -> str:
        """A password to look for in the table later."""
        self.passwords.append(f"{PASSWORD} number {len(self.passwords)}")
        return self.passwords[-1]

    def begin_lineage(self, grant: Grant, now: int) -> None:
        """Know a new session."""
        lineage = Lineage(self.person, grant.session_id, self.person.epoch, now, now + IDLE, now + ABSOLUTE)
        lineage.tokens[0] = long_lived(grant).refresh_token
        lineage.device_token = grant.device_token or ""
        self.lineages.append(lineage)
        self.keep(lineage, grant, now)

    def keep(self, lineage: Lineage, grant: Grant, now: int) -> None:
        """Keep the access token."""
        lineage.access.append(Issued(bearer(grant), now + ACCESS, self.person.epoch))
        self.touched = lineage

    def may_try(self) -> bool:
        """Whether the limiter lets one more password through; counts it."""
        key = (self.person.email, self.now // HOUR)
        self.tried[key] = self.tried.get(key, 0) + 1
        return self.tried[key] <= PASSWORDS_AN_HOUR

    def principal(self, lineage: Lineage) -> Principal | None:
        """Whom the authorizer lets in with the session's last access token."""
        issued = lineage.access[-1]
        return self.keyturn.principal(issued.text) if lineage.accepts(issued, self.now) else None

    # --- refresh tokens

    def present(
        self, lineage: Lineage, generation: int, client: Caller, services: Services, *, own_device: bool = True
    ) -> Comes:
        """Present a token, and hold the answer and its traces against the model."""
        self.touched = lineage
        now = services.clock.now()
        own_device &= bool(lineage.device_token)
        comes = lineage.predict(generation, now, WINDOW, own_device=own_device)
        presented = services.refresh_tokens.decode(lineage.tokens[generation], "body")
        assert presented.generation == generation
        seen = len(self.keyturn.audit.events)
        device_token = lineage.device_token if own_device else None
        if not comes.answered:
            with pytest.raises(InvalidGrant):
                services.refresh(presented, client, device_token)
            lineage.ended |= comes is Comes.THEFT
            traces = [] if comes is Comes.DEAD else ["refresh_token_reused"]
            assert [name for name, _ in self.keyturn.audit.events[seen:]] == traces
            return comes
        grant = services.refresh(presented, client, device_token)
        if comes in {Comes.TURNS, Comes.LATE}:
            lineage.turn(now, IDLE, generation if comes is Comes.LATE else None)
        # One string for each generation, whoever asks, whenever, from whichever container: no lineage ever forks.
        successor = long_lived(grant).refresh_token
        assert lineage.tokens.setdefault(lineage.held, successor) == successor
        assert list(lineage.tokens.values()).count(successor) == 1
        self.keep(lineage, grant, now)
        self.check_traces(lineage, comes, client, [name for name, _ in self.keyturn.audit.events[seen:]])
        return comes

    def check_traces(self, lineage: Lineage, comes: Comes, client: Caller, traces: list[str]) -> None:
        """A thief's use is an event, or found by its owner's next use, which is an event or the session's end."""
        if comes is Comes.LATE:
            third = lineage.late_at[-3:-2] and lineage.late_at[-1] - lineage.late_at[-3] <= 7 * DAY
            assert traces == ["refresh_answered_late", *(["refresh_answered_late_often"] if third else [])]
        if comes in {Comes.ITSELF, Comes.REPEATS}:
            same = (client is ELSEWHERE) == lineage.thief_was_answered
            assert traces == ([] if same else ["refresh_from_elsewhere"])
        if comes is Comes.TURNS:
            assert traces == []
        if comes in {Comes.TURNS, Comes.LATE}:
            lineage.thief_was_answered = client is ELSEWHERE
        if client is ELSEWHERE:
            lineage.robbed = True
            # Another answer inside the window of the thief's own turn adds nothing to it.
            lineage.unseen |= comes is Comes.TURNS
        elif lineage.unseen:
            assert traces, "an owner came after a thief, and nothing tells"
            lineage.unseen = False

    @precondition(lambda self: any(lineage.may_go_on() for lineage in self.unrevoked()))
    @rule(who=anyone, where=anyone, heard=st.booleans())
    def client_refreshes(self, who: int, where: int, heard: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """An honest client refreshes, maybe after a limit; its answer arrives or is lost on the way, however often."""
        ready = [lineage for lineage in self.unrevoked() if lineage.may_go_on()]
        lineage, services = ready[who % len(ready)], self.container(where)
        promised = not lineage.robbed and lineage.lives(services.clock.now())
        comes = self.present(lineage, lineage.jar, CLIENT, services)
        assert comes.answered or not promised, "an honest client was logged out"
        if heard and comes.answered:
            lineage.jar = lineage.held

    @precondition(lambda self: any(lineage.may_go_on() for lineage in self.living()))
    @rule(who=anyone)
    def table_loses_its_answer(self, who: int) -> None:
        """The table turns the key and its answer is lost: the client is told 503 and keeps the token that it has."""
        ready = [lineage for lineage in self.living() if lineage.may_go_on()]
        lineage = ready[who % len(ready)]
        comes = lineage.predict(lineage.jar, self.now, WINDOW, own_device=bool(lineage.device_token))
        failing = FaultyStore(self.store)
        failing.fail_after("rotate_refresh_token", 2 if comes is Comes.LATE else 1)
        world = self.keyturn
        services = Keyturn(failing, world.clock, world.parameters, world.audit, world.config).services
        presented = services.refresh_tokens.decode(lineage.tokens[lineage.jar], "body")
        with pytest.raises(Unavailable):
            services.refresh(presented, CLIENT, lineage.device_token)
        if comes in {Comes.TURNS, Comes.LATE}:
            lineage.turn(self.now, IDLE, lineage.jar if comes is Comes.LATE else None)
            lineage.thief_was_answered = False
        if comes is Comes.LATE:
            assert "refresh_answered_late" in self.keyturn.audit.names()[-2:], "a late answer without a trace"
            lineage.unseen = False
        self.touched = lineage

    @precondition(lambda self: any(lineage.may_go_on() for lineage in self.living()))
    @rule(who=anyone, tabs=st.integers(2, 4))
    def tabs_refresh_together(self, who: int, tabs: int) -> None:
        """Tabs that share a token refresh at once, each through another container: all get one successor."""
        ready = [lineage for lineage in self.living() if lineage.may_go_on()]
        lineage = ready[who % len(ready)]
        generation, promised = lineage.jar, not lineage.robbed and lineage.lives(self.now + max(SKEWS))
        outcomes = {self.present(lineage, generation, CLIENT, self.container(tab)) for tab in range(tabs)}
        assert all(comes.answered for comes in outcomes) or not promised, "a tab was logged out"
        if not lineage.ended:
            lineage.jar = lineage.held

    @precondition(lambda self: self.living())
    @rule(who=anyone)
    def tab_sends(self, who: int) -> None:
        """A tab sends a refresh that takes its time."""
        lineage = self.living()[who % len(self.living())]
        lineage.late.append(lineage.jar)

    @precondition(lambda self: any(lineage.late for lineage in self.lineages))
    @rule(who=anyone, which=anyone, where=anyone, waits=waits)
    def tabs_request_arrives(self, who: int, which: int, where: int, waits: int) -> None:
        """It arrives, in any order and maybe after another tab's: inside the window it is answered alike."""
        self.keyturn.clock.advance(waits)
        waiting = [lineage for lineage in self.lineages if lineage.late]
        lineage, services = waiting[who % len(waiting)], self.container(where)
        generation = lineage.late.pop(which % len(lineage.late))
        promised = lineage.keeps_its_promise(generation, services.clock.now(), WINDOW)
        comes = self.present(lineage, generation, CLIENT, services)
        assert comes.answered or not promised, "a tab was logged out"
        if comes.answered:
            lineage.jar = lineage.held

    # --- thieves

    @precondition(lambda self: self.living())
    @rule(who=anyone)
    def thief_copies(self, who: int) -> None:
        """Somebody reads the client's token, and waits."""
        lineage = self.living()[who % len(self.living())]
        lineage.stolen.add(lineage.jar)

    @precondition(lambda self: any(lineage.stolen for lineage in self.lineages))
    @rule(who=anyone, which=anyone, where=anyone, waits=waits, whole_jar=st.booleans())
    def thief_presents(self, who: int, which: int, where: int, waits: int, whole_jar: bool) -> None:  # noqa: FBT001
        """A stolen token is used, at whatever time, alone or with what the device is known by."""
        self.keyturn.clock.advance(waits)
        robbed = [lineage for lineage in self.lineages if lineage.stolen]
        lineage = robbed[who % len(robbed)]
        generation = sorted(lineage.stolen)[which % len(lineage.stolen)]
        comes = self.present(lineage, generation, ELSEWHERE, self.container(where), own_device=whole_jar)
        lineage.robbed = True
        if comes.answered:
            lineage.stolen.add(lineage.held)
        if comes is Comes.THEFT:
            assert self.store.find_session(lineage.person.sub, lineage.sid) is None

    # --- time and keys

    @rule(seconds=st.sampled_from(STEPS_OF_TIME))
    def time_passes(self, seconds: int) -> None:
        """Nobody does anything for a while."""
        self.keyturn.clock.advance(seconds)

    @precondition(lambda self: self.rotations < KEY_ROTATIONS)
    @rule()
    def operator_rotates_keys(self) -> None:
        """New keys are published, and used ten minutes later."""
        publish_keys(self.keyturn)
        self.rotations += 1

    # --- beginning and ending

    @precondition(lambda self: len(self.living()) < SESSIONS)
    @rule(where=anyone, carried=st.none() | anyone)
    def person_logs_in(self, where: int, carried: int | None) -> None:
        """Somebody logs in, with or without a former session in the same browser, which is over then."""
        if not self.may_try():
            return
        services = self.container(where)
        former = None if carried is None else self.lineages[carried % len(self.lineages)]
        token = None if former is None else self.decoded(former)
        ends = former is not None and former.lives(services.clock.now()) and former.jar >= former.floor
        grant = log_in(services, self.person.password, email=self.person.email, carried=token)
        self.begin_lineage(grant, services.clock.now())
        if former is not None:
            former.ended |= ends

    @rule(how=revocations, who=anyone, where=anyone)
    def somebody_revokes(self, how: str, who: int, where: int) -> None:
        """One rule for all that ends sessions, or no session would live long enough to be stolen."""
        lineage = self.lineages[who % len(self.lineages)]
        services = self.container(where)
        match how:
            case "one":
                self.log_out(lineage, services)
            case "disabled":
                self.disable(services)
            case _:
                asking = next((one for one in self.living() if one.lives(services.clock.now())), None)
                principal = self.principal(asking) if asking else None
                if asking and principal:
                    self.revoke_as(how, asking, principal, lineage, services)

    def log_out(self, lineage: Lineage, services: Services) -> None:
        """A session is ended by its own token while it lives; a dead one's token changes nothing."""
        ends = lineage.lives(services.clock.now())
        services.sessions.log_out([self.decoded(lineage)], None, CLIENT)
        lineage.ended |= ends
        self.touched = lineage

    def revoke_as(self, how: str, asking: Lineage, principal: Principal, other: Lineage, services: Services) -> None:
        """A session ends another one, every other one, or every one."""
        self.touched = asking
        match how:
            case "another" if other.person is asking.person and other.lives(services.clock.now()):
                services.sessions.end_one(principal, other.sid, CLIENT)
                other.ended = True
                self.touched = other
            case "password" if asking.jar == asking.held and self.may_try():
                new = self.fresh_password()
                grant = services.change_password(
                    principal,
                    self.person.password,
                    new,
                    self.decoded(asking),
                    CLIENT,
                    device_token=asking.device_token,
                )
                self.person.password = new
                self.person.epoch += 1
                asking.epoch = self.person.epoch
                asking.renew(services.clock.now(), IDLE)
                asking.tokens[asking.held] = long_lived(grant).refresh_token
                asking.device_token = grant.device_token or ""
                self.keep(asking, grant, services.clock.now())
            case "everywhere":
                services.accounts.log_out_everywhere(principal, CLIENT)
                self.person.epoch += 1

    def disable(self, services: Services) -> None:
        """Everything of the account is over; somebody else signs up."""
        services.accounts.disable(self.person.sub, CLIENT)
        self.person.epoch += 1
        self.person.disabled = True
        if self.may_try():
            with pytest.raises(InvalidCredentials):
                log_in(services, self.person.password, email=self.person.email)
        self.sign_up()

    # --- what must hold

    @invariant()
    def touched_session_is_as_predicted(self) -> None:
        """The table holds one generation of it, and the authorizer accepts what the model says, at once."""
        lineage = self.touched
        if lineage is None:
            return
        held = self.store.find_session(lineage.person.sub, lineage.sid)
        if lineage.lives(self.now):
            assert held is not None
            assert (held.generation, held.epoch, held.rotated_at) == (lineage.held, lineage.epoch, lineage.rotated_at)
        if lineage.ended:
            assert held is None
        self.check_access(lineage, lineage.access[-2:])

    def teardown(self) -> None:
        """Nothing that was revoked is accepted anywhere, what lives works, and the table gives nothing away."""
        if not hasattr(self, "store"):
            return
        secrets = self.secrets()  # before the last presentations, whose successors are looked for too
        for lineage in self.lineages:
            self.check_access(lineage, lineage.access)
            if not lineage.lives(self.now):
                for generation in lineage.tokens:
                    assert self.present(lineage, generation, CLIENT, self.keyturn.container()) is Comes.DEAD
            elif lineage.held in lineage.tokens:
                # A token that the client never got is a thief's, and its use is no sign of its owner.
                holder = CLIENT if lineage.jar == lineage.held else ELSEWHERE
                assert self.present(lineage, lineage.held, holder, self.keyturn.container()).answered
        contents(self.store).assert_whole()
        written = written_values(rows(self.store))
        for secret in secrets | self.secrets():
            assert secret not in written

    def check_access(self, lineage: Lineage, issued: list[Issued]) -> None:
        """The authorizer accepts each of the access tokens if the model does."""
        for token in issued:
            if lineage.accepts(token, self.now):
                assert self.keyturn.authorize(token.text).sid == lineage.sid
            else:
                with pytest.raises(InvalidToken):
                    self.keyturn.authorize(token.text)

    def secrets(self) -> set[bytes]:
        """Everything that must not stand in the table."""
        found = {password.encode() for password in self.passwords}
        for lineage in self.lineages:
            found |= {token.text.encode() for token in lineage.access}
            for text in lineage.tokens.values():
                secret = self.keyturn.services.refresh_tokens.decode(text, "body").secret
                found |= {text.rpartition(".")[2].encode(), secret, b64url(secret).encode(), secret.hex().encode()}
        return found

    def decoded(self, lineage: Lineage) -> RefreshToken:
        """The client's token of the session."""
        return self.keyturn.services.refresh_tokens.decode(lineage.tokens[lineage.jar], "body")


def written_values(items: list[dict[str, dict[str, object]]]) -> bytes:
    """Every string and every byte of the items, end to end."""
    values = [value for item in items for attribute in item.values() for value in attribute.values()]
    return b"\x00".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


class SessionsOnMoto(Sessions):
    """The same on the other engine."""

    engine = "moto"


@pytest.mark.parametrize(
    ("machine", "examples"),
    [
        pytest.param(Sessions, 8, id="dynoxide, a few"),
        pytest.param(Sessions, 40, id="dynoxide", marks=pytest.mark.slow),
        pytest.param(SessionsOnMoto, 6, id="moto", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(400)  # hypothesis takes up to 300 s to find the shortest way to a failure
def test_sessions_are_what_the_design_says(machine: type[Sessions], examples: int) -> None:
    """Honest clients inside the window stay, no lineage forks, replays end sessions, what is revoked is dead."""
    bounds = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=bounds)
