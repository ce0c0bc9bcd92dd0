"""Orders: an API of its own, with data of its own, that knows its users through Keyturn's authorizer alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice
from chalicelib.guarding import Guard
from chalicelib.orders import Orders
from keyturn_guard import require

if TYPE_CHECKING:
    from keyturn_guard import Principal

MENU = {"bread": 4, "soup": 6, "cake": 5}

app = Chalice(app_name="guarded-orders")
cache_seconds = int(os.environ.get("GUARD_CACHE_SECONDS") or 0)
# One function of Keyturn's for all: its alias `admin` asks for the role besides (KEYTURN_GUARDS=admin: role=admin).
guard = Guard("guard", os.environ["GUARD_ARN"], cache_seconds)
guard_admin = Guard("guard_admin", f"{os.environ['GUARD_ARN']}:admin", cache_seconds)


def orders() -> Orders:
    """The table of the stage."""
    return Orders(os.environ["ORDERS_TABLE"])


@app.route("/menu", methods=["GET"])
def menu() -> dict[str, Any]:
    """Everybody may see what there is."""
    return {"menu": MENU}


@app.route("/orders", methods=["GET"], authorizer=guard)
@require(app=app)
def own_orders(principal: Principal) -> dict[str, Any]:
    """Users see their own orders."""
    return {"orders": orders().of(principal.sub)}


@app.route("/orders/{dish}", methods=["POST"], content_types=["*/*"], authorizer=guard)
@require(app=app)
def order(dish: str, principal: Principal) -> dict[str, Any]:
    """Users order for themselves."""
    if dish not in MENU:
        return {"ordered": None}
    return {"ordered": orders().add(principal.sub, dish)}


@app.route("/admin/orders", methods=["GET"], authorizer=guard_admin)
@require(roles=["admin"], app=app)
def all_orders(principal: Principal) -> dict[str, Any]:
    """Admins see everybody's. The function asks for the role too, in case the route names another guard one day."""
    return {"orders": orders().all(), "seen_by": principal.sub}
