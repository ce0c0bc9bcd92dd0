"""Two OpenID providers that nobody of this project wrote, on loopback, each a process of its own that requires PKCE."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local import stand_in
from tests.world.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
PANVA = Path(__file__).with_name("panva.mjs")
END_SECONDS = 10

# They hold what the Basic scheme has to encode (RFC 6749 section 2.3.1).
CLIENT, SECRET = "web client", "a secret: 100% +/&="  # pragma: allowlist secret


@dataclass(frozen=True)
class RealProvider:
    """A running provider, and Keyturn's clients there: a confidential one, and a public one for native apps."""

    issuer: str
    client_id: str
    client_secret: str
    native_client_id: str


@contextmanager
def oidc_provider_mock(redirects: Sequence[str], native_redirects: Sequence[str]) -> Iterator[RealProvider]:
    """oidc-provider-mock, which tells the address in the ID token; `iss` does not come with the code."""
    with stand_in.serve(0, stand_in.REGISTERED_CLIENTS) as issuer:
        web = _register(issuer, {"redirect_uris": redirects})
        native = _register(issuer, {"redirect_uris": native_redirects, "token_endpoint_auth_method": "none"})
        yield RealProvider(issuer, web["client_id"], web["client_secret"], native["client_id"])


@contextmanager
def panva(redirects: Sequence[str], native_redirects: Sequence[str]) -> Iterator[tuple[RealProvider, RealProvider]]:
    """The npm package oidc-provider: one that tells the address at userinfo alone, one that tells it in the ID token.

    `iss` comes with the code (RFC 9207).
    """
    web = {"client_id": CLIENT, "client_secret": SECRET, "redirect_uris": redirects}
    native = {
        "client_id": "native",
        "application_type": "native",
        "token_endpoint_auth_method": "none",
        "redirect_uris": native_redirects,
    }
    with running(PANVA, json.dumps([web, native])) as issuers:
        at_userinfo, in_id_token = (
            RealProvider(issuers[kind], CLIENT, SECRET, "native") for kind in ("userinfo", "idToken")
        )
        yield at_userinfo, in_id_token


@contextmanager
def running(script: Path, *arguments: str) -> Iterator[dict[str, str]]:
    """Run a script of this folder by Node.js until the end of the block; yields the JSON line that it prints."""
    process = subprocess.Popen(  # noqa: S603  # a script beside this module
        [_node(), str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout
        printed: dict[str, str] = json.loads(process.stdout.readline())
        yield printed
    finally:
        process.communicate(timeout=END_SECONDS)  # closes the pipe, at which it ends


def _register(issuer: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Register a client dynamically (RFC 7591)."""
    registered: dict[str, str] = Client(issuer).post("/oauth2/clients", metadata).json
    return registered


def _node() -> str:
    # Where there is no npm, the Makefile brings a Node.js of its own.
    return shutil.which("node") or str(ROOT / ".tools" / "bin" / "node")
