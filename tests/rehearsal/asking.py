"""Deployed functions asked directly, as the AWS services do that invoke them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

from tests.unit.guarded import put

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.rehearsal.stack import Stack


def verdict(stack: Stack, name: str, kind: str, headers: Mapping[str, str], method: str = "GET") -> str:
    """The answer of an authorizer to these headers: `Allow`, `Deny` or `Unauthorized`.

    `name` is the function's without the stage's own, an alias behind a colon (`guard:admin`); `kind` is the API's, as
    tests/unit/guarded.py names it.
    """
    function, _, alias = name.partition(":")
    arn = stack.functions[f"keyturn-{stack.stage}-{function}"].config.arn
    outcome = stack.function_of(f"{arn}:{alias}" if alias else arn).invoke(put(kind, headers, method))
    if outcome.error:
        assert (outcome.error["errorType"], outcome.error["errorMessage"]) == ("Exception", "Unauthorized"), outcome
        return "Unauthorized"
    if "isAuthorized" in outcome.result:
        return "Allow" if outcome.result["isAuthorized"] else "Deny"
    (effect,) = {statement["Effect"] for statement in outcome.result["policyDocument"]["Statement"]}
    return str(effect)


def chronicle(stack: Stack) -> None:
    """Hand every line that the functions have printed to the function that keeps events: a line counts once."""
    printed = stack.log.read_text(errors="replace").splitlines()
    delivery = {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": f"/aws/lambda/keyturn-{stack.stage}",
        "logStream": "rehearsal",
        "subscriptionFilters": ["keyturn-security-events"],
        "logEvents": [*_log_events(printed)],
    }
    packed = base64.b64encode(gzip.compress(json.dumps(delivery).encode())).decode()
    outcome = stack.functions[f"keyturn-{stack.stage}-chronicle"].invoke({"awslogs": {"data": packed}})
    assert outcome.error is None, outcome


def _log_events(printed: Iterable[str]) -> Iterable[dict[str, Any]]:
    """The lines that the subscription's filter lets through; the id is the line's place in the log."""
    for number, line in enumerate(printed):
        if line.startswith("{") and '"event"' in line and '"sub"' in line:
            yield {"id": f"{number:056d}", "timestamp": 0, "message": line}
