"""Settings of passwords: how they are hashed, and which may be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.settings.environment import Environment

ARGON2_PROFILES = ("default", "rfc9106", "testing")  # the first is the default

LEAST_WORD = 3  # characters


class PasswordSettings(NamedTuple):
    """`min_length` in characters; `breached_passwords`: the URL where passwords are looked up, or empty."""

    argon2_profile: str = ARGON2_PROFILES[0]
    min_length: int = 8
    context_words: frozenset[str] = frozenset()
    breached_passwords: str = ""

    @classmethod
    def read(cls, env: Environment) -> PasswordSettings:
        """Read them. Whatever is wrong, `env` remembers."""
        return cls(
            argon2_profile=env.choice("KEYTURN_ARGON2_PROFILE", ARGON2_PROFILES),
            min_length=env.number("KEYTURN_PASSWORD_MIN_LENGTH", cls().min_length, 8, 64),
            context_words=_words(env, "KEYTURN_CONTEXT_WORDS"),
            breached_passwords=env.url("KEYTURN_BREACHED_PASSWORDS"),
        )


def _words(env: Environment, name: str) -> frozenset[str]:
    """Words between commas, in lower case, each long enough that a password holds it on purpose."""
    words = frozenset(word.lower() for word in env.listed(name))
    for word in sorted(words):
        if len(word) < LEAST_WORD:
            env.problem(name, f"holds {word!r}, which is no word: it has fewer than {LEAST_WORD} characters")
    return words
