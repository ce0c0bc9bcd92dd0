"""Known devices: who has logged in before is not delayed by strangers, and nobody gains more by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.crypto.device_tokens import LIFE
from chalicelib.domain.callers import Caller
from chalicelib.domain.limits import HOUR
from chalicelib.errors import InvalidCredentials, TooManyRequests
from chalicelib.services.federation.log_in import SessionRequest
from tests.flows.federated import code_for, exchange
from tests.flows.steps import (
    ELSEWHERE,
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    CountingHasher,
    assert_works,
    change_password,
    device_token,
    log_in,
    log_out,
    publish_keys,
    redeployed,
    refresh,
    sign_up,
    with_hasher,
)
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.sessions import Device
    from chalicelib.services import Services
    from tests.flows.federated import Federated

FREE = 20
STRANGER = ["count_attempt", "count_attempt", "find_login"]
KNOWN = ["count_attempt", "find_login"]
MOVED = ["count_attempt", "find_login", "count_attempt", "count_attempt"]


def fill_account(keyturn: Keyturn, times: int = FREE) -> None:
    """Guess at the account, each time from another address."""
    for number in range(times):
        with pytest.raises(InvalidCredentials):
            log_in(keyturn.services, WRONG_PASSWORD, client=Caller(f"203.0.113.{number}", "tests"))


def fill_address(keyturn: Keyturn) -> None:
    """Have so many log in behind the owner's address that the next one has to wait."""
    policy = keyturn.services.log_in.attempts.by_address
    for _ in range(policy.quota):
        assert keyturn.store.count_attempt(policy, CLIENT.address, keyturn.clock.now()) == 0


def device_of(keyturn: Keyturn, token: str) -> Device:
    """What the token says."""
    device = keyturn.services.log_in.devices.verify(token, EMAIL, keyturn.clock.now())
    assert device is not None
    return device


def steps_of(keyturn: Keyturn, password: str, token: str | None) -> list[str]:
    """The verbs of a login that is refused with 401."""
    store = FaultyStore(keyturn.store)
    with pytest.raises(InvalidCredentials):
        log_in(Keyturn(store, keyturn.clock, keyturn.parameters).services, password, device_token=token)
    return store.verbs


def test_strangers_do_not_delay_a_known_device(anywhere: Keyturn) -> None:
    """With the account's counter and the address's used up, the owner's device is let in at once, by any container."""
    token = device_token(sign_up(anywhere.services))
    fill_account(anywhere)
    fill_address(anywhere)
    with pytest.raises(TooManyRequests):
        log_in(anywhere.services)
    for services in (anywhere.services, anywhere.container()):
        assert_works(anywhere, log_in(services, device_token=token))


def test_known_device_has_a_counter_of_its_own(anywhere: Keyturn) -> None:
    """It has as many guesses as a stranger, before the hash; using them up delays no other device and no stranger."""
    token = device_token(sign_up(anywhere.services))
    other = device_token(log_in(anywhere.services))
    for _ in range(FREE):
        with pytest.raises(InvalidCredentials):
            log_in(anywhere.services, WRONG_PASSWORD, device_token=token)
    hasher = CountingHasher(anywhere.services.log_in.hashing.hasher)
    with pytest.raises(TooManyRequests) as refused:
        log_in(with_hasher(anywhere.container(), hasher), device_token=token)
    assert (refused.value.policy, refused.value.quota, refused.value.retry_after) == ("login-device", FREE, 30)
    assert hasher.calls == []
    assert_works(anywhere, log_in(anywhere.services, device_token=other))
    assert_works(anywhere, log_in(anywhere.services))


def test_every_login_makes_the_device_known(federated_anywhere: Federated) -> None:
    """Sign-up, password, code exchange and callback alike; a refresh says nothing new."""
    services = federated_anywhere.services
    grants = [sign_up(services, email="carol@example.com"), log_in(services, email="carol@example.com")]
    grants += [exchange(services, federated_anywhere.google), federated_anywhere.log_in(federated_anywhere.google)]
    for grant in grants:
        found = services.log_in.devices.verify(
            device_token(grant), grant.account.email, federated_anywhere.keyturn.clock.now()
        )
        assert found is not None
        assert found.epoch == grant.account.epoch
    assert refresh(services, grants[0]).device_token is None


