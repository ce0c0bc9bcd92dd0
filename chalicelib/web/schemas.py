"""What the API answers, as JSON schemas (draft 2020-12): part of openapi.py, for that route alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from chalicelib.domain.callers import TRANSPORTS
from chalicelib.domain.events import EVENTS, SHOWN_FACTS, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.web.fields import Fields, Member

    Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "integer", "minimum": 0, "description": "Seconds since the epoch."}
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"}
JWT: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"}
OPAQUE: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9._-]+$", "description": "Opaque: its form may change."}
URL: Schema = {"type": "string", "format": "uri"}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _enum(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": sorted(values)}


def reference(name: str) -> Schema:
    """The schema of this name, among the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(*names: str) -> Schema:
    """One of these components."""
    return {"oneOf": [reference(name) for name in names]} if len(names) > 1 else reference(names[0])


_USER = {"sub": ID, "email": STRING, "email_verified": BOOLEAN, "roles": _list(STRING)}
_SESSION = {"expires_in": {"type": "integer", "minimum": 0}, "session_id": ID, "user": reference("User")}
_BEARER = {**_SESSION, "access_token": JWT, "token_type": {"const": "Bearer"}}
_CLAIMS = {"active": {"const": True}, "client_id": STRING, "exp": MOMENT, "iat": MOMENT}
_SUBJECT = {"sub": ID, "iss": URL, "sid": ID}
_KEY = {"kid": STRING, "use": {"const": "sig"}}
_CURVE = {"crv": STRING, "x": STRING}

COMPONENTS: dict[str, Schema] = {
    "User": _object(_USER),
    # The token response, by what the session's transport is. A session cookie stands for both tokens.
    "TokensInBody": _object({**_BEARER, "refresh_token": OPAQUE}, {"device_token": OPAQUE}),
    "TokensWithCookie": _object({**_BEARER, "csrf_token": OPAQUE}),
    "SessionByCookie": _object({**_SESSION, "csrf_token": OPAQUE}),
    "Me": _object({**_USER, "session_id": ID}),
    "Sessions": _object(
        {
            "sessions": _list(
                _object(
                    {
                        "session_id": ID,
                        "created_at": MOMENT,
                        "user_agent": STRING,
                        "address": STRING,
                        "transport": _enum(TRANSPORTS),
                        "current": BOOLEAN,
                    }
                )
            )
        },
        {"next_cursor": ID},
    ),
    "SecurityEvents": _object(
        {
            "events": {
                **_list(
                    _object(
                        {
                            "event": _enum(name for name, kind in EVENTS.items() if kind.shown),
                            "outcome": _enum(get_args(Outcome)),
                            "time": MOMENT,
                            "address": STRING,
                            "user_agent": STRING,
                        },
                        dict.fromkeys(SHOWN_FACTS.values(), STRING),
                    )
                ),
                "maxItems": 50,
            }
        }
    ),
    "Identities": _object(
        {
            "identities": _list(
                _object({"provider": STRING, "issuer": STRING, "subject": STRING, "email": STRING, "linked_at": MOMENT})
            ),
            "password": BOOLEAN,
        }
    ),
    "AuthorizationUrl": _object({"authorization_url": URL}),
    "CsrfToken": _object({"csrf_token": OPAQUE, "session_id": ID, "sub": ID}),
    "NoSession": _object({"csrf_token": {"type": "null"}, "session_id": {"type": "null"}, "sub": {"type": "null"}}),
    "Health": _object({"status": {"const": "ok"}}),
    "Revoked": _object({}),
    # RFC 7662 section 2.2
    "Inactive": _object({"active": {"const": False}}),
    "ActiveAccessToken": _object(
        {
            **_CLAIMS,
            **_SUBJECT,
            "token_type": {"const": "Bearer"},
            "aud": STRING,
            "jti": STRING,
            "auth_time": MOMENT,
            "amr": _list(STRING),
            "roles": _list(STRING),
            "email_verified": BOOLEAN,
        },
        {"scope": STRING},
    ),
    "ActiveSession": _object({**_CLAIMS, **_SUBJECT}),
    # RFC 7517; RFC 7518 section 6 and RFC 8037 section 2
    "Keys": _object(
        {
            "keys": _list(
                {
                    "oneOf": [
                        _object({**_KEY, "kty": {"const": "RSA"}, "alg": {"const": "RS256"}, "n": STRING, "e": STRING}),
                        _object(
                            {**_KEY, "kty": {"const": "EC"}, "alg": {"const": "ES256"}, **_CURVE, "y": STRING},
                        ),
                        _object({**_KEY, "kty": {"const": "OKP"}, "alg": {"const": "EdDSA"}, **_CURVE}),
                    ]
                }
            )
        }
    ),
    # RFC 8414 section 2
    "Metadata": _object(
        {
            "issuer": URL,
            "jwks_uri": URL,
            "revocation_endpoint": URL,
            "revocation_endpoint_auth_methods_supported": _list(STRING),
            "introspection_endpoint": URL,
            "response_types_supported": _list(STRING),
            "subject_types_supported": _list(STRING),
            "id_token_signing_alg_values_supported": _list(STRING),
            "claims_supported": _list(STRING),
        },
        {"scopes_supported": _list(STRING)},
    ),
    # RFC 9457 section 3
    "Problem": _object(
        {
            "type": {"const": "about:blank"},
            "title": STRING,
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable. What the person or program does next is decided by it."},
        },
        {"detail": STRING},
    ),
    "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
}


def problem(status: int, codes: Iterable[str]) -> Schema:
    """An error answer of this status with one of these codes."""
    narrowed = {"properties": {"status": {"const": status}, "code": _enum(codes)}}
    return {"allOf": [reference("Problem"), narrowed]}


def oauth_error(codes: Iterable[str]) -> Schema:
    """An error answer of an OAuth endpoint (RFC 6749 section 5.2)."""
    return _object(
        {
            "error": _enum(codes),
            "error_description": {"type": "string", "pattern": r"^[\x20-\x21\x23-\x5b\x5d-\x7e]+$"},
        }
    )


def member(declared: Member) -> Schema:
    """The schema of one declared string."""
    schema: Schema = {"type": "string", "description": declared.description}
    if declared.choices:
        return schema | {"enum": list(declared.choices)}
    schema["maxLength"] = declared.max_length
    if declared.min_length:
        schema["minLength"] = declared.min_length
    if declared.pattern:
        schema["pattern"] = f"^{declared.pattern}$"
    if declared.format:
        schema["format"] = declared.format
    if declared.secret:
        schema["writeOnly"] = True
    return schema


def fields(declared: Fields, *, unknown: bool) -> Schema:
    """The schema of a body. `unknown`: whether members that it does not name are let pass, which are strings too."""
    return {
        "type": "object",
        "properties": {name: member(one) for name, one in declared.members.items()},
        "required": declared.required,
        "additionalProperties": STRING if unknown else False,
    }
