"""Metadata and keys: what of them is believed, and for how long they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import ProviderError
from chalicelib.providers.metadata import DAY, HOUR, Published
from tests.world.clock import FrozenClock
from tests.world.forgery import ABSENT
from tests.world.misdeeds import KEYS, METADATA

if TYPE_CHECKING:
    from tests.providers.party import Party

REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
EVERY = (*REQUIRED, "userinfo_endpoint")


def refused(party: Party) -> None:
    """A cold container believes nothing of the metadata."""
    with pytest.raises(ProviderError):
        Published(party.stand_in.url, party.clock).metadata()


# Metadata ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["{url}/", "https://accounts.google.com", "", None, ABSENT, ["{url}"], "{url}.evil"])
def test_metadata_of_another_issuer(party: Party, issuer: Any) -> None:
    """The metadata's issuer is the configured one, exactly (OpenID Connect Discovery section 4.3)."""
    party.stand_in.metadata["issuer"] = issuer.format(url=party.stand_in.url) if isinstance(issuer, str) else issuer
    refused(party)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "url",
    [
        "http://provider.example.com/x",
        "https://user@provider.example.com/x",
        "https://user:password@localhost/x",  # pragma: allowlist secret
        "https://provider.example.com/x#fragment",
        "https://provider.example.com/a b",
        "https://provider.example.com/a\r\nHost: evil",
        "https://provider.example.com/ü",
        "https://provider.example.com\\@evil.example.com/",
        "https://provider.example.com:65536/",
        "https://provider.example.com/" + "a" * 8000,
        "https:///x",
        "//provider.example.com/x",
        "/x",
        "file:///etc/passwd",
        "ftp://localhost/x",
        "http://localhost.evil.example.com/x",
        "http://127.0.0.2/x",
        1,
        ["https://provider.example.com/x"],
    ],
    ids=lambda url: str(url)[:40].encode("unicode_escape").decode(),
)
def test_endpoint_that_is_not_called(party: Party, name: str, url: Any) -> None:
    """Endpoints are plain https URLs of printable ASCII; http is for this machine alone."""
    party.stand_in.metadata[name] = url
    refused(party)


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_endpoint(party: Party, name: str) -> None:
    """Without one of the three endpoints of the flow there is no provider; userinfo is optional."""
    for value in (ABSENT, None):
        party.stand_in.metadata[name] = value
        refused(party)


@pytest.mark.parametrize(
    "url",
    [
        "https://provider.example.com:8443/a/b?c=d&e=%20",
        "https://provider.example.com",
        "http://[::1]:1/x",
        "https://provider.example.com/" + "a" * (8000 - 29),  # RFC 9110 section 4.1
    ],
)
def test_endpoint_that_is_called(party: Party, url: str) -> None:
    """Ports, paths and queries are the provider's to choose, and so is another host."""
    party.stand_in.metadata |= dict.fromkeys(EVERY, url)
    metadata = Published(party.stand_in.url, party.clock).metadata()
    assert (metadata.token_endpoint, metadata.userinfo_endpoint) == (url, url)


