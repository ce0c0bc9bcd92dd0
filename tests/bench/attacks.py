"""Ten thousand attempts of each kind, in this process: what they get hashed, what they cost, who is kept out by them.

Everything is the product's but four things: the clock, which the attack moves; the table, which is the tests' fake and
counts units; the hash, which is counted and not computed; and the log, which is counted. Ten containers answer in turn,
each with a memory of its own.
"""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from chalicelib.domain.callers import Caller, Principal
from chalicelib.errors import InvalidCredentials, TooManyRequests
from chalicelib.services.accounts.credentials import Credentials
from chalicelib.services.federation.requests import LoginRequest
from tests.flows.steps import with_hasher
from tests.world.constants import PAGE, PASSWORD
from tests.world.keyturn import Keyturn
from tests.world.provider import FakeProvider
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.domain.accounts import Account, Login
    from chalicelib.domain.federation import PendingLogin
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.domain.sessions import Session
    from chalicelib.services import Services

ATTEMPTS = 10_000
CONTAINERS = 10
WRONG = "wrong horse battery"
OWNER = "owner@example.com"
HOME = Caller("198.51.100.1", "the owner's browser")
LATER = Caller("198.51.100.2", "another browser of the owner")
OFFICE = Caller("203.0.113.1", "the owner's browser, behind the attacker's address")

# Attempts a second. The one is what API Gateway lets through to the stage by default (KEYTURN_THROTTLE_RATE), of all
# callers together; the other spreads the attack over an hour.
FASTEST = "100 a second"
PACES = {FASTEST: 100.0, "in an hour": ATTEMPTS / 3600}
# An attack that ends with the counters' window leaves nothing to wait for; this one ends in the middle of it.
HALF_AN_HOUR = "in half an hour"
SPEEDS = {**PACES, HALF_AN_HOUR: ATTEMPTS / 1800}

# USD. Sources: DynamoDB on demand after its price was halved on 2024-11-01, by Airbyte's account of 2025-07-21; API
# Gateway (REST) and Lambda requests by AWS's own pages; Lambda's duration (x86) as cloudchipr quoted it in 2025.
WRITE_UNIT = 0.625e-6
READ_UNIT = 0.125e-6
REQUEST = 3.50e-6 + 0.20e-6
SECOND = 0.0000166667 * 1769 / 1024  # of the API function, which has 1769 MB
# What Lambda bills an attempt, in seconds: CPU by docs/performance.md, and 5 ms assumed for each wait for the table.
HASHED, REFUSED, REMEMBERED = 0.035, 0.008, 0.001


