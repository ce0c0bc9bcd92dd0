"""How logins at providers are counted: apart from passwords, by address, and a known browser by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from chalicelib.crypto.device_tokens import LIFE
from chalicelib.errors import TooManyRequests, Unavailable
from chalicelib.services.federation.log_in import SessionRequest
from tests.flows.federated import BrowserFlow, Federated, code_for, exchange, granted
from tests.flows.steps import (
    ELSEWHERE,
    assert_works,
    change_password,
    device_token,
    link,
    log_in,
    long_lived,
    sign_up,
)
from tests.world.constants import CLIENT
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.services.attempts import Attempts

AT_ADDRESS = ("provider-address", CLIENT.address)


@dataclass
class Office:
    """Keyturn with two providers, for people who all come from CLIENT's address."""

    federated: Federated

    @property
    def attempts(self) -> Attempts:
        """The limiter of the running container."""
        return self.federated.services.begin_login.attempts

    def fill(self, policy: LimitPolicy, value: str = CLIENT.address) -> None:
        """Let so many attempts have come that the next one has to wait."""
        now = self.federated.keyturn.clock.now()
        while self.federated.keyturn.store.count_attempt(policy, value, now) == 0:
            pass

    def counted(self) -> dict[tuple[str, str], int]:
        """What has been counted since it was last asked."""
        assert isinstance(self.federated.keyturn.store, FakeStore)
        attempts = self.federated.keyturn.store.attempts
        counted = {(kind, value): count for (kind, value, _), (count, _) in attempts.items() if kind != "new-device"}
        attempts.clear()
        return counted

    def id_of(self, token: str) -> str:
        """The id of a known browser."""
        browser = self.federated.services.begin_login.devices.known_browser(token, self.federated.keyturn.clock.now())
        assert browser is not None
        return browser

    def ways(self, token: str | None) -> dict[str, Callable[[], object]]:
        """Everything that is counted as a login at a provider, by somebody whose browser holds the token."""
        federated = self.federated
        grant, code = federated.log_in(federated.google), code_for(federated.oidc)
        services = federated.services
        browser = BrowserFlow(federated.services, device_token=token)
        return {
            "begin": browser.begin,
            "exchange": lambda: exchange(federated.services, federated.google, device_token=token),
            "begin linking": lambda: browser.begin_linking(grant, "oidc"),
            "link": lambda: link(services, grant, "oidc", code, device_token=token),
        }


@pytest.fixture
def office(federated: Federated) -> Office:
    """An office."""
    return Office(federated)


def test_logins_at_providers_are_counted(office: Office) -> None:
    """Each beginning and each code is one attempt of its address (CVE-2026-9798); the callback is none."""
    ways = office.ways(None)
    office.counted()
    for way, act in ways.items():
        act()
        assert office.counted() == {AT_ADDRESS: 1}, way
    browser = office.federated.browser()
    query = office.federated.google.approve(browser.begin())
    office.counted()
    granted(browser.come_back(query))
    assert office.counted() == {}


def test_known_browser_counts_by_itself(office: Office) -> None:
    """Whichever account the token is of: by the device's id, and not by the address."""
    token = device_token(sign_up(office.federated.services, email="carol@example.com"))
    ways = office.ways(token)
    office.counted()
    for way, act in ways.items():
        act()
        assert office.counted() == {("provider-device", office.id_of(token)): 1}, way


def test_strangers_behind_the_address_do_not_hold_a_known_browser_up(office: Office) -> None:
    """They fill the address's counters; it begins, exchanges and links all the same, and a stranger has to wait."""
    token = device_token(sign_up(office.federated.services))
    known, strangers = office.ways(token), office.ways(None)
    office.fill(office.attempts.at_provider_by_address)
    office.fill(office.attempts.by_address)
    for way, act in strangers.items():
        with pytest.raises(TooManyRequests) as refused:
            act()
        assert (refused.value.policy, refused.value.retry_after) == ("provider-address", 2), way
    for act in known.values():
        act()


def test_known_browser_is_counted_too(office: Office) -> None:
    """Its own counter refuses it like any other, by its id, and no other browser; nothing falls back on the address."""
    services, carol = office.federated.services, "carol@example.com"
    token = device_token(sign_up(services, email=carol))
    other = device_token(log_in(services, email=carol))
    ways = office.ways(token)
    office.counted()
    office.fill(office.attempts.at_provider_by_device, office.id_of(token))
    for way, act in ways.items():
        with pytest.raises(TooManyRequests) as refused:
            act()
        assert (refused.value.policy, refused.value.retry_after) == ("provider-device", 2), way
    assert set(office.counted()) == {("provider-device", office.id_of(token))}
    BrowserFlow(services, device_token=other).begin()
    assert_works(office.federated.keyturn, log_in(services, email=carol, device_token=token))


