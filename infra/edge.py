"""What stands before the API: API Gateway's throttling of the stage, and a web ACL where the settings ask for one.

Throttling bounds what all callers together can make Lambda and DynamoDB do, and so what an attack can cost. The web ACL
bounds one address. Both are coarse, and neither knows accounts: the limiter inside does (domain/limits.py).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_wafv2 import WAFV2Client

    from chalicelib.settings.config import Config
    from infra.stage import Stage

RULE = "requests-by-address"
WINDOW = 300  # seconds that WAF looks back

# A new ACL takes a moment to reach every part of WAF, and so does the end of an association.
NOT_YET = {"WAFUnavailableEntityException", "WAFAssociatedItemException"}
ATTEMPTS = 12
PAUSE = 5.0  # seconds


def throttle(apis: APIGatewayClient, stage: Stage, api_id: str, config: Config) -> None:
    """Set the stage's default limits, for every method of every path together. Raises what botocore raises.

    After each deployment: whoever deploys by other means may have made the stage anew. 429 comes from API Gateway then,
    with the body and headers of infra/gateway.py.
    """
    limits = {"rateLimit": config.limits.throttle_rate, "burstLimit": config.limits.throttle_burst}
    apis.update_stage(
        restApiId=api_id,
        stageName=stage.api_stage,
        patchOperations=[
            {"op": "replace", "path": f"/*/*/throttling/{name}", "value": str(value)} for name, value in limits.items()
        ],
    )


def guard_by_rate(waf: WAFV2Client, stage: Stage, stage_arn: str, rate: int) -> None:
    """Bring the stage's web ACL to `rate` requests of one address in five minutes; for 0 there is none.

    `stage_arn` is API Gateway's stage. Failure where another ACL guards it: associating ours would take that one away.
    Raises what botocore raises.
    """
    if not rate:
        remove(waf, stage, stage_arn)
        return
    guarding = _guarding(waf, stage_arn)
    held = _find(waf, stage)
    if guarding and (held is None or guarding != held["ARN"]):
        message = f"Another web ACL guards the stage: {guarding}. Remove it, or set KEYTURN_WAF_RATE to 0"
        raise Failure(message)
    if held is None:
        created = waf.create_web_acl(Name=stage.api_name, Scope="REGIONAL", **_contents(stage, rate))
        arn = created["Summary"]["ARN"]
        print(f"web ACL {stage.api_name}: created, {rate} requests of one address in {WINDOW} s", flush=True)
    else:
        arn = held["ARN"]
        _update(waf, stage, held, rate)
    if guarding != arn:
        _when_ready(lambda: waf.associate_web_acl(WebACLArn=arn, ResourceArn=stage_arn))


def remove(waf: WAFV2Client, stage: Stage, stage_arn: str | None) -> None:
    """Take the stage's web ACL, if there is one, from API Gateway's stage and delete it. Raises what botocore does."""
    held = _find(waf, stage)
    if held is None:
        return
    if stage_arn and _guarding(waf, stage_arn) == held["ARN"]:
        waf.disassociate_web_acl(ResourceArn=stage_arn)

    def delete() -> None:
        token = waf.get_web_acl(Name=held["Name"], Scope="REGIONAL", Id=held["Id"])["LockToken"]
        waf.delete_web_acl(Name=held["Name"], Scope="REGIONAL", Id=held["Id"], LockToken=token)

    _when_ready(delete)
    print(f"web ACL {held['Name']}: deleted", flush=True)


def _update(waf: WAFV2Client, stage: Stage, held: dict[str, str], rate: int) -> None:
    """Give the ACL the rate, where it has another: a change starts WAF's counts anew, so that none is made in vain."""
    found = waf.get_web_acl(Name=held["Name"], Scope="REGIONAL", Id=held["Id"])
    rules = found["WebACL"]["Rules"]
    limits = [rule["Statement"].get("RateBasedStatement", {}).get("Limit") for rule in rules]
    if limits == [rate]:
        return
    # The token is of the ACL as it was read: where somebody else changes it meanwhile, WAF refuses.
    contents = _contents(stage, rate)
    waf.update_web_acl(Name=held["Name"], Scope="REGIONAL", Id=held["Id"], LockToken=found["LockToken"], **contents)
    print(f"web ACL {held['Name']}: now {rate} requests of one address in {WINDOW} s", flush=True)


def _contents(stage: Stage, rate: int) -> dict[str, Any]:
    """The ACL: everybody passes, but an address that comes too often (WAFV2 API reference, RateBasedStatement).

    WAF counts each address by itself, of IPv6 too: whoever has a /64 has many. Our own limiter counts a /64 as one.
    """
    rule = {
        "Name": RULE,
        "Priority": 0,
        "Statement": {
            "RateBasedStatement": {"Limit": rate, "AggregateKeyType": "IP", "EvaluationWindowSec": WINDOW},
        },
        "Action": {"Block": {}},
        "VisibilityConfig": _visibility(f"{stage.api_name}-{RULE}"),
    }
    return {"DefaultAction": {"Allow": {}}, "Rules": [rule], "VisibilityConfig": _visibility(stage.api_name)}


def _visibility(metric: str) -> dict[str, Any]:
    """Counted, and no request sampled: a sample shows headers, and those hold credentials."""
    return {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": True, "MetricName": metric}


def _guarding(waf: WAFV2Client, stage_arn: str) -> str | None:
    """ARN of the web ACL that guards API Gateway's stage, ours or not; None also where there is no such stage."""
    try:
        return waf.get_web_acl_for_resource(ResourceArn=stage_arn).get("WebACL", {}).get("ARN")
    except waf.exceptions.WAFNonexistentItemException:
        return None


def _find(waf: WAFV2Client, stage: Stage) -> dict[str, str] | None:
    """Name, id and ARN of the stage's web ACL; names are unique in an account and region."""
    page = waf.list_web_acls(Scope="REGIONAL")
    while True:
        for found in page["WebACLs"]:
            if found["Name"] == stage.api_name:
                return {"Name": found["Name"], "Id": found["Id"], "ARN": found["ARN"]}
        if not page.get("NextMarker"):
            return None
        page = waf.list_web_acls(Scope="REGIONAL", NextMarker=page["NextMarker"])


def _when_ready(call: Callable[[], object]) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            call()
        except ClientError as error:
            if not left or error.response["Error"]["Code"] not in NOT_YET:
                raise
            time.sleep(PAUSE)
        else:
            return
