"""What is taken once: logins that have begun at a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.federation import PendingLogin
from chalicelib.store import keys
from chalicelib.store.items.values import number, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.callers import Transport
    from chalicelib.store.items.values import Item


def pending_login_item(digest: bytes, pending: PendingLogin) -> Item:
    """A login that has begun; garbage as soon as it has expired. Who may link holds `sub`, `sid` and `generation`."""
    item = {
        **keys.pending_login(digest),
        "provider": text(pending.provider),
        "return_to": text(pending.return_to),
        "transport": text(pending.transport),
        "expires_at": number(pending.expires_at),
    }
    if pending.linking is not None:
        sub, sid, generation = pending.linking
        item |= {"sub": text(sub), "sid": text(sid), "generation": number(generation)}
    if pending.max_age is not None:
        item["max_age"] = number(pending.max_age)
    return item


def pending_login_from(item: Mapping[str, Any]) -> PendingLogin:
    """The login that the item says has begun."""
    transport: Transport = item["transport"]["S"]
    # One of a version before does not say which credential asked: as if it was under every floor.
    generation = int(item["generation"]["N"]) if "generation" in item else -1
    return PendingLogin(
        provider=item["provider"]["S"],
        return_to=item["return_to"]["S"],
        transport=transport,
        expires_at=int(item["expires_at"]["N"]),
        linking=(item["sub"]["S"], item["sid"]["S"], generation) if "sid" in item else None,
        max_age=int(item["max_age"]["N"]) if "max_age" in item else None,
    )
