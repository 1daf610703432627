"""Role trust policies: who may assume a role ("AWS JSON policy elements: Principal", IAM User Guide).

The reasons are those of "Troubleshoot access denied error messages" (IAM User Guide).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.emulator.context import context_of
from twokey.emulator.identity import layers_of
from twokey.permissions.conditions import as_list
from twokey.permissions.evaluate import Decision, condition_met, covers_action, evaluate, statements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_ACTION = "sts:AssumeRole"
_TAG_SESSION = "sts:TagSession"


def why_not(world: World, call: Call, caller: Caller, account: str, role: Any) -> str | None:
    """Why the trust policy and the caller's own policies together do not allow it, in AWS's words; None if they do.

    In the account of the role, a trust policy that names the caller is sufficient. If it names only the account, or if
    the caller is in another account, the caller's own policies must allow it as well.
    """
    context = context_of(call, caller, world.clock)
    document = str(role.assume_role_policy_document)
    by_name = trust(document, caller, context)
    if by_name is None:
        return f": {_ACTION} because no role trust policy allows the {_ACTION} action"
    # "Passing session tags in AWS STS" (IAM User Guide): the trust policy must allow it too.
    if "Tags.member.1.Key" in call.params and trust(document, caller, context, _TAG_SESSION) is None:
        return f": {_TAG_SESSION} because no role trust policy allows the {_TAG_SESSION} action"
    own = evaluate(layers_of(caller), _ACTION, (str(role.arn),), context)
    if own.decision is Decision.ALLOWED:
        return None
    if own.decision is Decision.IMPLICIT_DENY and by_name and caller.account == account and _unlimited(caller):
        return None
    return f": {_ACTION} on resource: {role.arn} {own.because(_ACTION)}"


def _unlimited(caller: Caller) -> bool:
    """Whether no session policy applies: session policies also limit what a trust policy grants."""
    return caller.session is None or caller.session.policies is None


def trust(document: str, caller: Caller, context: Mapping[str, Any], action: str = _ACTION) -> bool | None:
    """True if the policy trusts the caller by name, False if by account only, None if it does not trust the caller."""
    trusted: bool | None = None
    for statement in statements(document):
        match = _principal(statement.get("Principal"), caller)
        if match is None or not covers_action(statement, action):
            continue
        deny = statement.get("Effect") == "Deny"
        if not condition_met(statement, context, unsupported=deny):
            continue
        if deny:
            return None
        trusted = bool(trusted) or match
    return trusted


def trusts_web_identity(role: Any, provider: str, context: Mapping[str, Any]) -> bool:
    """Whether the trust policy allows the holder of a token of this OIDC provider to assume the role."""
    trusted = False
    for statement in statements(str(role.assume_role_policy_document)):
        principal = statement.get("Principal")
        names = as_list(principal.get("Federated", [])) if isinstance(principal, dict) else as_list(principal)
        if provider not in names or not covers_action(statement, "sts:AssumeRoleWithWebIdentity"):
            continue
        deny = statement.get("Effect") == "Deny"
        if condition_met(statement, context, unsupported=deny):
            if deny:
                return False
            trusted = True
    return trusted


def _principal(principal: object, caller: Caller) -> bool | None:
    """How a statement's principal matches: by name (True), by account (False), not (None)."""
    names = as_list(principal.get("AWS", [])) if isinstance(principal, dict) else as_list(principal)
    principals = set(map(str, names))
    if principals & {"*", caller.arn, caller.principal_arn}:
        return True
    return False if principals & {caller.account, partition.arn("iam", "", caller.account, "root")} else None