def tokens_of_nobody(office: Office) -> dict[str, str | None]:
    """What makes no browser known."""
    services = office.federated.services
    mine = device_token(sign_up(services))
    head, _, payload = mine.rpartition(".")
    return {
        "none": None,
        "empty": "",
        "nonsense": "nonsense",
        "forged": f"{mine[:-4]}AAAA",
        "of another key": f"kd2.other.{payload}",
        "cut down to kd1": f"{head.replace('kd2', 'kd1')}.{payload[:54]}",
        "a refresh token": long_lived(log_in(services, transport="body")).refresh_token,
        "endless": "kd2." + "A" * 10_000,
    }


@pytest.mark.parametrize(
    "what",
    ["none", "empty", "nonsense", "forged", "of another key", "cut down to kd1", "a refresh token", "endless"],
)
def test_token_that_is_none_is_an_absent_one(office: Office, what: str) -> None:
    """It counts on the address, and is never an error."""
    ways = office.ways(tokens_of_nobody(office)[what])
    office.counted()
    for act in ways.values():
        act()
    assert office.counted() == {AT_ADDRESS: len(ways)}


def test_expired_token_is_an_absent_one(office: Office) -> None:
    """Half a year after its last login a browser counts on the address again."""
    token = device_token(sign_up(office.federated.services))
    browser = BrowserFlow(office.federated.services, device_token=token)
    office.federated.keyturn.clock.advance(LIFE - 1)
    office.counted()
    browser.begin()
    assert office.counted() == {("provider-device", office.id_of(token)): 1}
    office.federated.keyturn.clock.advance(1)
    browser.begin()
    assert office.counted() == {AT_ADDRESS: 1}


def test_browser_stays_known_when_the_password_changes(office: Office) -> None:
    """Whoever has the browser has it still: its token tells nothing about an account here."""
    grant = sign_up(office.federated.services)
    change_password(office.federated.services, grant)
    office.counted()
    BrowserFlow(office.federated.services, device_token=device_token(grant)).begin()
    assert office.counted() == {("provider-device", office.id_of(device_token(grant))): 1}


def test_address_that_has_to_wait_is_refused_before_the_provider_is_asked(office: Office) -> None:
    """429 for begin, exchange, linking by browser and by code; the code is not used up."""
    federated = office.federated
    ways = office.ways(None)
    office.fill(office.attempts.at_provider_by_address)
    calls = len(federated.oidc.calls)
    for act in ways.values():
        with pytest.raises(TooManyRequests):
            act()
        assert federated.keyturn.audit.names()[-1] == "too_many_attempts"
    assert "identify" not in federated.oidc.calls[calls:]
    code = code_for(federated.oidc)
    with pytest.raises(TooManyRequests):
        federated.services.exchange_code("oidc", code, SessionRequest(transport="body", caller=CLIENT))
    federated.services.exchange_code("oidc", code, SessionRequest(transport="body", caller=ELSEWHERE))


def test_providers_take_no_login_with_a_password_away(office: Office) -> None:
    """Whatever came for providers from an address, its passwords are looked at, and the other way round."""
    federated = office.federated
    sign_up(federated.services)
    office.fill(office.attempts.at_provider_by_address)
    with pytest.raises(TooManyRequests):
        federated.browser().begin()
    assert_works(federated.keyturn, log_in(federated.services))
    office.counted()
    federated.keyturn.clock.advance(3600)
    office.fill(office.attempts.by_address)
    federated.browser().begin()
    with pytest.raises(TooManyRequests) as refused:
        log_in(federated.services)
    assert refused.value.policy == "login-address"


def test_provider_that_is_away_is_counted_alike(office: Office) -> None:
    """Whoever keeps asking meanwhile keeps functions waiting: by address, and a known browser by itself."""
    token = device_token(sign_up(office.federated.services))
    office.federated.google.failure = Unavailable(debug="away")
    office.counted()
    for browser in (office.federated.browser(), BrowserFlow(office.federated.services, device_token=token)):
        with pytest.raises(Unavailable):
            browser.begin()
    assert office.counted() == {AT_ADDRESS: 1, ("provider-device", office.id_of(token)): 1}
