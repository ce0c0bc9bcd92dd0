"""GET /sessions, DELETE /sessions/{session_id}."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib.errors import SessionNotFound
from chalicelib.web.endpoint import Credential, endpoint
from chalicelib.web.fields import Fields, Member
from chalicelib.web.responses import json_response, no_content

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.web.endpoint import Call

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{22}")

LIST_SESSIONS = Fields(
    "ListSessions",
    {
        "cursor": Member(
            "The `next_cursor` of the page before.",
            max_length=22,
            required=False,
            pattern="(?:[A-Za-z0-9_-]{22})?",  # an empty parameter is one that is left out
            form="be the next_cursor of a page",
        )
    },
)


@endpoint({200: ("Sessions",)}, credential=Credential.PRINCIPAL, query=LIST_SESSIONS)
def list_sessions(call: Call) -> Response:
    """A page of the user's own living sessions, the newest first (ASVS V7.5.2).

    Where each was begun from, and no moment of use: that would tell a thief when the key was turned.
    """
    sessions, cursor = call.services.sessions.list(call.principal, call.fields.get("cursor"))
    return json_response(
        {
            "sessions": [
                {
                    "session_id": session.sid,
                    "created_at": session.created_at,
                    "user_agent": session.user_agent,
                    "address": session.address,
                    "transport": session.transport,
                    "current": session.sid == call.principal.sid,
                }
                for session in sessions
            ],
            **({"next_cursor": cursor} if cursor else {}),
        }
    )


@endpoint({204: ()}, credential=Credential.PRINCIPAL, errors=(SessionNotFound,))
def end_session(call: Call) -> Response:
    """204: the session is over. 404 `session_not_found` for every id that is not one of the user's own."""
    session_id = call.path["session_id"]
    if not SESSION_ID.fullmatch(session_id):
        raise SessionNotFound
    call.services.sessions.end_one(call.principal, session_id, call.request.caller)
    return no_content()
