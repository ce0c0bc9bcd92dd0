"""GET /sessions, DELETE /sessions/{session_id}."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib.errors import SessionNotFound
from chalicelib.web.fields import LIST_SESSIONS
from chalicelib.web.responses import json_response, no_content

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.services import Services
    from chalicelib.web.request import Request

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def list_sessions(request: Request, services: Services) -> Response:
    """A page of the user's own living sessions, the newest first (ASVS V7.5.2).

    Where each was begun from, and no moment of use: that would tell a thief when the key was turned.
    """
    principal = request.principal()
    sessions, cursor = services.sessions.list(principal, request.parameters(LIST_SESSIONS).get("cursor"))
    return json_response(
        {
            "sessions": [
                {
                    "session_id": session.sid,
                    "created_at": session.created_at,
                    "user_agent": session.user_agent,
                    "address": session.address,
                    "transport": session.transport,
                    "current": session.sid == principal.sid,
                }
                for session in sessions
            ],
            **({"next_cursor": cursor} if cursor else {}),
        }
    )


def end_session(request: Request, services: Services, session_id: str) -> Response:
    """204: the session is over. 404 `session_not_found` for every id that is not one of the user's own."""
    principal = request.principal()
    if not SESSION_ID.fullmatch(session_id):
        raise SessionNotFound
    services.sessions.end_one(principal, session_id, request.caller)
    return no_content()
