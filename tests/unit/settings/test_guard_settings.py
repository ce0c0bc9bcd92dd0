"""Settings of guards: what each asks for, and whose APIs may ask them."""

from __future__ import annotations

import pytest

from chalicelib.domain.requirements import Requirement
from tests.unit.settings.reading import problems, read


def test_guards() -> None:
    """Variants are separated by semicolons; each has a name and what it asks for."""
    config = read(KEYTURN_GUARDS="admin: role=admin; reports : scope=reports:read max_age=300;orders:answer=policy ;")
    assert config.guards.requirements == {
        "admin": Requirement(roles=frozenset({"admin"})),
        "reports": Requirement(scopes=frozenset({"reports:read"}), max_age=300),
        "orders": Requirement(answer="policy"),
    }


@pytest.mark.parametrize(
    "entry",
    [
        *("role=admin", "role=admin: x", "admin", "admin:", ": role=admin", "admin role=admin", "admin: admin"),
        *("7: role=admin", "ad.min: role=admin", "$LATEST: role=admin", "bücher: role=admin", "a b: role=admin"),
        *("a" * 129 + ": role=admin", "admin: role=", "admin: role=a max_age=soon", "admin: role=a, scope=b x=y"),
    ],
    ids=range(16),
)
def test_other_guards_are_refused(entry: str) -> None:
    """A name that is no Lambda alias, and a condition that is not understood, are problems; the rest is read."""
    (problem,) = problems(KEYTURN_GUARDS=f"users: role=user; {entry}")
    assert problem.startswith("KEYTURN_GUARDS holds")
    assert repr(entry) in problem


def test_guard_named_twice() -> None:
    """Which of two is meant cannot be told."""
    (problem,) = problems(KEYTURN_GUARDS="admin: role=admin; admin: role=user")
    assert problem == "KEYTURN_GUARDS names 'admin' twice"


def test_guarded_apis() -> None:
    """APIs of any account and region, one by one, or all of an account and region; in every partition of AWS."""
    apis = "arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w, arn:aws-cn:execute-api:cn-north-1:210987654321:*,"
    assert read(KEYTURN_GUARDED_APIS=apis).guards.apis == {
        "arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w",
        "arn:aws-cn:execute-api:cn-north-1:210987654321:*",
    }


@pytest.mark.parametrize(
    "api",
    [
        *("*", "qr7st2uv9w", "arn:aws:execute-api:eu-central-1:*:*", "arn:aws:execute-api:*:123456789012:qr7st2uv9w"),
        *("arn:aws:execute-api:eu-central-1:123456789012:a1b2*", "arn:aws:execute-api:eu-central-1:12345678901:a1"),
        *("arn:aws:execute-api:eu-central-1:123456789012:a1/prod", "arn:aws:execute-api:eu-central-1:123456789012:"),
        *("arn:aws:lambda:eu-central-1:123456789012:function", f"arn:aws:execute-api:eu-central-1:\u0661{'2' * 11}:a1"),
        "arn:*:execute-api:eu-central-1:123456789012:a1",
    ],
    ids=range(11),
)
def test_other_apis_are_refused(api: str) -> None:
    """No wildcard for accounts or regions: a permission never reaches further than the operator can name."""
    (problem,) = problems(KEYTURN_GUARDED_APIS=f"arn:aws:execute-api:eu-central-1:123456789012:a1,{api}")
    assert problem.startswith(f"KEYTURN_GUARDED_APIS holds {api!r}")