def test_account_that_is_taken_over_knows_its_new_owners_device_alone(federated: Federated) -> None:
    """Whoever waited for the address's owner is a stranger from then on."""
    waiting = device_token(sign_up(federated.services))
    owner = federated.log_in(federated.google, Person(email=EMAIL))
    assert device_of(federated.keyturn, device_token(owner)).epoch == owner.account.epoch == 1
    assert device_of(federated.keyturn, waiting).epoch == 0


def test_device_keeps_its_id(federated: Federated) -> None:
    """However it logs in, and over a password change: whoever knows the password cannot make counters without end."""
    keyturn, services = federated.keyturn, federated.services
    grant = sign_up(services)
    device = device_of(keyturn, device_token(grant))
    for _ in range(3):
        grant = log_in(services, device_token=device_token(grant))
        assert device_of(keyturn, device_token(grant)) == device
    principal = keyturn.principal(grant.access_token)
    grant = change_password(services, grant, device_token=device_token(grant))
    assert device_of(keyturn, device_token(grant)) == device._replace(epoch=1)
    grant = log_in(services, NEW_PASSWORD, device_token=device_token(grant))
    assert device_of(keyturn, device_token(grant)) == device._replace(epoch=1)
    services.accounts.log_out_everywhere(principal, CLIENT)
    grant = log_in(services, NEW_PASSWORD, device_token=device_token(grant))
    assert device_of(keyturn, device_token(grant)) == device._replace(epoch=2)
    assert device_of(keyturn, device_token(log_in(services, NEW_PASSWORD))).id != device.id


def test_device_keeps_its_id_at_a_provider(federated: Federated) -> None:
    """A login there with a token of the account that it opens makes no new device; with another's it does."""
    first = federated.log_in(federated.google)
    email, devices = first.account.email, federated.services.log_in.devices
    others = device_token(sign_up(federated.services, email="carol@example.com"))

    def id_after(token: str) -> str:
        visit = SessionRequest(transport="body", caller=CLIENT, device_token=token)
        grant = federated.services.exchange_code("google", code_for(federated.google), visit)
        device = devices.verify(device_token(grant), email, federated.keyturn.clock.now())
        assert device is not None
        return device.id

    held = devices.verify(device_token(first), email, federated.keyturn.clock.now())
    assert held is not None
    assert id_after(device_token(first)) == held.id
    assert id_after(others) != held.id


def test_right_password_does_not_get_round_the_counter(anywhere: Keyturn) -> None:
    """Whoever has an account cannot have passwords hashed without end, by presenting what each login gives."""
    token, hashed = device_token(sign_up(anywhere.services)), 0
    while hashed < 2 * FREE:
        try:
            token = device_token(log_in(anywhere.services, device_token=token))
        except TooManyRequests:
            break
        hashed += 1
    assert hashed == FREE


def test_password_changes_do_not_get_round_the_counter(keyturn: Keyturn) -> None:
    """Neither do password changes, each of which raises the epoch."""
    grant, changed, passwords = sign_up(keyturn.services), 0, (PASSWORD, NEW_PASSWORD)
    token = device_token(grant)
    while changed < 2 * FREE:
        current, new = passwords[changed % 2], passwords[1 - changed % 2]
        try:
            grant = change_password(keyturn.services, grant, current, new, device_token=token)
        except TooManyRequests:
            break
        token = device_token(grant)
        changed += 1
    assert changed == FREE
    assert keyturn.audit.events[-1][1]["what"] == "change-device"


def test_strangers_do_not_delay_a_password_change(anywhere: Keyturn) -> None:
    """The owner of an account that is being guessed at can change its password, from a known device."""
    grant = sign_up(anywhere.services)
    fill_account(anywhere)
    with pytest.raises(TooManyRequests):
        change_password(anywhere.services, grant)
    renewed = change_password(anywhere.services, grant, device_token=device_token(grant))
    with pytest.raises(TooManyRequests):
        log_in(anywhere.services, NEW_PASSWORD)
    assert_works(anywhere, log_in(anywhere.services, NEW_PASSWORD, device_token=device_token(renewed)))