class BilledStore(FakeStore):
    """The fake, counting units as DynamoDB bills them, for the verbs that an attack gets to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.writes = 0
        self._bill = Lock()

    def _pay(self, *, reads: int = 0, writes: int = 0) -> None:
        with self._bill:
            self.reads += reads
            self.writes += writes

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """One, also where the condition fails."""
        self._pay(writes=1)
        return super().count_attempt(policy, value, now)

    def find_login(self, email: str) -> Login | None:
        """One."""
        self._pay(reads=1)
        return super().find_login(email)

    def find_account(self, sub: str) -> Account | None:
        """One."""
        self._pay(reads=1)
        return super().find_account(sub)

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """Two."""
        self._pay(reads=2)
        return super().find_session_and_account(sub, sid)

    def create_session(self, session: Session) -> None:
        """One."""
        self._pay(writes=1)
        super().create_session(session)

    def create_account(self, login: Login, session: Session) -> bool:
        """Two for each of three items."""
        self._pay(writes=6)
        return super().create_account(login, session)

    def begin_login(self, digest: bytes, pending: PendingLogin) -> None:
        """One."""
        self._pay(writes=1)
        super().begin_login(digest, pending)


class FreeHasher:
    """Counts hashes instead of computing them."""

    def __init__(self) -> None:
        self.hashes = 0

    def hash(self, password: str) -> str:
        """As PasswordHasher."""
        self.hashes += 1
        return f"digest of {password}"

    def verify(self, password_digest: str | None, password: str) -> bool:
        """As PasswordHasher."""
        self.hashes += 1
        return password_digest == f"digest of {password}"

    def needs_rehash(self, password_digest: str) -> bool:
        """As PasswordHasher."""
        del password_digest
        return False


class Tally:
    """ports.AuditLog that counts what the limiter has refused."""

    def __init__(self) -> None:
        self.by_table = self.from_memory = 0

    def record(self, event: str, client: Caller, **facts: str | int | bool) -> None:
        """Count."""
        del client
        if event == "too_many_attempts":
            self.from_memory += bool(facts["from_memory"])
            self.by_table += not facts["from_memory"]


class Stage:
    """Some containers over one table, and the owner of an account, who has logged in on one device."""

    def __init__(self) -> None:
        self.store, self.hasher, self.audit = BilledStore(), FreeHasher(), Tally()
        audit, providers = self.audit, {"google": FakeProvider()}
        self.keyturn = Keyturn(self.store, audit=audit, providers=providers)  # type: ignore[arg-type]  # a log all the same
        self._containers = [self.container() for _ in range(CONTAINERS)]
        grant = self._containers[0].sign_up(Credentials(email=OWNER, password=PASSWORD, transport="body"), HOME)
        assert grant.device_token
        self.device_token = grant.device_token
        self.stolen_token = self.keyturn.services.log_in.devices.issue(OWNER, 0, self.keyturn.clock.now())
        self.refresh_token = self.keyturn.services.refresh_tokens.decode(grant.refresh.refresh_token, "body")
        self.principal = Principal(grant.account.sub, grant.session_id, (), "", email_verified=False, auth_time=0)
        self.store.attempts.clear()
        self.store.reads = self.store.writes = self.hasher.hashes = 0

    def container(self) -> Services:
        """A cold one."""
        services = self.keyturn.container()
        return with_hasher(services, self.hasher)

    def in_turn(self, number: int) -> Services:
        """Whichever container is next."""
        return self._containers[number % CONTAINERS]


def log_in(
    services: Services, password: str, client: Caller, email: str = OWNER, device_token: str | None = None
) -> None:
    """One login."""
    credentials = Credentials(email=email, password=password, transport="body", device_token=device_token)
    services.log_in(credentials, client)


def begin(services: Services, client: Caller, device_token: str | None = None) -> None:
    """One login that is begun at a provider."""
    request = LoginRequest(return_to=PAGE, transport="cookie", device_token=device_token)
    services.begin_login("google", request, None, client)


def from_one(_: int) -> Caller:
    """One address."""
    return Caller("203.0.113.1", "attacker")


def from_many(number: int) -> Caller:
    """An address for each attempt, as a botnet has them."""
    return Caller(str(ipaddress.IPv4Address("10.0.0.0") + number), "attacker")


def from_network(number: int) -> Caller:
    """An address for each attempt, all in one IPv6 /64, as anybody has them."""
    return Caller(str(ipaddress.IPv6Address("2001:db8::") + number * 0x1_0001_0001), "attacker")


def guess(stage: Stage, number: int, client: Caller) -> None:
    """Guess the owner's password."""
    log_in(stage.in_turn(number), f"{WRONG} {number}", client)


def guess_with_forged_device(stage: Stage, number: int, client: Caller) -> None:
    """The same with a made-up device token each time."""
    key_id = stage.device_token.split(".")[1]
    log_in(stage.in_turn(number), f"{WRONG} {number}", client, device_token=f"kd1.{key_id}.{number:054}")


def guess_with_stolen_device(stage: Stage, number: int, client: Caller) -> None:
    """The same with a device token that was stolen from another device of the owner's than they use."""
    log_in(stage.in_turn(number), f"{WRONG} {number}", client, device_token=stage.stolen_token)


def guess_by_change(stage: Stage, number: int, client: Caller) -> None:
    """Guess it by changing it, with a stolen session."""
    services, new = stage.in_turn(number), "fresh horse battery"
    services.change_password(stage.principal, f"{WRONG} {number}", new, stage.refresh_token, client)


