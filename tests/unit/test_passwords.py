"""Passwords: what may be one, and what is kept of it."""

from __future__ import annotations

import re

import pytest
from argon2 import PasswordHasher as Argon2Hasher
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.passwords import PROFILES, Argon2PasswordHasher, Profile
from chalicelib.domain.passwords import MAX_LENGTH, accept_new, normalised
from chalicelib.errors import InvalidRequest, PasswordRejected

EMAIL = "ada@example.com"
bounded = settings(max_examples=100, deadline=None)
cheap = Argon2PasswordHasher(PROFILES["testing"])


# The hash -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "memory_cost", "time_cost", "parallelism"), [("default", 19456, 2, 1), ("rfc9106", 65536, 3, 4)]
)
def test_profiles_cost_what_they_promise(name: str, memory_cost: int, time_cost: int, parallelism: int) -> None:
    """The profiles for production are argon2id with OWASP's and RFC 9106's parameters (ASVS V11.4.2)."""
    assert PROFILES[name] == Profile(memory_cost, time_cost, parallelism)
    password_digest = Argon2PasswordHasher(PROFILES[name]).hash("correct horse battery")
    salt, tag = r"[A-Za-z0-9+/]{22}", r"[A-Za-z0-9+/]{43}"  # 16 and 32 bytes
    form = rf"\$argon2id\$v=19\$m={memory_cost},t={time_cost},p={parallelism}\${salt}\${tag}"
    assert re.fullmatch(form, password_digest)


def test_digest_is_the_passwords_alone() -> None:
    """A digest verifies its password, in every character, and no other; each has a salt of its own (ASVS V6.2.8)."""
    password_digest = cheap.hash("correct horse battery")
    assert cheap.verify(password_digest, "correct horse battery")
    for other in ("Correct horse battery", "correct horse battery ", " correct horse battery", "correct horse", ""):
        assert not cheap.verify(password_digest, other)
    assert cheap.hash("correct horse battery") != password_digest


@pytest.mark.parametrize("length", [71, 72, 73, 128, MAX_LENGTH])
def test_nothing_is_cut(length: int) -> None:
    """The last of many characters counts, and so does what follows a NUL (ASVS V6.2.8)."""
    password = "\U0001f511" * (length - 1)
    password_digest = cheap.hash(password + "a")
    assert cheap.verify(password_digest, password + "a")
    assert not cheap.verify(password_digest, password + "b")
    assert not cheap.verify(cheap.hash("a\x00b"), "a\x00c")


class CountingArgon2(Argon2Hasher):
    """argon2, with every computation's parameters kept."""

    def __init__(self) -> None:
        super().__init__()
        self.verified: list[str | bytes] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002  # the base's name
        """Keep the digest, then compute."""
        self.verified.append(hash)
        return super().verify(hash, password)


@pytest.mark.parametrize("name", ["default", "testing"])
def test_nobody_costs_a_hash_and_never_matches(name: str) -> None:
    """Without an account the same computation is done, with the same parameters, and is False (ASVS V6.3.8)."""
    hasher = Argon2PasswordHasher(PROFILES[name])
    counting = CountingArgon2()
    hasher._argon2 = counting
    assert hasher.verify(None, "correct horse battery") is False
    assert len(counting.verified) == 1
    hasher.verify(hasher.hash("x"), "correct horse battery")
    parameters = [str(verified).split("$")[1:4] for verified in counting.verified]
    assert parameters[0][:2] == parameters[1][:2] == ["argon2id", "v=19"]
    assert not Argon2PasswordHasher(PROFILES[name]).needs_rehash(str(counting.verified[0]))


@bounded
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_nobody_has_no_password(password: str) -> None:
    """No password at all is nobody's."""
    assert cheap.verify(None, password) is False


def test_match_with_nobodys_digest_is_no_match() -> None:
    """Even a password whose tag were the stand-in's would not be let in."""

    class Agreeing(Argon2Hasher):
        def verify(self, *_: object) -> bool:  # type: ignore[override]
            return True

    hasher = Argon2PasswordHasher(PROFILES["testing"])
    hasher._argon2 = Agreeing()
    assert hasher.verify(None, "anything") is False
    assert hasher.verify("digest", "anything") is True


