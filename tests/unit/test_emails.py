"""Email addresses: which strings are one, and that each has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.emails import MAX_LENGTH, MAX_LOCAL_LENGTH, canonical_email
from chalicelib.errors import InvalidEmail

bounded = settings(max_examples=200, deadline=None)


def refused(email: str) -> bool:
    """Whether the string is answered with InvalidEmail, and with nothing else."""
    try:
        canonical_email(email)
    except InvalidEmail:
        return True
    return False


@pytest.mark.parametrize(
    ("email", "canonical"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@Example.COM", "ada@example.com"),
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("a.d.a@example.com", "a.d.a@example.com"),
        ("o'hara!#$%&*/=?^_`{|}~-@example.com", "o'hara!#$%&*/=?^_`{|}~-@example.com"),
        ("1@2.example", "1@2.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@Bu\u0308cher.example", "ada@bücher.example"),
        ("ADÁ@example.com", "adá@example.com"),
        ("ada\u0301@example.com", "adá@example.com"),
        ("\u212aelvin@example.com", "kelvin@example.com"),  # the Kelvin sign is a K
        ("ΑΔΑ@example.com", "αδα@example.com"),
        ("a@" + "b" * 63 + ".example", "a@" + "b" * 63 + ".example"),
        ("a" * MAX_LOCAL_LENGTH + "@example.com", "a" * MAX_LOCAL_LENGTH + "@example.com"),
    ],
)
def test_addresses_have_one_spelling(email: str, canonical: str) -> None:
    """Accounts are unique by this spelling: lower case, NFC; tags and dots are the mailbox's own business."""
    assert canonical_email(email) == canonical


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "ada@bob@example.com",
        # More than one address, or a name beside it (CVE-2022-35924).
        "ada@example.com,bob@example.com",
        "ada@example.com;bob@example.com",
        "ada@example.com bob@example.com",
        "ada@example.com,",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "ada@example.com (Ada)",
        "mailto:ada@example.com",
        '"ada"@example.com',
        '"ada@evil.example"@example.com',
        "ada\\@example.com",
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        # Characters that end a header or a line, or that nobody sees.
        "ada@example.com\r\nBcc: bob@example.com",
        "ada@example.com\n",
        "\tada@example.com",
        " ada@example.com",
        "ada @example.com",
        "ada@ example.com",
        "ada@example.com\x00",
        "ada\x00@example.com",
        "ada\x7f@example.com",
        "ada\x85@example.com",
        "ada\u00a0@example.com",
        "ada\u2028@example.com",
        "ada\u3000@example.com",
        "ada\u200b@example.com",
        "ada\u202e@example.com",
        "ada\ufeff@example.com",
        "ada\ud800@example.com",
        "ada@exam\udfffple.com",
        # Dots and hyphens out of place.
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@example..com",
        "ada@-example.com",
        "ada@example-.com",
        "ada@exam_ple.com",
        "ada@exam/ple.com",
        "ada@example.com#",
        "ada@example\u3002com",
        # Too long.
        "a" * (MAX_LOCAL_LENGTH + 1) + "@example.com",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 126 + "example",
    ],
)
def test_other_strings_are_refused(email: str) -> None:
    """Lists, names, quotes, line breaks, hidden characters, misplaced dots and overlong parts are no address."""
    assert refused(email)


def test_longest_address() -> None:
    """254 characters are an address and 255 are not (RFC 5321 section 4.5.3.1.3)."""
    domain = ".".join(["b" * 63, "c" * 63, "d" * 58])
    longest = f"{'a' * MAX_LOCAL_LENGTH}@{domain}.de"
    assert len(longest) == MAX_LENGTH
    assert canonical_email(longest) == longest
    assert refused(longest + "e")


names = st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=20)
addresses = st.builds("{}@{}.{}".format, names, names, names)


@bounded
@given(st.one_of(addresses, st.text(max_size=40), st.emails()))
def test_canonical_address_stays_as_it_is(email: str) -> None:
    """What is canonical is its own canonical form: an account is found by what it was made with."""
    if not refused(email):
        canonical = canonical_email(email)
        assert canonical_email(canonical) == canonical
        assert canonical.count("@") == 1
        assert canonical.isprintable()
        assert not set(canonical) & set(' ,;<>()"\\')


@bounded
@given(addresses)
def test_case_is_no_difference(email: str) -> None:
    """One mailbox is one account, in capitals too."""
    if email.isascii() and not refused(email):
        assert canonical_email(email.upper()) == canonical_email(email)


HOSTILE = {
    "letters": "a" * 50_000,
    "letters at home": "a" * 50_000 + "@example.com",
    "@": "@" * 50_000,
    "a@": "a@" * 25_000,
    "dots": "a@" + "." * 50_000,
    "labels": "a@" + "a." * 25_000 + "!",
    "hyphens": "a@a" + "-" * 50_000 + "!",
    "accents": "\u0301\u0316" * 25_000 + "@example.com",
    "accents in turn": "a\u0301\u0316" * 20_000 + "@example.com",
    "growing letters": "\u0130" * 50_000,
    "million accents": "\u0316\u0301" * 500_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_long_input_ends(name: str) -> None:
    """No length and no repetition keeps the function busy: time is linear (CVE-2022-31093, ASVS V1.3.12)."""
    assert refused(HOSTILE[name])
