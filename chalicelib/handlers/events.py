"""GET /security-events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.web.responses import json_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.services import Services
    from chalicelib.web.request import Request


def list_events(request: Request, services: Services) -> Response:
    """What was decided about the account lately, the newest first (ASVS V6.3.7)."""
    principal = request.principal()
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
                for event in services.security_events.list(principal)
            ]
        }
    )
