"""Microsoft over HTTP: people of several tenants, and an issuer that admits one of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.openid.emulated import FIRST, PERSONAL, SECOND, arrive
from tests.world.constants import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from tests.http.server import Server
    from tests.openid.emulated import Emulated
    from tests.openid.keyturn import Keyturn

TENANTS = {"public": PERSONAL, "first": FIRST, "second": SECOND}


@pytest.fixture
def admitting(
    one_server: Server, emulated: Emulated, named: dict[str, Keyturn], named_settings: Mapping[str, str]
) -> Callable[[str], AbstractContextManager[Keyturn]]:
    """Keyturn with the issuer of this tenant, or of many tenants."""

    @contextmanager
    def admit(tenant: str) -> Iterator[Keyturn]:
        issuer = f"{emulated.urls['microsoft']}/{tenant}/v2.0"
        with one_server.cold({**named_settings, "KEYTURN_MICROSOFT_ISSUER": issuer}):
            yield named["microsoft"]

    return admit


@pytest.mark.parametrize("issuer", ["common", "organizations"])
def test_issuer_of_many_tenants(
    admitting: Callable[[str], AbstractContextManager[Keyturn]], emulated: Emulated, issuer: str
) -> None:
    """People of each tenant come in, each known by the issuer of their own tenant, and come back to their accounts."""
    with admitting(issuer) as microsoft:
        for kind in ("first", "second"):
            person = emulated.somebody("microsoft", kind)
            session = microsoft.log_in(microsoft.browser(), person)
            (identity,) = session.ways_in()["identities"]
            assert identity["issuer"] == f"{emulated.urls['microsoft']}/{TENANTS[kind]}/v2.0"
            assert session.call("GET", "/me").json["email_verified"] is False
            assert microsoft.log_in(microsoft.browser(), person).sub == session.sub


@pytest.mark.parametrize("kind", ["public", "first"])
def test_issuer_of_one_tenant(
    admitting: Callable[[str], AbstractContextManager[Keyturn]], emulated: Emulated, kind: str
) -> None:
    """An issuer of one tenant admits its people. A person of another tenant is refused, though the client is known."""
    with admitting(TENANTS[kind]) as microsoft:
        session = microsoft.log_in(microsoft.browser(), emulated.somebody("microsoft", kind))
        (identity,) = session.ways_in()["identities"]
        assert identity["issuer"] == f"{emulated.urls['microsoft']}/{TENANTS[kind]}/v2.0"
        browser, _, callback = arrive(microsoft, emulated, "second")
        assert microsoft.finish(browser, callback) == f"{PAGE}?error=provider_error"
        assert not browser.logged_in()


def test_same_account_by_either_issuer(
    admitting: Callable[[str], AbstractContextManager[Keyturn]], emulated: Emulated
) -> None:
    """A person keeps the account where the operator changes the issuer from many tenants to the person's own."""
    person = emulated.somebody("microsoft", "first")
    with admitting("common") as microsoft:
        before = microsoft.log_in(microsoft.browser(), person)
    with admitting(FIRST) as microsoft:
        assert microsoft.log_in(microsoft.browser(), person).sub == before.sub
