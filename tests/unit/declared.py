"""What the routes of the app declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import app

if TYPE_CHECKING:
    from chalicelib.web.fields import Fields


def declared_fields() -> list[Fields]:
    """Every body, form and query."""
    endpoints = [route.endpoint for route in app.ROUTES]
    return [one for each in endpoints for one in (each.body, each.form, each.query) if one]
