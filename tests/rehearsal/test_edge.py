"""What stands before a deployed API: throttling of its stage, and the web ACL that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra import edge
from infra.failure import Failure
from infra.stage import Stage
from tests.rehearsal.aws import REGION, LocalAws
from tests.rehearsal.stack import ROOT, deployed

if TYPE_CHECKING:
    from tests.rehearsal.stack import RunningStack

SERVED = f"arn:aws:apigateway:{REGION}::/restapis/abcdef1234/stages/api"


def served(stack: RunningStack) -> str:
    """The stage's ARN, as WAF knows it."""
    return f"arn:aws:apigateway:{REGION}::/restapis/{stack.api_id}/stages/api"


def limits(stack: RunningStack) -> tuple[float, int]:
    """What the stage lets through: requests a second, and at once."""
    stage = stack.aws.client("apigateway").get_stage(restApiId=stack.api_id, stageName="api")
    settings = stage["methodSettings"]["*/*"]
    return settings["throttlingRateLimit"], settings["throttlingBurstLimit"]


def acls(aws: LocalAws) -> dict[str, dict[str, Any]]:
    """Every web ACL with its lock token, which each change replaces; by name."""
    waf = aws.client("wafv2")
    found = {}
    for acl in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]:
        found[acl["Name"]] = waf.get_web_acl(Name=acl["Name"], Id=acl["Id"], Scope="REGIONAL")
        del found[acl["Name"]]["ResponseMetadata"]
    return found


def guarding(aws: LocalAws, stage_arn: str) -> str | None:
    """The name of the ACL that guards a stage."""
    acl = aws.client("wafv2").get_web_acl_for_resource(ResourceArn=stage_arn).get("WebACL")
    return acl["Name"] if acl else None


def test_stage_is_throttled_by_default(dev: RunningStack) -> None:
    """Whoever sets nothing has the documented limits, and not the account's; no web ACL, which costs money, is made."""
    assert limits(dev) == (100.0, 200)
    assert guarding(dev.aws, served(dev)) is None
    assert "keyturn-dev" not in acls(dev.aws)


def test_redeployment_keeps_both_and_the_end_leaves_nothing(aws: LocalAws) -> None:
    """A deployment makes moto's stage anew, without its settings: they are there after it, and the ACL is the same.

    (AWS keeps them; whoever deploys by other means may not.)
    """
    settings = {"KEYTURN_THROTTLE_RATE": "7", "KEYTURN_THROTTLE_BURST": "9", "KEYTURN_WAF_RATE": "500"}
    with deployed("prod", aws=aws, settings=settings) as stack:
        arn = served(stack)
        assert limits(stack) == (7.0, 9)
        assert guarding(aws, arn) == "keyturn-prod"
        first = acls(aws)["keyturn-prod"]
        stack.deploy()
        assert limits(stack) == (7.0, 9)
        assert guarding(aws, arn) == "keyturn-prod"
        assert acls(aws)["keyturn-prod"] == first
        stack.configure({"KEYTURN_THROTTLE_RATE": "8", "KEYTURN_WAF_RATE": "0"})
        stack.deploy()
        assert limits(stack) == (8.0, 9)
        assert guarding(aws, arn) is None
        assert "keyturn-prod" not in acls(aws)
        stack.configure({"KEYTURN_WAF_RATE": "600"})
        stack.deploy()
        assert guarding(aws, arn) == "keyturn-prod"
        stack.destroy(with_table=True)
        assert "keyturn-prod" not in acls(aws)


