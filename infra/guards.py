"""Who may ask the authorizers: a Lambda alias of `guard` for each variant, and API Gateway's permissions, API by API.

Our own API may invoke `guard`. An API that the stage lists may invoke `guard`, each of its aliases, and `authorize`.
Every statement's id says what it is for, so that a second deployment finds it and one that is obsolete goes.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_lambda import LambdaClient

GUARD, AUTHORIZE = "guard", "authorize"  # chalice's names for the functions
STATEMENT = "keyturn-guarded-"  # how the ids of our statements begin; chalice's own are random
LATEST = "$LATEST"


class _Where(TypedDict):
    """Parameters that name a function or its alias in Lambda's calls."""

    FunctionName: str
    Qualifier: NotRequired[str]


def ensure(
    functions: LambdaClient, deployed: Mapping[str, str], variants: Iterable[str], *, own: str, guarded: Iterable[str]
) -> None:
    """Bring aliases and permissions to what the stage says; what is right already is not touched.

    `deployed` are the functions' ARNs by chalice's names. `own` is our API and `guarded` are the listed ones, each as
    `arn:aws:execute-api:<region>:<account>:<id>`. Raises what botocore raises.
    """
    guard, named = deployed[GUARD], set(variants)
    aliases = _aliases(functions, guard)
    for alias in sorted(aliases.keys() - named):
        _permit(functions, guard, alias, set())  # so that an alias of this name begins with nobody's permission
        functions.delete_alias(FunctionName=_name(guard), Name=alias)
        _say(f"variant {alias} of guard: deleted")
    for alias in sorted(named - aliases.keys()):
        functions.create_alias(FunctionName=_name(guard), Name=alias, FunctionVersion=LATEST)
        _say(f"variant {alias} of guard: created")
    for alias in sorted(name for name in named & aliases.keys() if aliases[name] != LATEST):
        functions.update_alias(FunctionName=_name(guard), Name=alias, FunctionVersion=LATEST)
        _say(f"variant {alias} of guard: brought up to date")
    listed = {_authorizers(api) for api in guarded}
    _permit(functions, deployed[AUTHORIZE], LATEST, listed)
    _permit(functions, guard, LATEST, {*listed, _authorizers(own)})
    for alias in sorted(named):
        _permit(functions, guard, alias, listed)


def _authorizers(api: str) -> str:
    """Who invokes an authorizer's function, as API Gateway names itself: an authorizer of that API."""
    return f"{api}/authorizers/*"


def _aliases(functions: LambdaClient, function: str) -> dict[str, str]:
    """The function's aliases, with the versions that they point at."""
    pages = functions.get_paginator("list_aliases").paginate(FunctionName=_name(function))
    return {alias["Name"]: alias["FunctionVersion"] for page in pages for alias in page["Aliases"]}


def _permit(functions: LambdaClient, function: str, alias: str, sources: set[str]) -> None:
    """Let API Gateway invoke the alias for these sources and for no others of ours. LATEST is the function itself.

    The account is part of each source's ARN, which is why no condition of its own names it.
    """
    target = function if alias == LATEST else f"{function}:{alias}"
    where: _Where = {"FunctionName": _name(function)}
    if alias != LATEST:
        where["Qualifier"] = alias
    wanted = {_statement_id(target, source): source for source in sources}
    held = _statements(functions, where, target)
    for statement_id in sorted(held - wanted.keys()):
        functions.remove_permission(**where, StatementId=statement_id)
        _say(f"permission {statement_id} on {target}: deleted")
    for statement_id in sorted(wanted.keys() - held):
        functions.add_permission(
            **where,
            StatementId=statement_id,
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=wanted[statement_id],
        )
        _say(f"{wanted[statement_id]} may invoke {target}")


def _statements(functions: LambdaClient, where: _Where, target: str) -> set[str]:
    """Ids of the statements on the function or alias that are ours."""
    try:
        policy = json.loads(functions.get_policy(**where)["Policy"])
    except functions.exceptions.ResourceNotFoundException:
        return set()
    return {
        statement["Sid"]
        for statement in policy["Statement"]
        if statement["Sid"].startswith(STATEMENT) and statement["Resource"] == target
    }


def _statement_id(target: str, source: str) -> str:
    """An id that says all of the statement: one for another source is another statement."""
    return STATEMENT + sha256(f"{target} {source}".encode()).hexdigest()[:16]


def _name(function: str) -> str:
    """The function's name, from its ARN."""
    return function.rpartition(":")[2]


def _say(line: str) -> None:
    print(line, flush=True)
