"""New passwords, at sign-up and at a change: what is refused, when, and what the person is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import (
    EmailTaken,
    InvalidCredentials,
    PasswordRejected,
    ProviderError,
    TooManyRequests,
    Unavailable,
)
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    CountingHasher,
    change_password,
    credentials,
    log_in,
    sign_up,
    with_hasher,
)
from tests.providers.ranges import digest
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.domain.callers import Caller
    from chalicelib.services import Services

COMMON = "Password123"
OF_THE_ADDRESS = "Alice@Example!!"
OF_THE_SERVICE = "ACMEwidgets2026"
BREACHED = "breached horse battery"
WORDS = frozenset({"acme", "widgets"})


class Breaches:
    """ports.BreachedPasswords that remembers what left, and the hashes that had been computed by then."""

    def __init__(self, hasher: CountingHasher) -> None:
        self.asked: list[str] = []
        self.hashes: list[int] = []
        self.failure: Exception | None = None
        self._hasher = hasher

    def suffixes(self, prefix: str) -> frozenset[str]:
        """The one breached password, in its range."""
        self.asked.append(prefix)
        self.hashes.append(self._hasher.calls.count("hash"))
        if self.failure is not None:
            raise self.failure
        return frozenset({digest(BREACHED)[5:]} if digest(BREACHED).startswith(prefix) else ())


class World:
    """Keyturn with context words and a list of breaches, which everything asks that is asked."""

    def __init__(self, store: Any = None) -> None:
        self.keyturn = Keyturn(store or FakeStore(), config=config(context_words=WORDS))
        self.hasher = CountingHasher(self.keyturn.services.log_in.hashing.hasher)
        self.breaches = Breaches(self.hasher)
        self.services = with_breaches(with_hasher(self.keyturn.services, self.hasher), self.breaches)

    def sign_up(self, password: str, email: str = EMAIL, client: Caller = CLIENT) -> Any:
        """Sign up with this password."""
        return self.services.sign_up(credentials(password, email=email), client)


def with_breaches(services: Services, breaches: Breaches) -> Services:
    """The same services, of an operator who has named a list of breaches."""
    passwords = replace(services.sign_up.passwords, breached=breaches)
    return replace(
        services,
        sign_up=replace(services.sign_up, passwords=passwords),
        change_password=replace(services.change_password, passwords=passwords),
    )


REFUSED = {"short": "1234567", "common": COMMON, "address": OF_THE_ADDRESS, "service": OF_THE_SERVICE}


@pytest.mark.parametrize("reason", REFUSED)
def test_weak_password_costs_nothing_at_sign_up(reason: str) -> None:
    """It is refused before any call, any hash and any look-up, and counts for nobody (ASVS V6.2.1, V6.2.4, V6.2.11)."""
    store = FaultyStore(FakeStore())
    world = World(store)
    with pytest.raises(PasswordRejected):
        world.sign_up(REFUSED[reason])
    assert (store.calls, world.hasher.calls, world.breaches.asked) == ([], [], [])


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.parametrize("transport", ["body", "session"])
def test_weak_password_is_no_new_one(reason: str, transport: Any) -> None:
    """A change asks the same, before any hash, and the old password goes on."""
    world = World()
    grant = sign_up(world.services, transport=transport)
    world.hasher.calls.clear()
    world.breaches.asked.clear()

    with pytest.raises(PasswordRejected):
        change_password(world.services, grant, new=REFUSED[reason])
    assert (world.hasher.calls, world.breaches.asked) == ([], [])
    log_in(world.services)


def test_each_reason_says_what_to_do() -> None:
    """Five reasons, five sentences: each tells the person something else, and none repeats a part of the password."""
    world = World()
    details = {}
    for reason, password in {**REFUSED, "breached": BREACHED}.items():
        with pytest.raises(PasswordRejected) as refused:
            world.sign_up(password)
        details[reason] = str(refused.value.detail)
    assert details["short"] == "A password needs at least 8 characters."
    assert "common" in details["common"]
    assert "address" in details["address"]
    assert details["service"] == details["address"]
    assert "breach" in details["breached"]
    assert len(set(details.values())) == 4
    told = " ".join(details.values()).lower()
    assert not [
        part for part in ("password123", "alice", "acme", "widgets", "2026", "horse", "1234567") if part in told
    ]
    logged = str(world.keyturn.audit.events).lower()
    assert not [
        part for part in (COMMON.lower(), "acmewidgets", BREACHED, digest(BREACHED)[:5].lower()) if part in logged
    ]


def test_breached_password_is_refused() -> None:
    """At sign-up after the limiter, before the hash and before anything of an account is written (ASVS V6.2.12)."""
    store = FaultyStore(FakeStore())
    world = World(store)
    with pytest.raises(PasswordRejected):
        world.sign_up(BREACHED)
    assert world.breaches.asked == [digest(BREACHED)[:5]]
    assert world.hasher.calls == []
    assert store.verbs == ["count_attempt"]


def test_breached_password_is_no_new_one() -> None:
    """At a change after the current password, so that whoever does not know it learns and costs nothing by it."""
    world = World()
    grant = sign_up(world.services)
    world.breaches.asked.clear()
    world.hasher.calls.clear()
    with pytest.raises(InvalidCredentials):
        change_password(world.services, grant, WRONG_PASSWORD, BREACHED)
    assert world.breaches.asked == []
    with pytest.raises(PasswordRejected):
        change_password(world.services, grant, new=BREACHED)
    assert world.breaches.asked == [digest(BREACHED)[:5]]
    assert "hash" not in world.hasher.calls
    log_in(world.services)


def test_one_look_for_each_new_password() -> None:
    """Sign-up and change ask once, before the hash; a login never does."""
    world = World()
    grant = sign_up(world.services)
    log_in(world.services)
    with pytest.raises(InvalidCredentials):
        log_in(world.services, BREACHED)
    change_password(world.services, grant)
    log_in(world.services, NEW_PASSWORD)
    assert world.breaches.asked == [digest(PASSWORD)[:5], digest(NEW_PASSWORD)[:5]]
    assert world.breaches.hashes == [0, 1]


def test_password_that_was_breached_since_goes_on() -> None:
    """Whoever has a password that would be refused today logs in with it: new ones are judged, and no other."""
    world = World()
    sign_up(world.keyturn.services)
    world.keyturn.services.accounts.store.replace_password_digest(
        EMAIL,
        str(world.keyturn.store.find_login(EMAIL).password_digest),  # type: ignore[union-attr]
        world.hasher.hash(BREACHED),
    )
    log_in(world.services, BREACHED)


def test_known_address_is_told_the_same() -> None:
    """The reasons and the look-up are the same for an address that has an account: they tell nothing of it."""
    world = World()
    world.sign_up(PASSWORD)
    for email in (EMAIL, "alice@example.org"):
        world.breaches.asked.clear()
        for password in (*REFUSED.values(), BREACHED):
            with pytest.raises(PasswordRejected):
                world.sign_up(password, email)
        assert len(world.breaches.asked) == 1
    world.breaches.asked.clear()
    world.hasher.calls.clear()
    with pytest.raises(EmailTaken):
        world.sign_up(NEW_PASSWORD)
    assert (len(world.breaches.asked), world.hasher.calls) == (1, ["hash"])


def test_limiter_guards_the_look_up() -> None:
    """Whoever is told to wait sends nothing out and hashes nothing."""
    world = World()
    limit = world.keyturn.config.limits.signup_attempts
    for number in range(limit):
        with pytest.raises(PasswordRejected):
            world.sign_up(BREACHED, f"n{number}@example.com")
    assert len(world.breaches.asked) == limit
    with pytest.raises(TooManyRequests):
        world.sign_up(BREACHED)
    assert (len(world.breaches.asked), world.hasher.calls) == (limit, [])


@pytest.mark.parametrize("failure", [Unavailable, ProviderError])
def test_password_is_taken_while_the_list_is_away(failure: type[Unavailable]) -> None:
    """What the operator's own checks pass is taken, with an event for each time; what they refuse is not."""
    world = World()
    world.breaches.failure = failure(debug="breaches.example: TimeoutError")
    grant = world.sign_up(BREACHED)
    change_password(world.services, grant, BREACHED)
    events = [facts for event, facts in world.keyturn.audit.events if event == "breach_lookup_failed"]
    assert events == [{"caller": CLIENT, "why": "breaches.example: TimeoutError"}] * 2
    for password in REFUSED.values():
        with pytest.raises(PasswordRejected):
            world.sign_up(password)


