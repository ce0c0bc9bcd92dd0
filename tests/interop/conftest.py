"""Keyturn over HTTP with RS256 keys, as it is deployed by default; started once for a test process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from infra import keys
from tests.http.client import CheckedClient, Held, sign_up
from tests.http.server import NO_PROVIDER, Containers, Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.services import Services

AUDIENCE = "https://api.example.com"


@dataclass(frozen=True)
class Issuer:
    """Keyturn as other services know it: by its URL alone."""

    url: str
    services: Services
    held: Held

    @property
    def token(self) -> str:
        """An access token that is good."""
        return str(self.held.reply.json["access_token"])

    def bad_tokens(self) -> dict[str, str]:
        """Tokens that no verifier may take, each signed with the right key, but the tampered ones."""
        claims = self.services.access_tokens.verify(self.token, self.services.clock.now())
        header, payload, signature = self.token.split(".")
        other = JwtAccessTokenCodec(self.services.keys, issuer=self.url, audience="https://other.example.com")
        elsewhere = JwtAccessTokenCodec(self.services.keys, issuer="https://evil.example", audience=AUDIENCE)
        expired = claims._replace(iat=claims.iat - 7200, exp=claims.iat - 3600)
        return {
            "tampered payload": f"{header}.{_turned(payload)}.{signature}",
            "tampered signature": f"{header}.{payload}.{_turned(signature)}",
            "another audience": other.issue(claims),
            "another issuer": elsewhere.issue(claims),
            "expired": self.services.access_tokens.issue(expired),
        }


@pytest.fixture(scope="session")
def rs256() -> Iterator[tuple[Server, Containers]]:
    """The server, and containers whose keys are RSA keys."""
    with serve() as server:
        keys.ensure(server.parameters, f"{server.prefix}/rs256", "RS256", int(time.time()) - 60)
        yield server, Containers()


@pytest.fixture
def issuer(rs256: tuple[Server, Containers]) -> Iterator[Issuer]:
    """Keyturn, with a fresh account."""
    server, containers = rs256
    settings = {
        **NO_PROVIDER,
        "KEYTURN_PARAMETERS": f"{server.prefix}/rs256",
        "KEYTURN_SIGNING_ALGORITHM": "RS256",
        "KEYTURN_ROLE_SCOPES": "user=orders:read orders:write",
    }
    with server.running(containers, settings):
        containers.start()
        yield Issuer(server.url, containers.services(), sign_up(CheckedClient(server.url)))


def _turned(part: str) -> str:
    """Another letter in the middle, where no padding swallows it."""
    middle = len(part) // 2
    return f"{part[:middle]}{'B' if part[middle] == 'A' else 'A'}{part[middle + 1 :]}"
