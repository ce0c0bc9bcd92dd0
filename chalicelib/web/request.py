"""A request as handlers read it: strict, bounded, and from the gateway's own account of it where it matters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import unquote_to_bytes

from chalicelib.domain.callers import Caller, Principal
from chalicelib.domain.sessions import USER_AGENT_BYTES
from chalicelib.errors import InvalidRequest, InvalidToken, PayloadTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalice.app import Request as ChaliceRequest

    from chalicelib.web.fields import Fields

MAX_BODY = 16 * 1024  # bytes
MAX_HEADER = 10_240  # characters; API Gateway takes no more of all headers together
MAX_COOKIE = 4096  # characters of its value

MOMENT = re.compile(r"[0-9]{1,12}", re.ASCII)

# HTTP's optional whitespace (RFC 9110 section 5.6.3). str.strip() alone takes Unicode's too: browsers let any host of
# the site set a cookie named U+2000 `__Host-refresh`, which has no `__Host-` prefix to them; it must not read as ours.
BLANKS = " \t"

# Printable ASCII, with `%` before two hexadecimal digits alone: what is not encoded so was not meant so.
FORM_PAIR = re.compile(rb"(?:[!-$&-~]|%[0-9A-Fa-f]{2})+")


class Request(NamedTuple):
    """Method, headers and body of one request, and who made it."""

    method: str
    headers: Mapping[str, tuple[str, ...]]  # by lower-case name, every value that came
    query: Mapping[str, tuple[str, ...]]  # every value that came, decoded
    body: bytes
    caller: Caller
    principal_context: Mapping[str, Any] | None
    iam_caller: str = ""  # the ARN of an AWS caller whose signature the gateway has verified, and whose permission

    def header(self, name: str) -> str | None:
        """The header's value; None where it is missing, too long, or came twice and so says nothing for sure."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 and len(values[0]) <= MAX_HEADER else None

    def parameters(self, query: Fields) -> dict[str, str]:
        """What the query says; empty parameters are left out, and unknown ones (RFC 6749 section 3.1).

        InvalidRequest where one is given twice, is missing, or has not its form.
        """
        found = {name: values for name, values in self.query.items() if name in query.members}
        for name, values in found.items():
            if len(values) > 1:
                _malformed(f"{name} is given twice.")
        return _checked({name: values[0] for name, values in found.items() if any(values)}, query)

    def readable_parameters(self, query: Fields) -> dict[str, str]:
        """As `parameters`, but what is malformed or given twice is left out: who brings it back has not made it."""
        found = {name: self.query.get(name, ()) for name in query.members}
        return {
            name: values[0]
            for name, values in found.items()
            if len(values) == 1 and values[0] and not query.members[name].problem(values[0])
        }

    def cookie(self, name: str) -> str | None:
        """The cookie's value. Two of one name count as none: which is ours cannot be told (RFC 6265 section 5.4).

        Nor does one that is longer than browsers keep (section 6.1).
        """
        values = self._cookies(name)
        return values[0] if len(values) == 1 and len(values[0]) <= MAX_COOKIE else None

    def names_cookie(self, name: str) -> bool:
        """Whether a cookie of this name came at all, readable or not."""
        return bool(self._cookies(name))

    def cookie_names(self) -> list[str]:
        """The names of the cookies that came, in their order."""
        return [name for name, _ in self._pairs()]

    def fields(self, body: Fields) -> dict[str, str]:
        """The members of a JSON object: every required one, each in its form, and no other than the body has.

        No body at all is an object without members, whatever Content-Type says: clients send the type of a form with an
        empty POST (axios #861). UnsupportedMediaType, PayloadTooLarge or InvalidRequest otherwise.
        """
        members = self._object()
        for name in members:
            if name not in body.members:
                # ASVS V15.3.3: what is not documented is refused, `roles` and `email_verified` included.
                _malformed(f"Unknown member {name[:64]!a}.")
        return _checked(members, body)

    def form(self, form: Fields) -> dict[str, str]:
        """The form's parameters, as OAuth has them (RFC 6749 section 3.2): those without a value are left out.

        Unknown ones are let pass, because servers MUST ignore them; one that is given twice is refused.
        UnsupportedMediaType, PayloadTooLarge or InvalidRequest otherwise.
        """
        parameters = self._parameters()
        return _checked({name: parameters[name] for name in form.members if parameters.get(name)}, form)

    def readable_form(self, form: Fields) -> dict[str, str]:
        """As `form`, but what is malformed by its declaration is left out: who brings the form has not made it."""
        return {
            name: value
            for name, value in self._parameters().items()
            if name in form.members and value and not form.members[name].problem(value)
        }

    def principal(self) -> Principal:
        """Whom the authorizer let in. InvalidToken where there is none: a route that nobody guards serves nobody."""
        context = self.principal_context or {}
        sub, sid = context.get("sub"), context.get("sid")
        if not (isinstance(sub, str) and sub and isinstance(sid, str) and sid):
            raise InvalidToken(debug="no principal")
        return Principal(
            sub=sub,
            sid=sid,
            roles=tuple(str(context.get("roles", "")).split()),
            scope=str(context.get("scope", "")),
            email_verified=context.get("email_verified") == "true",
            auth_time=_moment(context.get("auth_time")),
        )

    def _cookies(self, name: str) -> list[str]:
        return [value for key, value in self._pairs() if key == name]

    def _pairs(self) -> list[tuple[str, str]]:
        return [
            (key.strip(BLANKS), value.strip(BLANKS))
            for header in self.headers.get("cookie", ())
            for pair in header.split(";")
            for key, equals, value in [pair.partition("=")]
            if equals
        ]

    def _object(self) -> dict[str, Any]:
        self._require_body("application/json")
        if not self.body:
            return {}
        try:
            members = json.loads(self.body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant)
        # RecursionError: a body that is nothing but brackets.
        except (ValueError, RecursionError):
            _malformed("The body is not valid JSON.")
        if not isinstance(members, dict):
            _malformed("The body must be a JSON object.")
        return members

    def _parameters(self) -> dict[str, str]:
        self._require_body("application/x-www-form-urlencoded")
        parameters: dict[str, str] = {}
        for pair in filter(None, self.body.split(b"&")):
            if not FORM_PAIR.fullmatch(pair):
                _malformed("The body is not form-encoded.")
            name, _, value = (_decoded(part) for part in pair.partition(b"="))
            if name in parameters:
                _malformed("A parameter is given twice.")
            parameters[name] = value
        return parameters

    def _require_body(self, media_type: str) -> None:
        if not self.body:
            return  # Content-Type is about the content (RFC 9110 section 8.3), and there is none
        content_types = self.headers.get("content-type", ())
        essence = content_types[0].partition(";")[0].strip(BLANKS).lower() if len(content_types) == 1 else None
        if essence != media_type:
            raise UnsupportedMediaType
        if len(self.body) > MAX_BODY:
            raise PayloadTooLarge