def test_wrong_guesses_at_a_password_change_are_held_back(keyturn: Keyturn) -> None:
    """A stolen session on a stolen device has as many guesses as any other (regressions: CVE-2026-9798)."""
    grant = sign_up(keyturn.services)
    token = device_token(grant)
    hasher = CountingHasher(keyturn.services.log_in.hashing.hasher)
    counted = with_hasher(keyturn.services, hasher)
    for _ in range(FREE):
        with pytest.raises(InvalidCredentials):
            change_password(counted, grant, WRONG_PASSWORD, device_token=token)
    hashed = list(hasher.calls)
    with pytest.raises(TooManyRequests):
        change_password(counted, grant, device_token=token)
    assert hasher.calls == hashed


def test_password_change_makes_every_other_device_unknown(anywhere: Keyturn) -> None:
    """The one that asks is renewed; where it brought nothing, or another account's token, it gets nothing."""
    grant, other = sign_up(anywhere.services), device_token(log_in(anywhere.services))
    bob = device_token(sign_up(anywhere.services, email="bob@example.com"))
    mine = device_token(grant)
    for token in (None, "", "kd2.x.y", bob):
        grant = change_password(anywhere.services, grant, new=PASSWORD, device_token=token)
        assert grant.device_token is None
    assert change_password(anywhere.services, grant, device_token=mine).device_token is None
    assert steps_of(anywhere, WRONG_PASSWORD, mine) == MOVED
    assert steps_of(anywhere, WRONG_PASSWORD, other) == MOVED


def test_session_cookie_renews_its_device(keyturn: Keyturn) -> None:
    """With the transport `session` as with a bearer token."""
    grant = sign_up(keyturn.services, transport="session")
    token = device_token(grant)
    assert change_password(keyturn.services, grant).device_token is None
    grant = log_in(keyturn.services, NEW_PASSWORD, transport="session")
    renewed = change_password(keyturn.services, grant, NEW_PASSWORD, PASSWORD, device_token=device_token(grant))
    assert device_of(keyturn, device_token(renewed)).epoch == 2
    assert device_of(keyturn, token).epoch == 0


def test_logout_leaves_the_device_known(keyturn: Keyturn) -> None:
    """It identifies a device and opens nothing: whoever logs out wants to be let in again."""
    grant = sign_up(keyturn.services)
    log_out(keyturn.services, grant)
    fill_account(keyturn)
    assert_works(keyturn, log_in(keyturn.services, device_token=device_token(grant)))


def test_logout_everywhere_makes_every_device_unknown(keyturn: Keyturn) -> None:
    """Whoever ends everything may have lost a device."""
    grant = sign_up(keyturn.services)
    keyturn.services.accounts.log_out_everywhere(keyturn.principal(grant.access_token), CLIENT)
    assert steps_of(keyturn, WRONG_PASSWORD, device_token(grant)) == MOVED


def spoilt(keyturn: Keyturn) -> dict[str, str]:
    """Tokens that make no device of this account known."""
    bob = device_token(sign_up(keyturn.services, email="bob@example.com"))
    mine = device_token(log_in(keyturn.services))
    return {
        "none": "",
        "nonsense": "nonsense",
        "a refresh token": sign_up(keyturn.services, email="carol@example.com").refresh.refresh_token,
        "another account's": bob,
        "forged": f"{mine[:-4]}AAAA",
        "endless": "kd2." + "A" * 10_000,
    }


