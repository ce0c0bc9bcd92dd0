"""The identity providers that are switched on, and where logins at them may come back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import ProviderNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.callers import Caller
    from chalicelib.errors import AuthError
    from chalicelib.ports import AuditLog, IdentityProvider


@dataclass(slots=True, eq=False, repr=False)
class Providers:
    """The providers by name. `return_to` are the pages that may begin a login; `issuer` is Keyturn's own."""

    connected: Mapping[str, IdentityProvider]
    issuer: str
    return_to: frozenset[str]

    def get(self, name: str) -> IdentityProvider:
        """The provider. ProviderNotFound, with nothing looked up, where it is not switched on (CVE-2026-33538)."""
        if name not in self.connected:
            raise ProviderNotFound(debug="unknown, or not configured")
        return self.connected[name]

    def callback_url(self, name: str) -> str:
        """Where the provider sends browsers back to."""
        return f"{self.issuer}/login/{name}/callback"


def record_refusal(audit: AuditLog, caller: Caller, name: str, refusal: AuthError) -> None:
    """Write down a login at this provider that was refused."""
    audit.record("login_refused", caller, method=name, code=refusal.code, why=refusal.debug)