def read(request: ChaliceRequest) -> Request:
    """Chalice's request as ours. Client address and principal come from `requestContext`, which callers cannot set."""
    event = request.to_original_event()
    context = event.get("requestContext") or {}
    identity = context.get("identity") or {}
    principal_context, iam_caller = context.get("authorizer"), identity.get("userArn")
    return Request(
        method=request.method,
        headers=_headers(event),
        query={
            name: tuple(values or ()) for name, values in (event.get("multiValueQueryStringParameters") or {}).items()
        },
        body=_body(request),
        caller=Caller(
            address=str(identity.get("sourceIp") or ""),
            user_agent=_user_agent(event),
            request_id=str(context.get("requestId") or ""),
        ),
        principal_context=principal_context if isinstance(principal_context, dict) else None,
        iam_caller=iam_caller if isinstance(iam_caller, str) else "",
    )


def _headers(event: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    # `headers` holds the last value of each name alone; local mode has nothing else.
    many = event.get("multiValueHeaders") or {name: [value] for name, value in (event.get("headers") or {}).items()}
    headers: dict[str, tuple[str, ...]] = {}
    for name, values in many.items():
        headers[name.lower()] = headers.get(name.lower(), ()) + tuple(values or ())
    return headers


def _body(request: ChaliceRequest) -> bytes:
    try:
        raw = request.raw_body
        return raw.encode() if isinstance(raw, str) else raw
    except ValueError:
        # Base64 that the gateway would not have made, or text with a lone surrogate: no JSON in either case.
        return b"\xff"


def _user_agent(event: Mapping[str, Any]) -> str:
    value = " ".join(_headers(event).get("user-agent", ()))
    return value.encode(errors="replace")[:USER_AGENT_BYTES].decode(errors="ignore")


def _decoded(part: bytes) -> str:
    """A name or value, without its encoding (RFC 6749 appendix B)."""
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        _malformed("The body is not form-encoded UTF-8.")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # RFC 8259 section 4: with duplicate names, what a receiver sees is unpredictable.
        _malformed("A member is given twice.")
    return members


def _no_constant(name: str) -> NoReturn:
    _malformed(f"{name} is not JSON.")


def _moment(value: object) -> int:
    """Seconds since the epoch; 0, which is no recent login, for what is no number of at most 12 digits."""
    return int(value) if isinstance(value, str) and MOMENT.fullmatch(value) else 0


def _checked(found: dict[str, Any], fields: Fields) -> dict[str, str]:
    """What was found, each member of which is declared, when it has the declared form and nothing is missing."""
    for name, value in found.items():
        problem = fields.members[name].problem(value)
        if problem:
            _malformed(f"{name} {problem}")
    for name in fields.required:
        if name not in found:
            _malformed(f"{name} is missing.")
    return found


def _malformed(detail: str) -> NoReturn:
    raise InvalidRequest(detail)