def test_http_endpoint_of_an_https_issuer(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that is reached by https names no endpoint without it, on this machine either."""
    issuer = "https://localhost"
    metadata = {**party.stand_in.answer(METADATA, None, {})[1], "issuer": issuer}  # type: ignore[arg-type]
    answer = type(
        "Answer", (), {"status": 200, "headers": {}, "json": lambda _: metadata, "require_ok": lambda *_: None}
    )
    monkeypatch.setattr("chalicelib.providers.http.call", lambda *_, **__: answer())
    with pytest.raises(ProviderError, match="not https"):
        Published(issuer, party.clock).metadata()


def test_issuer_with_a_path(party: Party) -> None:
    """The metadata of an issuer with a path, or with a slash at its end, are below it (Discovery section 4.1)."""
    for path in ("/tenant/v2.0", "/tenant/v2.0/"):
        with pytest.raises(ProviderError, match="404"):
            Published(party.stand_in.url + path, party.clock).metadata()
    assert party.stand_in.fetches == {"/tenant/v2.0" + METADATA: 2}


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [ABSENT, None, {}, "keys", 1])
def test_key_set_without_keys(party: Party, keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds no list of keys is no key set, and takes nothing from the last good one."""
    published = Published(party.stand_in.url, party.clock)
    good = published.jwks()
    monkeypatch.setattr(party.stand_in, "key_set", {} if keys is ABSENT else {"keys": keys})
    assert published.newer_jwks() == good
    with pytest.raises(ProviderError):
        Published(party.stand_in.url, party.clock).jwks()


def test_members_that_are_no_keys(party: Party) -> None:
    """Of a key set only objects are handed on."""
    party.stand_in.extra_keys = [None, 1, "key", ["key"]]
    assert [key["kid"] for key in Published(party.stand_in.url, party.clock).jwks()] == ["key-0"]


def test_key_set_by_its_own_media_type(party: Party) -> None:
    """A key set may say that it is one (RFC 7517 section 8.5.2). The media type of an answer is not read at all."""
    party.stand_in.headers[KEYS] = {"Content-Type": "application/jwk-set+json"}
    published = Published(party.stand_in.url, party.clock)
    assert [key["kid"] for key in published.jwks()] == ["key-0"]
    party.stand_in.headers[METADATA] = {"Content-Type": "application/jwk-set+json"}
    assert Published(party.stand_in.url, party.clock).metadata().jwks_uri


# Lifetimes -----------------------------------------------------------------------------------------------------------

LIFETIMES = [
    ({}, HOUR),
    ({"Cache-Control": "public, max-age=19800, must-revalidate"}, 19800),
    ({"Cache-Control": "MAX-AGE=7200"}, 7200),
    ({"Cache-Control": 'max-age="7200"'}, 7200),
    ({"Cache-Control": "max-age=7200", "Age": "200"}, 7000),
    ({"Cache-Control": "max-age=7200", "Age": "-200"}, 7200),
    ({"Cache-Control": "max-age=999999999"}, DAY),
    ({"Cache-Control": "s-maxage=7200"}, HOUR),
    ({"Cache-Control": "max-age=soon"}, HOUR),
]
SHORT = [
    {"Cache-Control": "no-store"},
    {"Cache-Control": "max-age=7200, no-cache"},
    {"Cache-Control": "max-age=0"},
    {"Cache-Control": "max-age=100", "Age": "9999"},
]


@pytest.mark.parametrize(("headers", "lifetime"), LIFETIMES, ids=str)
def test_lifetime(party: Party, headers: dict[str, str], lifetime: int) -> None:
    """Metadata and keys are kept as long as Cache-Control says, an hour where it says nothing, a day at most."""
    party.stand_in.headers |= {METADATA: headers, KEYS: headers}
    clock = FrozenClock()
    published = Published(party.stand_in.url, clock)
    published.jwks()
    clock.advance(lifetime - 1)
    published.jwks()
    published.metadata()
    assert (party.stand_in.fetches[METADATA], party.stand_in.fetches[KEYS]) == (1, 1)
    clock.advance(1)
    published.jwks()
    assert (party.stand_in.fetches[METADATA], party.stand_in.fetches[KEYS]) == (2, 2)


@pytest.mark.parametrize("headers", SHORT, ids=str)
def test_shortest_lifetime(party: Party, headers: dict[str, str]) -> None:
    """A provider that forbids to keep anything is asked for metadata once in 5 minutes and for keys once in one."""
    party.stand_in.headers |= {METADATA: headers, KEYS: headers}
    clock = FrozenClock()
    published = Published(party.stand_in.url, clock)
    for second in range(300):
        published.jwks()
        assert party.stand_in.fetches[KEYS] == 1 + second // 60
        assert party.stand_in.fetches[METADATA] == 1
        clock.advance(1)
    published.metadata()
    assert party.stand_in.fetches[METADATA] == 2


def test_outage_of_a_day(party: Party) -> None:
    """What was read last goes on for a day while the provider is away, and no longer."""
    clock = FrozenClock()
    published = Published(party.stand_in.url, clock)
    published.jwks()
    party.stand_in.metadata["issuer"] = "https://evil.example.com"
    party.stand_in.published = []
    party.stand_in.key_set = {}
    clock.advance(DAY - 1)
    assert [key["kid"] for key in published.jwks()] == ["key-0"]
    clock.advance(1)
    with pytest.raises(ProviderError):
        published.metadata()
    with pytest.raises(ProviderError):
        published.jwks()