def test_acl_blocks_an_address_and_nobody_else(aws: LocalAws) -> None:
    """One rule, by address, with the rate asked for; whoever stays below it passes; no request is sampled."""
    waf, stage = aws.client("wafv2"), Stage.load(ROOT, "dev")
    edge.guard_by_rate(waf, stage, SERVED, 500)
    try:
        acl = acls(aws)["keyturn-dev"]["WebACL"]
        assert acl["DefaultAction"] == {"Allow": {}}
        (rule,) = acl["Rules"]
        assert rule["Action"] == {"Block": {}}
        assert rule["Statement"] == {
            "RateBasedStatement": {"Limit": 500, "AggregateKeyType": "IP", "EvaluationWindowSec": 300}
        }
        for part in (acl, rule):
            assert part["VisibilityConfig"]["SampledRequestsEnabled"] is False
    finally:
        edge.remove(waf, stage, SERVED)
    assert "keyturn-dev" not in acls(aws)


def test_another_rate_is_an_update(aws: LocalAws) -> None:
    """The ACL stays the same one, and guards the stage all the while; the same rate changes nothing at all."""
    waf, stage = aws.client("wafv2"), Stage.load(ROOT, "dev")
    edge.guard_by_rate(waf, stage, SERVED, 500)
    try:
        first = acls(aws)["keyturn-dev"]
        edge.guard_by_rate(waf, stage, SERVED, 500)
        assert acls(aws)["keyturn-dev"] == first
        edge.guard_by_rate(waf, stage, SERVED, 900)
        second = acls(aws)["keyturn-dev"]
        assert second["WebACL"]["Id"] == first["WebACL"]["Id"]
        assert second["WebACL"]["Rules"][0]["Statement"]["RateBasedStatement"]["Limit"] == 900
        assert guarding(aws, SERVED) == "keyturn-dev"
    finally:
        edge.remove(waf, stage, SERVED)
    edge.remove(waf, stage, SERVED)  # once more: nothing is there, nothing fails


def test_association_that_was_lost_is_made_again(aws: LocalAws) -> None:
    """A deployment that failed between two calls, or a hand in the console, is mended by the next one."""
    waf, stage = aws.client("wafv2"), Stage.load(ROOT, "dev")
    edge.guard_by_rate(waf, stage, SERVED, 500)
    try:
        waf.disassociate_web_acl(ResourceArn=SERVED)
        edge.guard_by_rate(waf, stage, SERVED, 500)
        assert guarding(aws, SERVED) == "keyturn-dev"
    finally:
        edge.remove(waf, stage, SERVED)


def test_another_acl_is_not_pushed_aside(aws: LocalAws) -> None:
    """Where the account's owner guards the stage otherwise, that holds, and deployment says what to do."""
    waf, stage = aws.client("wafv2"), Stage.load(ROOT, "dev")
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "other"}
    other = waf.create_web_acl(
        Name="other", Scope="REGIONAL", DefaultAction={"Allow": {}}, Rules=[], VisibilityConfig=visibility
    )["Summary"]
    waf.associate_web_acl(WebACLArn=other["ARN"], ResourceArn=SERVED)
    try:
        with pytest.raises(Failure, match=r"Another web ACL guards the stage.*KEYTURN_WAF_RATE to 0"):
            edge.guard_by_rate(waf, stage, SERVED, 500)
        edge.guard_by_rate(waf, stage, SERVED, 0)
        assert guarding(aws, SERVED) == "other"
    finally:
        waf.disassociate_web_acl(ResourceArn=SERVED)
        waf.delete_web_acl(Name="other", Scope="REGIONAL", Id=other["Id"], LockToken=acls(aws)["other"]["LockToken"])


@pytest.mark.parametrize("stage_name", ["dev", "prod"])
def test_acls_are_the_stages_own(aws: LocalAws, stage_name: str) -> None:
    """Taking one stage's away leaves the other's."""
    waf, stage = aws.client("wafv2"), Stage.load(ROOT, stage_name)
    other = Stage.load(ROOT, {"dev": "prod", "prod": "dev"}[stage_name])
    edge.guard_by_rate(waf, stage, SERVED, 500)
    try:
        edge.remove(waf, other, SERVED)
        assert guarding(aws, SERVED) == stage.api_name
    finally:
        edge.remove(waf, stage, SERVED)