@pytest.mark.parametrize(
    "what", ["none", "nonsense", "a refresh token", "another account's", "forged", "endless", "expired"]
)
def test_token_that_is_none_is_an_absent_one(keyturn: Keyturn, what: str) -> None:
    """The same steps, the same answer, the same counters: never an error, and never a pass."""
    sign_up(keyturn.services)
    tokens = spoilt(keyturn) | {"expired": device_token(log_in(keyturn.services))}
    keyturn.clock.advance(LIFE)
    assert isinstance(keyturn.store, FakeStore)
    keyturn.store.attempts.clear()
    assert steps_of(keyturn, WRONG_PASSWORD, tokens[what]) == STRANGER
    assert {(kind, value) for kind, value, _ in keyturn.store.attempts} == {
        ("login-account", EMAIL),
        ("login-address", CLIENT.address),
    }
    assert_works(keyturn, log_in(keyturn.services, device_token=tokens[what]))
    fill_account(keyturn, FREE - 2)
    with pytest.raises(TooManyRequests) as refused:
        log_in(keyturn.services, device_token=tokens[what])
    assert refused.value.policy == "login-account"


def move_on(keyturn: Keyturn) -> None:
    """The password is another one."""
    grant = log_in(keyturn.services)
    change_password(keyturn.services, grant)


def disable(keyturn: Keyturn) -> None:
    """The account is disabled."""
    keyturn.services.accounts.disable(log_in(keyturn.services).account.sub, CLIENT)


def disable_by_hand(keyturn: Keyturn) -> None:
    """The account is disabled, as by an operator's hand, who forgot the epoch."""
    assert isinstance(keyturn.store, FakeStore)
    login = keyturn.store.logins[EMAIL]
    keyturn.store.logins[EMAIL] = login._replace(account=login.account._replace(disabled=True))


def remove(keyturn: Keyturn) -> None:
    """The account is gone, as by an operator's hand."""
    assert isinstance(keyturn.store, FakeStore)
    keyturn.store.logins.clear()


@pytest.mark.parametrize("change", [move_on, disable, disable_by_hand, remove])
def test_device_of_before_counts_as_a_stranger(keyturn: Keyturn, change: Callable[[Keyturn], None]) -> None:
    """Where the account has moved on, is disabled or gone, account and address count before the hash."""
    token = device_token(sign_up(keyturn.services))
    change(keyturn)
    assert steps_of(keyturn, WRONG_PASSWORD, token) == MOVED
    for number in range(FREE):
        client = Caller(f"203.0.113.{number}", "tests")
        try:
            log_in(keyturn.services, WRONG_PASSWORD, client=client)
        except (InvalidCredentials, TooManyRequests):
            continue
    hasher = CountingHasher(keyturn.services.log_in.hashing.hasher)
    with pytest.raises(TooManyRequests) as refused:
        log_in(with_hasher(keyturn.services, hasher), WRONG_PASSWORD, device_token=token)
    assert refused.value.policy == "login-account"
    assert hasher.calls == []


def test_stolen_token_of_before_delays_nothing_that_came_after(keyturn: Keyturn) -> None:
    """A thief's old token and the renewed one have one id; using the old one up does not hold up the renewed one."""
    grant = sign_up(keyturn.services)
    stolen = device_token(grant)
    renewed = device_token(change_password(keyturn.services, grant, device_token=stolen))
    for _ in range(3 * FREE):
        with pytest.raises((InvalidCredentials, TooManyRequests)):
            log_in(keyturn.services, WRONG_PASSWORD, device_token=stolen, client=ELSEWHERE)
    assert_works(keyturn, log_in(keyturn.services, NEW_PASSWORD, device_token=renewed))


def test_device_is_known_across_key_rotation(keyturn: Keyturn) -> None:
    """Tokens of an older root secret go on, and the next login's is of the newest."""
    token = device_token(sign_up(keyturn.services))
    publish_keys(keyturn)
    keyturn.clock.advance(HOUR)
    fill_account(keyturn)
    renewed = device_token(log_in(keyturn.services, device_token=token))
    assert renewed.split(".")[1] != token.split(".")[1]
    assert device_of(keyturn, renewed) == device_of(keyturn, token)


def test_setting_counts_for_devices_too(keyturn: Keyturn) -> None:
    """A device has as many attempts as an account, whatever the stage sets."""
    token = device_token(sign_up(keyturn.services))
    strict: Services = redeployed(keyturn, login_attempts=5).services
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            log_in(strict, WRONG_PASSWORD, device_token=token)
    with pytest.raises(TooManyRequests) as refused:
        log_in(strict, device_token=token)
    assert refused.value.quota == 5
