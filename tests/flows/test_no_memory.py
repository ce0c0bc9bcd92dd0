"""A machine that cannot hash is no wrong password: 503, no attempt is spent, and nothing is half-written.

authelia #866, argon2_elixir #25: argon2 without memory was told as a wrong password.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chalicelib import deadline
from chalicelib.errors import ConfigurationError, InvalidCredentials, TooManyRequests, Unavailable
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    Exhausted,
    assert_works,
    change_password,
    device_token,
    log_in,
    sign_up,
    with_dearer_hash,
    with_hasher,
)
from tests.world.constants import PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from tests.flows.federated import Federated

ROOT = Path(__file__).parents[2]
FEW = {"login_attempts": 5, "address_attempts": 20, "signup_attempts": 5}

# Each way to have something hashed, and what of the hash fails there.
WAYS: dict[str, tuple[str, Callable[[Services, Grant, Keyturn], object]]] = {
    "login": ("verify", lambda services, _, __: log_in(services)),
    "login with a wrong password": ("verify", lambda services, _, __: log_in(services, WRONG_PASSWORD)),
    "login of nobody": ("verify", lambda services, _, __: log_in(services, email="nobody@example.com")),
    "login from a known device": (
        "verify",
        lambda services, grant, _: log_in(services, device_token=device_token(grant)),
    ),
    "password change": (
        "verify",
        lambda services, grant, _: change_password(services, grant),
    ),
    "password change, new password": (
        "hash",
        lambda services, grant, _: change_password(services, grant),
    ),
    "password change from a known device": (
        "verify",
        lambda services, grant, _: change_password(services, grant, device_token=device_token(grant)),
    ),
    "sign-up": ("hash", lambda services, _, __: sign_up(services, email="carol@example.com")),
}


def exhausted(services: Services, *failing: str) -> Services:
    """The same services on a machine without memory for these calls."""
    return with_hasher(services, Exhausted(services.log_in.hashing.hasher, failing))


def counted(store: FakeStore) -> dict[tuple[str, str], int]:
    """How many attempts each counter holds."""
    return {(kind, value): attempts for (kind, value, _), (attempts, _) in store.attempts.items() if attempts}


@pytest.mark.parametrize("way", WAYS)
def test_no_attempt_is_spent(way: str) -> None:
    """However often the machine fails: each time 503, every counter is as before, and nothing else is written."""
    store = FakeStore()
    keyturn = Keyturn(store, config=config(**FEW))
    grant = sign_up(keyturn.services)
    failing, act = WAYS[way]
    before = (counted(store), dict(store.logins), dict(store.sessions))
    services = exhausted(keyturn.container(), failing)
    for _ in range(60):
        with pytest.raises(Unavailable):
            act(services, grant, keyturn)
    assert (counted(store), store.logins, store.sessions) == before
    assert "too_many_attempts" not in keyturn.audit.names()
    assert_works(keyturn, log_in(keyturn.services))


def test_first_password_spends_no_attempt(federated: Federated) -> None:
    """An account that a provider has opened sets its first password as soon as the machine can hash again."""
    grant = federated.log_in(federated.google)
    services = exhausted(federated.services, "hash")
    for _ in range(60):
        with pytest.raises(Unavailable):
            change_password(services, grant, None)
    assert change_password(federated.services, grant, None).access_token


def test_device_of_before_gets_all_of_its_attempts_back() -> None:
    """A known device that turns out to be a stranger was counted three times, and is given back three times."""
    store = FakeStore()
    keyturn = Keyturn(store, config=config(**FEW))
    grant = sign_up(keyturn.services)
    change_password(keyturn.services, grant)
    before = counted(store)
    services = exhausted(keyturn.container(), "verify")
    for _ in range(60):
        with pytest.raises(Unavailable):
            log_in(services, NEW_PASSWORD, device_token=device_token(grant))
    assert counted(store) == before


def test_slot_is_free_again_beyond_the_free_attempts(anywhere: Keyturn) -> None:
    """Where attempts must be apart, one that the machine failed does not make the owner wait for the next slot."""
    anywhere = Keyturn(anywhere.store, anywhere.clock, anywhere.parameters, anywhere.audit, config(**FEW))
    sign_up(anywhere.services)
    for number in range(5):
        with pytest.raises(InvalidCredentials):
            log_in(anywhere.services, f"{WRONG_PASSWORD} {number}")
    with pytest.raises(TooManyRequests):
        log_in(anywhere.services)
    anywhere.clock.advance(30)
    with pytest.raises(Unavailable):
        log_in(exhausted(anywhere.services, "verify"))
    assert_works(anywhere, log_in(anywhere.services))


def test_container_that_refused_meanwhile_asks_the_table_again(keyturn: Keyturn) -> None:
    """A refusal that is remembered of before the attempt was given back is forgotten with it."""
    keyturn = Keyturn(keyturn.store, config=config(**FEW))
    sign_up(keyturn.services)
    for number in range(5):
        with pytest.raises(InvalidCredentials):
            log_in(keyturn.services, f"{WRONG_PASSWORD} {number}")
    keyturn.clock.advance(30)

    class RefusedMeanwhile(Exhausted):
        def verify(self, password_digest: str | None, password: str) -> bool:
            with pytest.raises(TooManyRequests):
                log_in(keyturn.services)
            return super().verify(password_digest, password)

    with pytest.raises(Unavailable):
        log_in(with_hasher(keyturn.services, RefusedMeanwhile()))
    assert_works(keyturn, log_in(keyturn.services))


def guesses_of(*, failing_every: int) -> int:
    """How many guesses somebody gets who tries once a second for 40 minutes, where every so many find no memory."""
    keyturn = Keyturn(FakeStore(), config=config(**FEW))
    sign_up(keyturn.services)
    failing, guesses = exhausted(keyturn.services, "verify"), 0
    for second in range(1, 2400):
        keyturn.clock.advance(1)
        try:
            log_in(keyturn.services if second % failing_every else failing, WRONG_PASSWORD)
        except InvalidCredentials:
            guesses += 1
        except (TooManyRequests, Unavailable):
            continue
    return guesses


@pytest.mark.parametrize("every", [2, 3, 7, 30])
def test_failures_between_guesses_give_no_guess_more(every: int) -> None:
    """Whoever guesses on a machine that fails now and then gets no guess more than on a machine that never does."""
    assert 5 < guesses_of(failing_every=every) <= guesses_of(failing_every=10**6)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_attempt_that_cannot_be_given_back_stays_503(nth: int, when: str) -> None:
    """A table that does not take it back changes nothing about the answer; the other counter is given back."""
    inner = FakeStore()
    sign_up(Keyturn(inner).services)
    before = sum(counted(inner).values())
    store = FaultyStore(inner)
    (store.fail_before if when == "before" else store.fail_after)("return_attempt", nth)
    with pytest.raises(Unavailable, match="no memory"):
        log_in(exhausted(Keyturn(store).services, "verify"))
    assert store.verbs.count("return_attempt") == 2
    assert sum(counted(inner).values()) == before + (when == "before")


def test_giving_back_keeps_to_the_requests_time() -> None:
    """Each counter gets the time of one attempt and no more than is left of the request's own."""
    left: list[float] = []

    def look(verb: str, _: int) -> None:
        if verb == "return_attempt":
            left.append(deadline.remaining())

    store = FaultyStore(FakeStore(), at_call=look)
    services = exhausted(Keyturn(store).services, "verify")
    for seconds in (2.5, 0.5):
        with deadline.start(seconds), pytest.raises(Unavailable):
            log_in(services)
    assert all(remaining <= deadline.ONE_ATTEMPT_SECONDS for remaining in left[:2])
    assert all(remaining <= 0.5 for remaining in left[2:])
    assert len(left) == 4


