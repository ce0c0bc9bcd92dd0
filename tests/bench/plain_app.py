"""What a cold start is compared with: the smallest API that chalice and boto3 make of one table. Deployed as app.py."""

from __future__ import annotations

import os

import boto3
from chalice.app import Chalice

app = Chalice(app_name="plain")
dynamodb = boto3.client("dynamodb")


@app.route("/")
def index() -> dict[str, bool]:
    """Tell whether an item exists."""
    key = {"pk": {"S": "plain"}, "sk": {"S": "plain"}}
    return {"found": "Item" in dynamodb.get_item(TableName=os.environ["PLAIN_TABLE"], Key=key)}
