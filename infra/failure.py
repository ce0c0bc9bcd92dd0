"""The one way in which an operator's command fails."""

from __future__ import annotations


class Failure(Exception):
    """What went wrong and the remedy, in words for the operator: one line, no traceback."""