@pytest.mark.parametrize("password_digest", ["", "x", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=8,t=1,p=1$$"])
def test_broken_digest_matches_nothing(password_digest: str) -> None:
    """What is no argon2 digest is a wrong password, and not a failure."""
    assert cheap.verify(password_digest, "") is False


def test_older_parameters_are_noticed() -> None:
    """A digest of other parameters still verifies, and asks to be made anew (ASVS V11.2.2)."""
    older = Argon2PasswordHasher(Profile(memory_cost=16, time_cost=1, parallelism=1)).hash("correct horse battery")
    assert cheap.verify(older, "correct horse battery")
    assert cheap.needs_rehash(older)
    assert not cheap.needs_rehash(cheap.hash("correct horse battery"))


# The policy -----------------------------------------------------------------------------------------------------------


def test_one_password_typed_in_two_ways() -> None:
    """A character that is composed and one that is not are one password: NFC (ASVS V6.2.8)."""
    assert normalised("e\u0301" * 8) == "é" * 8
    assert normalised("\u1112\u1161\u11ab" * 8) == "한" * 8


@bounded
@given(st.text(max_size=MAX_LENGTH))
def test_normalising_twice_is_once(password: str) -> None:
    """Normalising changes nothing that is normal already."""
    assert normalised(normalised(password)) == normalised(password)


@bounded
@given(st.text(alphabet=st.characters(max_codepoint=0x7F), max_size=MAX_LENGTH))
def test_plain_passwords_are_verbatim(password: str) -> None:
    """Blanks, case, control characters: nothing is trimmed or folded."""
    assert normalised(password) == password


def test_length_has_a_bound() -> None:
    """256 characters are taken, as they are counted after normalising; one more is refused, not cut (ASVS V6.2.9)."""
    assert normalised("é" * MAX_LENGTH) == "é" * MAX_LENGTH
    assert normalised("e\u0301" * MAX_LENGTH) == "é" * MAX_LENGTH
    assert normalised("\u03b1\u0313\u0300\u0345" * MAX_LENGTH) == "\u1f82" * MAX_LENGTH
    for too_long in ("a" * (MAX_LENGTH + 1), "e\u0301" * (MAX_LENGTH + 1), "a" * 50_000):
        with pytest.raises(InvalidRequest):
            normalised(too_long)


def test_long_runs_of_accents_are_not_normalised() -> None:
    """Normalising n accents takes n² steps: what is too long anyway is refused before it."""
    with pytest.raises(InvalidRequest):
        normalised("\u0301\u0316" * 1_000_000)


@pytest.mark.parametrize(
    "password", ["12345678", "aaaaaaaa", "ALLUPPER", "        ", "🔑🔑🔑🔑🔑🔑🔑🔑", "pass word with spaces"]
)
def test_there_are_no_composition_rules(password: str) -> None:
    """Length counts, in characters and not in bytes; kinds of characters do not (ASVS V6.2.5)."""
    accept_new(password, EMAIL, min_length=8)


@pytest.mark.parametrize(("password", "min_length"), [("", 8), ("1234567", 8), ("🔑" * 7, 8), ("a" * 14, 15)])
def test_short_passwords_say_how_long(password: str, min_length: int) -> None:
    """A password below the minimum is refused, and the person is told the minimum (ASVS V6.2.1)."""
    with pytest.raises(PasswordRejected) as raised:
        accept_new(password, EMAIL, min_length=min_length)
    assert str(min_length) in str(raised.value.detail)


@pytest.mark.parametrize(
    "password", ["ada.lovelace@example.com", "ADA.Lovelace@Example.COM", "ada.lovelace", "Ada.Lovelace"]
)
def test_address_is_no_password(password: str) -> None:
    """What everybody knows of the account is refused (ASVS V6.2.11), and the reason does not repeat it."""
    with pytest.raises(PasswordRejected) as raised:
        accept_new(password, "ada.lovelace@example.com", min_length=8)
    assert "lovelace" not in str(raised.value.detail).lower()
