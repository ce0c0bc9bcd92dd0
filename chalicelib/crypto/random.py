"""Randomness from the operating system."""

from __future__ import annotations

import secrets


class SystemTokenSource:
    """ports.TokenSource over the operating system's generator, asked at each use (ASVS V11.5.2)."""

    def token(self, size: int) -> bytes:
        """`size` bytes that nobody can guess."""
        return secrets.token_bytes(size)
