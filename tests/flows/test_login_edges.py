"""Edges of logins at providers: who comes back, what was given up, what was lost, and what is too old."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import AuthError, ConfigurationError, TooManyRequests, Unavailable
from chalicelib.settings.config import Config
from tests.flows.federated import Federated
from tests.flows.steps import EMAIL, assert_works, change_password, decoded, sign_up, unlink
from tests.providers.party import Party
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.forgery import Forgery
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Login

ROOT = Path(__file__).resolve().parents[2]
HOURS_AGO = 7200
UNPROVEN = Person(email_verified=False)


def environment(**settings: str) -> dict[str, str]:
    """Settings of a deployment with one provider of its own."""
    return {
        "KEYTURN_TABLE": "keyturn",
        "KEYTURN_ISSUER": "https://auth.example.com",
        "KEYTURN_AUDIENCE": "https://api.example.com",
        "KEYTURN_PARAMETERS": "/keyturn/prod",
        "KEYTURN_OIDC_CLIENT_ID": "client",
        "KEYTURN_OIDC_CLIENT_SECRET_PARAMETER": "/keyturn/prod/provider/oidc",
        "KEYTURN_OIDC_ISSUER": "https://login.example.org",
        **settings,
    }


def login_of(world: Federated) -> Login:
    """The ways into the account."""
    login = world.keyturn.store.find_login(EMAIL)
    assert login
    return login


def give_up_google(world: Federated) -> None:
    """The owner of an account that Google has opened sets a password, and unlinks Google."""
    grant = change_password(world.services, world.log_in(world.google), None)
    unlink(world.services, grant, "google")


def test_unlinked_identity_opens_the_account_no_more(federated: Federated) -> None:
    """Whoever has got hold of somebody's Google account does not get in again after the owner has unlinked it."""
    give_up_google(federated)
    returned = federated.browser().log_in(federated.google)
    assert returned.grant is None
    assert login_of(federated).identities == ()


def test_former_holder_of_an_address_does_not_share_the_next_ones_account(federated: Federated) -> None:
    """A password of somebody who had the address once opens nothing that the next one who proves it has."""
    give_up_google(federated)  # they keep the account by its password; then the address is given to another person
    returned = federated.browser().log_in(federated.google, Person("the address's next owner"))
    assert returned.error == "email_taken"
    assert login_of(federated).identities == ()


def test_max_age_that_the_provider_ignores_is_no_login(federated: Federated) -> None:
    """OpenID Connect Core section 3.1.3.7: who asked for a recent login checks `auth_time`."""
    browser = federated.browser()
    long_ago = Person(auth_time=federated.keyturn.clock.now() - HOURS_AGO)
    returned = browser.come_back(federated.google.approve(browser.begin(max_age=300), long_ago))
    assert returned.grant is None


@pytest.mark.parametrize("spelling", [float, str])
def test_auth_time_that_cannot_be_read_is_not_taken_for_now(spelling: type) -> None:
    """A NumericDate may have a fraction's form (RFC 7519 section 2), and what is malformed must not count as fresh."""
    party = Party()
    with party.stand_in:
        party.stand_in.forgery = Forgery(claims={"auth_time": spelling(party.clock.now() - HOURS_AGO)})
        try:
            identity = party.log_in()
        except AuthError:
            return
        # services/federation/log_in.py takes None for the moment of the login.
        assert identity.auth_time is not None


def test_unproven_visitor_does_not_learn_that_an_account_is_disabled(federated: Federated) -> None:
    """Whoever only claims the address hears of a disabled account what they hear of any other."""
    stranger = Person("a stranger", email_verified=False)
    grant = sign_up(federated.services)
    before = federated.browser().log_in(federated.google, stranger).error
    federated.services.accounts.disable(grant.account.sub, CLIENT)
    assert federated.browser().log_in(federated.google, stranger).error == before


def test_take_over_whose_answer_was_lost_is_in_the_log() -> None:
    """An account changes hands: no lost answer hides it."""
    store = FakeStore()
    world = Federated.over(store)
    sign_up(world.services)
    faulty = FaultyStore(store)
    faulty.fail_after("take_over_account")
    services = world.with_providers("google", "oidc", store=faulty).services
    browser = world.browser()
    assert browser.come_back(world.google.approve(browser.begin()), services=services).error == "unavailable"
    world.log_in(world.google)
    assert login_of(world).password_digest is None
    assert "account_may_be_taken_over" in world.keyturn.audit.names()


def test_login_that_failed_leaves_the_session_that_the_browser_came_with() -> None:
    """Nothing half-written: a callback cannot be sent again, so whoever was logged in still is."""
    store = FakeStore()
    world = Federated.over(store)
    world.log_in(world.google)
    mine = sign_up(world.services, email="bob@example.com", transport="cookie")
    faulty = FaultyStore(store)
    faulty.fail_before("create_session")
    services = world.with_providers("google", "oidc", store=faulty).services
    browser = world.browser()
    carried = decoded(world.services, mine)
    query = world.google.approve(browser.begin())
    assert browser.come_back(query, carried=carried, services=services).error == "unavailable"
    assert_works(world.keyturn, mine)


def test_beginnings_are_counted_while_the_provider_is_away(federated: Federated) -> None:
    """Each waits for the provider up to two seconds: nobody may ask for that without end."""
    federated.google.failure = Unavailable(debug="away")
    refused = 0
    for _ in range(400):
        try:
            federated.browser().begin()
        except TooManyRequests:
            refused += 1
        except Unavailable:
            continue
    assert refused


def test_old_state_costs_no_call() -> None:
    """A state is good for ten minutes: later it costs the table as little as a forged one."""
    store = FakeStore()
    world = Federated.over(store)
    browser = world.browser()
    query = world.google.approve(browser.begin())
    world.keyturn.clock.advance(86400)
    counted = FaultyStore(store)
    services = world.with_providers("google", "oidc", store=counted).services
    browser.secret = os.urandom(32)
    assert browser.come_back(query, services=services).error == "login_expired"
    assert counted.calls == []


@pytest.mark.parametrize("issuer", ["https://tenant.eu.auth0.com/", "https://id.example.org/application/o/app/"])
def test_issuer_may_end_with_a_slash(issuer: str) -> None:
    """It is given to the letter as the discovery document says it: Auth0's and authentik's end with one."""
    try:
        config = Config.from_env(environment(KEYTURN_OIDC_ISSUER=issuer))
    except ConfigurationError as refused:
        pytest.fail(refused.debug)
    assert config.providers["oidc"].issuer == issuer


def test_callback_is_no_native_clients_redirect() -> None:
    """What holds for KEYTURN_RETURN_TO: codes that are sent to Keyturn itself are redeemed for nobody else."""
    callback = "https://auth.example.com/login/oidc/callback"
    with pytest.raises(ConfigurationError):
        Config.from_env(environment(KEYTURN_OIDC_NATIVE_CLIENT_IDS=f"native={callback}"))


def test_codes_in_a_pages_address_are_documented(federated: Federated) -> None:
    """The list in docs/errors.md has the code of a login whose code the provider refuses."""
    browser = federated.browser()
    error = browser.come_back({**federated.google.approve(browser.begin()), "code": "wrong"}).error
    _, _, section = (ROOT / "docs" / "errors.md").read_text().partition("## In a page's address")
    assert error in re.findall(r"`([a-z_]+)`", section)
