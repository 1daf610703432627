"""The keys with which the most can be done are made Inactive first."""

from __future__ import annotations

from typing import Any

from twokey.permissions.account import Account, Attached, Principal
from twokey.revocation.order import Power, in_order, powers

ACCOUNT = "arn:aws:iam::123456789012"


def allow(action: Any, resource: Any = "*") -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}


def user(name: str, *documents: dict[str, Any], boundary: dict[str, Any] | None = None) -> Principal:
    policies = tuple(Attached("inline policy", str(index), one) for index, one in enumerate(documents))
    return Principal("user", name, "/", f"{ACCOUNT}:user/{name}", policies, boundary)


def role(name: str, *documents: dict[str, Any], trusts: str = f"{ACCOUNT}:root") -> Principal:
    policies = tuple(Attached("inline policy", str(index), one) for index, one in enumerate(documents))
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": trusts}, "Action": "sts:AssumeRole"}]}
    return Principal("role", name, "/", f"{ACCOUNT}:role/{name}", policies, trust=trust)


def assume(*names: str) -> dict[str, Any]:
    return allow("sts:AssumeRole", [f"{ACCOUNT}:role/{name}" for name in names])


ACCOUNT_WITH_ALL = Account(
    (
        user("nothing"),
        user("reader", allow("s3:GetObject")),
        user("writer", allow("s3:*")),
        user("one-role", assume("deploy")),
        user("two-roles", assume("deploy", "test")),
        user("makes-keys", allow("iam:CreateAccessKey")),
        user("through-a-role", assume("chain")),
        user("root-like", allow("*")),
        user("limited", allow("*"), boundary=allow("s3:GetObject")),
    ),
    (
        role("deploy", allow("s3:GetObject")),
        role("test"),
        role("admin", allow("*"), trusts=f"{ACCOUNT}:role/chain"),
        role("chain", assume("admin")),
    ),
)


def test_administrators_come_first_then_who_can_become_one_then_roles_then_actions() -> None:
    found = powers(ACCOUNT_WITH_ALL)
    names = [arn.rpartition("/")[2] for arn in in_order([one.arn for one in ACCOUNT_WITH_ALL.users], found)]
    assert names == [
        "through-a-role",
        "root-like",
        "makes-keys",
        "two-roles",
        "one-role",
        "writer",
        "reader",
        "limited",
        "nothing",
    ]


def test_who_reaches_an_administrator_through_roles_is_one() -> None:
    found = powers(ACCOUNT_WITH_ALL)
    assert str(found[f"{ACCOUNT}:user/through-a-role"]) == "an administrator"
    assert str(found[f"{ACCOUNT}:user/makes-keys"]) == "can change permissions, reaches 0 roles"
    assert str(found[f"{ACCOUNT}:user/one-role"]) == "reaches 1 role"


def test_a_boundary_takes_away_what_a_policy_allows() -> None:
    assert not powers(ACCOUNT_WITH_ALL)[f"{ACCOUNT}:user/limited"].everything


def test_users_of_which_nothing_is_known_come_first_and_keep_their_order() -> None:
    found = {"known": Power(everything=True)}
    assert in_order(["known", "unknown-b", "unknown-a"], found) == ["unknown-b", "unknown-a", "known"]
    assert in_order(["b", "a"], {}) == ["b", "a"]