def spray(stage: Stage, number: int, client: Caller) -> None:
    """One common password on every account; the owner's is the first."""
    log_in(stage.in_turn(number), WRONG, client, OWNER if number == 0 else f"n{number}@example.com")


def sign_up(stage: Stage, number: int, client: Caller) -> None:
    """Make accounts."""
    credentials = Credentials(email=f"n{number}@example.com", password=PASSWORD, transport="body")
    stage.in_turn(number).sign_up(credentials, client)


def begin_logins(stage: Stage, number: int, client: Caller) -> None:
    """Begin logins at a provider, as a program does, or a browser that does not say that a page has it ask."""
    begin(stage.in_turn(number), client)


@dataclass(frozen=True)
class Attack:
    """What is attempted, from where, and how fast."""

    what: str
    attempt: Callable[[Stage, int, Caller], None]
    where: str
    address: Callable[[int], Caller]
    pace: str

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.what} from {self.where}, {self.pace}"


ONE, MANY, NETWORK = "one address", "10,000 addresses", "one IPv6 /64"
WHERE: dict[str, Callable[[int], Caller]] = {ONE: from_one, MANY: from_many, NETWORK: from_network}
KINDS: tuple[tuple[str, Callable[[Stage, int, Caller], None], Sequence[str]], ...] = (
    ("guesses at one account", guess, (ONE, NETWORK, MANY)),
    ("guesses at one account with forged device tokens", guess_with_forged_device, (MANY,)),
    ("guesses at one account with a stolen device token", guess_with_stolen_device, (MANY,)),
    ("guesses at one account by password change, with a stolen session,", guess_by_change, (MANY,)),
    ("one guess at each of 10,000 accounts", spray, (ONE, NETWORK, MANY)),
    ("sign-ups", sign_up, (ONE, MANY)),
)
ATTACKS = tuple(
    Attack(what, attempt, where, WHERE[where], pace)
    for what, attempt, places in KINDS
    for where in places
    for pace in PACES
)

# Run once more with the owner behind the attacker's address: in an office, behind the NAT of a carrier, or behind a
# proxy that is the only client which Keyturn sees.
SHARED = tuple(
    Attack(what, attempt, "the owner's own address", from_one, pace)
    for what, attempt in (
        ("guesses at one account", guess),
        ("one guess at each of 10,000 accounts", spray),
        ("sign-ups", sign_up),
        ("logins begun at a provider", begin_logins),
    )
    for pace in (FASTEST, HALF_AN_HOUR)
)

AS_FAST_AS_POSSIBLE = tuple(attack for attack in ATTACKS if attack.pace == FASTEST)
SHARED_AS_FAST_AS_POSSIBLE = tuple(attack for attack in SHARED if attack.pace == FASTEST)


@dataclass(frozen=True)
class Outcome:
    """What came of an attack. `waits`: seconds until the owner is let in on a device that nobody knows."""

    attack: Attack
    hashes: int
    by_table: int
    from_memory: int
    writes: int
    reads: int
    known_device_is_let_in: bool
    waits: int

    @property
    def usd(self) -> float:
        """What AWS bills for it."""
        seconds = self.hashes * HASHED + self.by_table * REFUSED + self.from_memory * REMEMBERED
        units = self.writes * WRITE_UNIT + self.reads * READ_UNIT
        return ATTEMPTS * REQUEST + seconds * SECOND + units


def run(attack: Attack) -> Outcome:
    """Attack, and let the owner try at once when it is over."""
    stage = _attacked(attack)
    clock, audit, store = stage.keyturn.clock, stage.audit, stage.store
    cost = (stage.hasher.hashes, audit.by_table, audit.from_memory, store.writes, store.reads)
    known = _let_in(lambda: log_in(stage.container(), PASSWORD, HOME, device_token=stage.device_token)) is None
    ended = clock.now()
    while wait := _let_in(lambda: log_in(stage.container(), PASSWORD, LATER)):
        clock.advance(wait)
    return Outcome(attack, *cost, known, clock.now() - ended)


