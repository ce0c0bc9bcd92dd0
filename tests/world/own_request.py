"""The code of an authorization request that a frontend or an app has made itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.constants import CHALLENGE, NONCE, PAGE, VERIFIER

if TYPE_CHECKING:
    from tests.world.person import Person
    from tests.world.stand_in import StandIn


def own_code(
    provider: StandIn, person: Person, redirect_uri: str = PAGE, client_id: str | None = None
) -> dict[str, str]:
    """Members of a body that brings such a code, which the provider has given for this person."""
    code = provider.issue_code(
        nonce=NONCE,
        code_challenge=CHALLENGE,
        redirect_uri=redirect_uri,
        subject=person.name,
        client_id=client_id,
        **person.claims,
    )
    return {"code": code, "code_verifier": VERIFIER, "redirect_uri": redirect_uri, "nonce": NONCE}