def test_nothing_is_asked_where_no_list_is_named() -> None:
    """By default nothing leaves: a stage talks to nobody whom its operator has not named."""
    keyturn = Keyturn(FakeStore())
    assert keyturn.services.sign_up.passwords.breached is None
    keyturn.services.sign_up(credentials(BREACHED), CLIENT)


def test_minimum_and_words_are_the_operators() -> None:
    """The settings reach the check: a longer minimum, counted beside the words of the stage."""
    keyturn = Keyturn(FakeStore(), config=config(context_words=WORDS, min_length=15))
    sign_up = keyturn.services.sign_up
    for password in ("x" * 14, "acme " + "horse battery", "wrong horse acme"):
        with pytest.raises(PasswordRejected, match="15"):
            sign_up(credentials(password), CLIENT)
    sign_up(credentials("acme correct horse battery"), CLIENT)


@pytest.mark.parametrize(
    "password",
    ["  correct horse  ", "🔑" * 8, "Überraschung im Schrank", "é" * 256, "tab\there and there", "<b>&amp;%00</b>"],
    ids=ascii,
)
def test_every_other_password_is_taken_as_it_is(password: str) -> None:
    """Blanks, any script, up to 256 characters: verbatim, and no other logs in (ASVS V6.2.5, V6.2.8, V6.2.9)."""
    world = World()
    world.sign_up(password)
    log_in(world.services, password)
    for other in (password.strip(), password[:-1], password.lower().upper()):
        if other != password:
            with pytest.raises(InvalidCredentials):
                log_in(world.services, other)
