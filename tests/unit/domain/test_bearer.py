"""The Authorization header."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.bearer import bearer_token


@pytest.mark.parametrize("header", ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer   a.b.c"])
def test_scheme_has_any_case(header: str) -> None:
    """The scheme is compared without case (RFC 9110 section 11.1), blanks after it are one or more."""
    assert bearer_token(header) == "a.b.c"


def test_alphabet_is_rfc_6750s() -> None:
    """Every character of b64token is taken."""
    assert bearer_token("Bearer AZaz09-._~+/==") == "AZaz09-._~+/=="


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Bearer ", "a.b.c", "Basic a.b.c", "Bearera.b.c", " Bearer a.b.c", "Bearer a.b.c "),
        *("Bearer a b", "Bearer a,b", "Bearer a.b.c, Bearer d.e.f", "Bearer =", "Bearer a=b", "Bearer\ta.b.c"),
        *(
            "Bearer a.b.c\n",
            "Bearer\u00a0a.b.c",
            "Bearer é",
            "Bearer \ud800",
            "Bearer \uff41",
            "DPoP a.b.c",
            'Bearer "a"',
        ),
    ],
)
def test_other_headers_carry_none(header: str | None) -> None:
    """Whatever else stands there is no access token."""
    assert bearer_token(header) is None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_header_breaks_the_reading(header: str) -> None:
    """Whatever comes, what is read is plain ASCII without blanks, or None."""
    text = bearer_token(f"Bearer {header}")
    assert text is None or (text.isascii() and text.strip() == text == header.lstrip(" "))
