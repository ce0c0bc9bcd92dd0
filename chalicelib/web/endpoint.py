"""Endpoints: what one takes and answers is declared once, at its handler.

The declaration is enforced before the handler is called, so that no handler can forget a check; the API's description
is made from it too (openapi.py). Method and path stand in app.py. The order of the checks:

    the navigation             of a GET that writes
    who the caller is          what the gateway's authorizer or signature check has found
    the provider               of a path that names one
    the body, form or query    by its declaration
    the page                   of what an allowed page alone may read or begin
    the credential             with the page and the CSRF token that a cookie needs (credentials.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.errors import InvalidClient, InvalidToken
from chalicelib.web import credentials
from chalicelib.web.origins import require_allowed_page, require_navigation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalice.app import Authorizer, Response

    from chalicelib.domain.callers import Principal
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.errors import AuthError
    from chalicelib.services import Services
    from chalicelib.web.fields import Fields
    from chalicelib.web.request import Request


class Credential(Enum):
    """What a caller shows, and what for. Each but the first two is checked by credentials.py."""

    NONE = auto()  # nothing
    AWS = auto()  # the signature of an AWS caller, which the gateway has verified
    PRINCIPAL = auto()  # what the gateway's authorizer has accepted
    BEGINS = auto()  # nothing; the sessions that a browser carries end at the login
    READS = auto()  # a refresh or session cookie, if any, which is looked at and stays as it is
    REFRESHES = auto()  # a refresh token, by cookie or in the body
    LEAVES = auto()  # any long-lived credential, or none
    RENEWS = auto()  # what the authorizer has accepted, and the session's long-lived credential, which is renewed


class Page(Enum):
    """Which pages may ask, beside what the credential demands."""

    ANY = auto()
    ALLOWED = auto()  # a page of this API or of KEYTURN_ALLOWED_ORIGINS, and programs
    NAVIGATION = auto()  # a tab or window that goes here: a GET that writes


GUARDED = frozenset({Credential.PRINCIPAL, Credential.RENEWS})


class Call(NamedTuple):
    """A request that its endpoint's declaration lets through, as a handler reads it."""

    request: Request
    services: Services
    path: Mapping[str, str]
    fields: Mapping[str, str]  # what the body, the form or the query says
    credentials: tuple[RefreshToken, ...]  # the long-lived credentials that came and were accepted
    authorized: Principal | None = None

    @property
    def principal(self) -> Principal:
        """Whom the authorizer let in. InvalidToken at an endpoint that declares none."""
        if self.authorized is None:
            raise InvalidToken(debug="no principal")
        return self.authorized

    @property
    def presented(self) -> RefreshToken | None:
        """The session's own long-lived credential, where one came."""
        return self.credentials[0] if self.credentials else None


@dataclass(slots=True, eq=False, repr=False)
class Endpoint:
    """A handler with its declaration.

    `answers` are the names of schemas (schemas.py) by status, of which the body is one; none where there is no body.
    `errors` are those that handler and services raise, beside what the declaration itself implies. `headers` come with
    every success, `sometimes` with some. `lenient`: what is malformed is left out, because the caller has not made it.
    `provider`: the path names an identity provider, which must be switched on. `oauth_errors`: errors that RFC 6749
    section 5.2 names are answered in its form (RFC 7009 section 2.2.1, RFC 7662 section 2.3).
    """

    handle: Callable[[Call], Response]
    answers: Mapping[int, tuple[str, ...]]
    credential: Credential = Credential.NONE
    page: Page = Page.ANY
    body: Fields | None = None
    form: Fields | None = None
    query: Fields | None = None
    lenient: bool = False
    provider: bool = False
    errors: tuple[type[AuthError], ...] = ()
    oauth_errors: bool = False
    headers: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()

    def __call__(self, request: Request, services: Services, **path: str) -> Response:
        """Answer a request that the declaration lets through; the errors of each check where it does not."""
        if self.page is Page.NAVIGATION:
            require_navigation(request)
        principal = request.principal() if self.credential in GUARDED else None
        if self.credential is Credential.AWS and not request.iam_caller:
            raise InvalidClient(debug="no AWS caller")
        if self.provider:
            services.providers.get(path["provider"])
        fields = self._read(request)
        if self.page is Page.ALLOWED:
            require_allowed_page(request, services.config.pages.allowed_origins)
        accepted = self._accept(request, services, fields, principal)
        return self.handle(Call(request, services, path, fields, accepted, principal))

    def _read(self, request: Request) -> dict[str, str]:
        if self.body is not None:
            return request.fields(self.body)
        if self.form is not None:
            return request.readable_form(self.form) if self.lenient else request.form(self.form)
        if self.query is not None:
            return request.readable_parameters(self.query) if self.lenient else request.parameters(self.query)
        return {}

    def _accept(
        self, request: Request, services: Services, fields: Mapping[str, str], principal: Principal | None
    ) -> tuple[RefreshToken, ...]:
        match self.credential:
            case Credential.BEGINS:
                return credentials.sessions_to_end(request, services, credentials.transport_of(fields))
            case Credential.READS:
                return credentials.carried_sessions(request, services)
            case Credential.REFRESHES:
                return (credentials.refreshing(request, services, fields),)
            case Credential.LEAVES:
                return credentials.leaving(request, services, fields)
            case Credential.RENEWS if principal is not None:
                own = credentials.own_credential(request, services, fields, principal)
                return () if own is None else (own,)
        return ()


def endpoint(
    answers: Mapping[int, tuple[str, ...]],
    **declared: Any,  # noqa: ANN401  # the other members of Endpoint
) -> Callable[[Callable[[Call], Response]], Endpoint]:
    """Declare the endpoint of the handler below."""
    return lambda handle: Endpoint(handle, answers, **declared)


class Route(NamedTuple):
    """One method of one path: `endpoint` answers it, after `authorizer`, where there is one, has let the caller in."""

    method: str
    path: str
    endpoint: Endpoint
    authorizer: Authorizer | None = None

    @property
    def methods(self) -> list[str]:
        """What the path takes by this route: HEAD beside every public GET that only reads (RFC 9110 section 9.1)."""
        reads = self.method == "GET" and self.authorizer is None and self.endpoint.page is not Page.NAVIGATION
        return [self.method, "HEAD"] if reads else [self.method]
