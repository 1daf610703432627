"""iam:SimulatePrincipalPolicy, with twokey's own policy evaluator (moto returns HTTP 500)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator.context import caller_context
from twokey.emulator.identity import Caller, boundary_of, entity_policies, user_policies
from twokey.emulator.responses import Response, ServiceError, query_response
from twokey.emulator.services.iam_users import backend_of
from twokey.permissions.evaluate import Layers, covers_action, evaluate, statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


def simulate_principal_policy(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature
    """SimulatePrincipalPolicy: decide on every action with every resource, by the policies of a user, role or group."""
    subject, layers = _subject(caller.account, str(call.params.get("PolicySourceArn", "")))
    context = {**(caller_context(subject) if subject else {}), **_context_entries(call)}
    named = call.members("ResourceArns")
    results = [
        _result(layers, action, resource, context, named=bool(named))
        for action in call.members("ActionNames")
        for resource in named or ["*"]
    ]
    return query_response(call, {"EvaluationResults": results, "IsTruncated": False})


def _result(
    layers: Layers, action: str, resource: str, context: Mapping[str, Sequence[str]], *, named: bool
) -> dict[str, Any]:
    """One decision. If the request names resources, missing context values are reported for each resource."""
    decision = evaluate(layers, action, (resource,), context).decision.value
    missing = _missing(layers, action, context)
    single = {
        "EvalResourceName": resource,
        "EvalResourceDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": missing,
    }
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": [] if named else missing,
        "ResourceSpecificResults": [single] if named else [],
    }


def _missing(layers: Layers, action: str, context: Mapping[str, Sequence[str]]) -> list[str]:
    """The condition keys that statements for the action use and that the context lacks."""
    keys_used = {
        key
        for _, documents in layers.named()
        for document in documents
        for statement in statements(document)
        if covers_action(statement, action)
        for keys in statement.get("Condition", {}).values()
        for key in keys
    }
    return sorted(key for key in keys_used if key.lower() not in context)


def _subject(account: str, arn: str) -> tuple[Caller | None, Layers]:
    backend = backend_of(account)
    for user in backend.users.values():
        if user.arn == arn:
            return Caller(account, "", arn, user.id, user), Layers(user_policies(user))
    for entity in (*backend.roles.values(), *backend.groups.values()):
        if entity.arn == arn:
            return None, Layers(entity_policies(entity), boundary=boundary_of(account, entity))
    raise ServiceError("NoSuchEntity", f"The principal {arn} cannot be found.", 404)


def _context_entries(call: Call) -> dict[str, Sequence[str]]:
    """The condition keys that the request sets (`ContextEntries.member.N`)."""
    entries: dict[str, Any] = {}
    for name, value in call.params.items():
        if name.startswith("ContextEntries.member.") and name.endswith(".ContextKeyName"):
            start = name.removesuffix(".ContextKeyName")
            entries[str(value).lower()] = tuple(call.members(f"{start}.ContextKeyValues"))
    return entries


OPERATIONS = {"iam:SimulatePrincipalPolicy": simulate_principal_policy}
