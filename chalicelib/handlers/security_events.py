"""GET /security-events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.web.endpoint import Credential, endpoint
from chalicelib.web.responses import json_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.web.endpoint import Call


@endpoint({200: ("SecurityEvents",)}, credential=Credential.PRINCIPAL)
def list_events(call: Call) -> Response:
    """What was decided about the account lately, the newest first (ASVS V6.3.7)."""
    return json_response(
        {
            "events": [
                {
                    "event": event.event,
                    "outcome": event.outcome,
                    "time": event.at,
                    "address": event.address,
                    "user_agent": event.user_agent,
                    **event.facts,
                }
                for event in call.services.security_events.list(call.principal)
            ]
        }
    )
