"""Passwords that are known from breaches, by k-anonymity: a range of them is asked for, and never one.

Source: the Pwned Passwords API, haveibeenpwned.com/API/v3#SearchingPwnedPasswordsByRange. Its answer has a line for
each breached password whose SHA-1 begins with the five hex digits that were sent: the other 35, a colon, and how often
it was seen. With `Add-Padding` it has lines of count 0 besides, so that its length does not tell an eavesdropper the
range.
"""

from __future__ import annotations

import re

from chalicelib import deadline
from chalicelib.errors import ProviderError
from chalicelib.providers import http

SECONDS = 1.0  # for the whole look-up: the person is waiting, and the password is taken where it takes longer

LINE = re.compile(rb"([0-9A-Fa-f]{35}):([0-9]{1,12})")


class BreachedPasswords:
    """ports.BreachedPasswords over the service at `url`, or a copy of it that answers in the same form."""

    def __init__(self, url: str) -> None:
        self._url = url

    def suffixes(self, prefix: str) -> frozenset[str]:
        """As ports.BreachedPasswords, within a second of the time that the request has for others' machines."""
        with deadline.outside(), deadline.start(SECONDS):
            answer = http.call(f"{self._url}/{prefix}", headers={"Accept": "text/plain", "Add-Padding": "true"})
        answer.require_ok("breached passwords")
        return frozenset(suffix for suffix, count in _parse(answer.body) if count)


def _parse(body: bytes) -> list[tuple[str, int]]:
    """Suffix and count of each line. ProviderError where any line is something else, and where there is none.

    No range of the real list is empty: whoever answers so for every range would switch the check off unseen.
    """
    matches = [LINE.fullmatch(line) for line in body.splitlines()]
    lines = [(match[1].decode().upper(), int(match[2])) for match in matches if match]
    if not lines or len(lines) < len(matches):
        raise ProviderError(debug="breached passwords: the answer is no list of suffixes and counts")
    return lines