def test_rehash_that_fails_does_not_fail_the_login(anywhere: Keyturn) -> None:
    """The person is logged in; the next login hashes the password again."""
    sign_up(anywhere.services)
    dearer = with_dearer_hash(anywhere.services)
    grant = log_in(with_hasher(dearer, Exhausted(dearer.log_in.hashing.hasher, ("hash",))))
    assert_works(anywhere, grant)
    assert [facts["why"] for name, facts in anywhere.audit.events if name == "rehash_failed"] == ["no memory"]
    login = anywhere.store.find_login(EMAIL)
    assert login
    assert login.password_digest
    assert dearer.log_in.hashing.hasher.needs_rehash(login.password_digest)


@pytest.mark.parametrize("damaged", ["", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=8,t=1,p=1$$", "\u00e9"])
def test_digest_that_cannot_be_read_is_the_operators(damaged: str) -> None:
    """A damaged or foreign digest lets nobody in, calls nobody's password wrong, and the log names the account."""
    store = FakeStore()
    keyturn = Keyturn(store)
    grant = sign_up(keyturn.services)
    store.logins[EMAIL] = store.logins[EMAIL]._replace(password_digest=damaged)
    sessions = dict(store.sessions)
    told = f"account {grant.account.sub}: the stored digest"
    with pytest.raises(ConfigurationError, match=told):
        log_in(keyturn.services)
    with pytest.raises(ConfigurationError, match=told):
        change_password(keyturn.services, grant)
    assert store.sessions == sessions


# On a machine that really has no memory: argon2 itself fails. In a process of its own, because the limit stays.
STARVED = f"""
import resource
from chalicelib.errors import Unavailable
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore
from tests.flows.steps import change_password, log_in, sign_up

store = FakeStore()
keyturn = Keyturn(store, config=config(argon2_profile="rfc9106"))  # 64 MiB a hash
grant = sign_up(keyturn.services)
before = {{key[:2]: n for key, (n, _) in store.attempts.items() if n}}
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 48 * 2**20,) * 2)
for act in (
    lambda: log_in(keyturn.services),
    lambda: log_in(keyturn.services, "{WRONG_PASSWORD}"),
    lambda: log_in(keyturn.services, email="nobody@example.com"),
    lambda: sign_up(keyturn.services, email="carol@example.com"),
    lambda: change_password(keyturn.services, grant),
):
    try:
        act()
    except Unavailable as error:
        print(error.debug)
    else:
        print("let in")
assert {{key[:2]: n for key, (n, _) in store.attempts.items() if n}} == before
assert set(store.logins) == {{"{EMAIL}"}}
"""


def test_argon2_without_memory_is_503() -> None:
    """Right password, wrong password, unknown address, sign-up, password change: argon2 fails, and each is 503."""
    done = subprocess.run(  # noqa: S603  # our own text
        [sys.executable, "-c", STARVED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    verify, hash_ = (
        "argon2: VerificationError: Memory allocation error",
        "argon2: HashingError: Memory allocation error",
    )
    assert done.stdout.splitlines() == [verify, verify, verify, hash_, verify]
    assert PASSWORD not in done.stderr
