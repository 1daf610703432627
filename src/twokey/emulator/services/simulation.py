"""iam:SimulatePrincipalPolicy with the emulator's own evaluator (moto answers it with HTTP 500)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator.answers import Answer, ServiceError, query_answer
from twokey.emulator.context import caller_context
from twokey.emulator.identity import Caller, boundary_of, entity_policies, user_policies
from twokey.emulator.policy import Layers, judge

from .iam_users import backend_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


def simulate_principal_policy(world: World, call: Call, caller: Caller) -> Answer:  # noqa: ARG001 - one signature
    """Decide on every action with every resource, as the policies of a user, role or group do."""
    subject, layers = _subject(caller.account, str(call.params.get("PolicySourceArn", "")))
    context = {**(caller_context(subject) if subject else {}), **_given(call)}
    results: list[dict[str, Any]] = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": judge(layers, action, (resource,), context).decision.value,
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        for action in call.members("ActionNames")
        for resource in call.members("ResourceArns") or ["*"]
    ]
    return query_answer(call, {"EvaluationResults": results, "IsTruncated": False})


def _subject(account: str, arn: str) -> tuple[Caller | None, Layers]:
    backend = backend_of(account)
    for user in backend.users.values():
        if user.arn == arn:
            return Caller(account, "", arn, user.id, user), Layers(user_policies(user))
    for entity in (*backend.roles.values(), *backend.groups.values()):
        if entity.arn == arn:
            return None, Layers(entity_policies(entity), boundary=boundary_of(account, entity))
    raise ServiceError("NoSuchEntity", f"The principal {arn} cannot be found.", 404)


def _given(call: Call) -> dict[str, Sequence[str]]:
    """The condition keys that the request sets (`ContextEntries.member.N`)."""
    entries: dict[str, Any] = {}
    for name, value in call.params.items():
        if name.startswith("ContextEntries.member.") and name.endswith(".ContextKeyName"):
            start = name.removesuffix(".ContextKeyName")
            entries[str(value).lower()] = tuple(call.members(f"{start}.ContextKeyValues"))
    return entries


OPERATIONS = {"iam:SimulatePrincipalPolicy": simulate_principal_policy}