@dataclass(frozen=True)
class Beside:
    """What an attack comes to for the owner behind the attacker's address, by what the owner does then.

    `waits`: seconds after the attack's end until the owner is let in.
    """

    attack: Attack
    let_through: int
    waits: dict[str, int]


# What the owner does, behind the attacker's address.
ACTS: dict[str, Callable[[Stage], None]] = {
    "password, known device": lambda stage: log_in(
        stage.container(), PASSWORD, OFFICE, device_token=stage.device_token
    ),
    "password, new device": lambda stage: log_in(stage.container(), PASSWORD, OFFICE),
    "provider, known browser": lambda stage: begin(stage.container(), OFFICE, stage.device_token),
    "provider, new browser": lambda stage: begin(stage.container(), OFFICE),
    "sign-up": lambda stage: sign_up(stage, ATTEMPTS, OFFICE),
}


def run_beside(attack: Attack) -> Beside:
    """Attack, and let the owner try everything at once when it is over, and again after the time that they are told."""
    stage = _attacked(attack)
    clock, ended = stage.keyturn.clock, stage.keyturn.clock.now()
    let_through = ATTEMPTS - stage.audit.by_table - stage.audit.from_memory
    told = {name: _let_in(partial(act, stage)) or 0 for name, act in ACTS.items()}
    waits = dict.fromkeys(ACTS, 0)
    for name in sorted((name for name in ACTS if told[name]), key=lambda name: told[name]):
        clock.time = max(clock.now(), ended + told[name])
        while wait := _let_in(partial(ACTS[name], stage)):
            clock.advance(wait)
        waits[name] = clock.now() - ended
    return Beside(attack, let_through, waits)


def _attacked(attack: Attack) -> Stage:
    stage = Stage()
    clock, begun = stage.keyturn.clock, stage.keyturn.clock.now()
    assert begun % 3600 == 0, "the attack is to meet one window of the counters"
    for number in range(ATTEMPTS):
        clock.time = begun + int(number / SPEEDS[attack.pace])
        try:
            attack.attempt(stage, number, attack.address(number))
        except (InvalidCredentials, TooManyRequests):
            continue
    return stage


def _let_in(attempt: Callable[[], None]) -> int | None:
    """None where it is; else how long to wait."""
    try:
        attempt()
    except TooManyRequests as refused:
        return refused.retry_after
    return None


def rows(outcomes: Iterable[Outcome]) -> list[str]:
    """The outcomes as lines of a table in Markdown."""
    costs = ("10,000 attempts", "hashes", "refused by the table", "from memory", "write units", "read units", "USD")
    heads = (*costs, "the owner, on a known device", "on another one, once it is over")
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * 6}---|---|"]
    for outcome in outcomes:
        figures = (outcome.hashes, outcome.by_table, outcome.from_memory, outcome.writes, outcome.reads)
        cells = (
            outcome.attack.name,
            *(f"{figure:,}" for figure in figures),
            f"{outcome.usd:.3f}",
            "at once" if outcome.known_device_is_let_in else "has to wait",
            f"after {outcome.waits} s" if outcome.waits else "at once",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def rows_beside(outcomes: Iterable[Beside]) -> list[str]:
    """What they come to behind one address, as lines of a table in Markdown."""
    heads = ("10,000 attempts", "let through", *ACTS)
    lines = [f"| {' | '.join(heads)} |", f"|---|---:|{'---|' * len(ACTS)}"]
    for outcome in outcomes:
        waits = [f"after {wait} s" if wait else "at once" for wait in outcome.waits.values()]
        lines.append(f"| {' | '.join((outcome.attack.name, f'{outcome.let_through:,}', *waits))} |")
    return lines


def report(attacks: Iterable[Attack], shared: Iterable[Attack]) -> None:
    """Run them and print both tables."""
    sys.stdout.write("\n".join(["", *rows(run(attack) for attack in attacks), ""]))
    sys.stdout.write("\n".join(["", *rows_beside(run_beside(attack) for attack in shared), ""]))


if __name__ == "__main__":
    report(ATTACKS, SHARED)
