"""STS: the identity of the caller, and temporary credentials that are checked and that expire."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twokey.core.model import account_of
from twokey.emulator.identity import managed_document, session_caller
from twokey.emulator.responses import Response, ServiceError, query_response
from twokey.emulator.services.iam_users import backend_of
from twokey.emulator.services.trust import why_not

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller, Session
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role(/.*)?/([^/]+)")


def get_caller_identity(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature for all
    """GetCallerIdentity."""
    identity = {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account}
    return query_response(call, identity)


def get_access_key_info(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature for all
    """GetAccessKeyInfo: the account of any key, also of a deleted one, as its id carries it."""
    key_id = str(call.params.get("AccessKeyId", ""))
    session, entry = world.sessions.find(key_id), world.keyring.find(key_id)
    account = session.account if session else entry.account if entry else account_of(key_id)
    if account is None or not key_id.startswith(("AKIA", "ASIA")):
        raise ServiceError("ValidationError", f"The access key {key_id} does not exist.")
    return query_response(call, {"Account": account})


def assume_role(world: World, call: Call, caller: Caller) -> Response:
    """AssumeRole: requires that the role exists, trusts the caller, and allows sessions of that length."""
    account, role = role_of(str(call.params.get("RoleArn", "")))
    name = session_name(call)
    refusal = f": sts:AssumeRole on resource: {call.params.get('RoleArn')}"
    if role is not None:
        refusal = why_not(world, call, caller, account, role) or ""
    if refusal:
        raise ServiceError("AccessDenied", f"User: {caller.arn} is not authorized to perform{refusal}", 403)
    chained = caller.session is not None and caller.session.kind == "role"
    length = seconds(call, default=3600, highest=43200)
    check_length(length, int(role.max_session_duration or 3600), chained=chained)
    session = issue(world, "role", account, role, name, length, session_policies(call, account))
    user = session_caller(session)
    assumed = {"AssumedRoleId": user.user_id, "Arn": user.arn}
    return query_response(call, {"Credentials": credentials_of(session), "AssumedRoleUser": assumed})


def role_of(arn: str) -> tuple[str, Any]:
    """The account of a role, and moto's role, or None."""
    match = _ROLE_ARN.fullmatch(arn)
    if match is None:
        raise ServiceError("ValidationError", f"{arn} is invalid")
    role = backend_of(match[1]).roles.get(match[3]) or _by_name(match[1], match[3])
    return match[1], role if role is not None and role.arn == arn else None


def _by_name(account: str, name: str) -> Any:
    return next((role for role in backend_of(account).roles.values() if role.name == name), None)


def session_name(call: Call) -> str:
    """The name that the request gives the session."""
    name = str(call.params.get("RoleSessionName", ""))
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", name):
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]*",
        )
    return name


def seconds(call: Call, *, default: int, highest: int) -> int:
    """The length that the request asks for."""
    text = str(call.params.get("DurationSeconds", default))
    length = int(text) if text.isdigit() else 0
    if not 900 <= length <= highest:
        bound = "greater than or equal to 900" if length < 900 else f"less than or equal to {highest}"
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value {bound}",
        )
    return length


def check_length(length: int, highest: int, *, chained: bool) -> None:
    """ "AssumeRole", STS API reference: the role's own maximum, and one hour for a role that assumes a role."""
    if chained and length > 3600:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise ServiceError("ValidationError", message)
    if length > highest:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise ServiceError("ValidationError", message)


def session_policies(call: Call, account: str) -> tuple[str, ...] | None:
    """The documents of the session policies, or None."""
    arns = [value for key, value in call.params.items() if re.fullmatch(r"PolicyArns\.member\.\d+\.arn", key)]
    inline = [str(call.params["Policy"])] if "Policy" in call.params else []
    documents = (*inline, *(managed_document(account, arn) for arn in arns))
    return documents or None


def get_session_token(world: World, call: Call, caller: Caller) -> Response:
    """GetSessionToken: temporary credentials with the caller's own permissions."""
    _needs_user(call, caller)
    length = seconds(call, default=43200, highest=129600)
    session = issue(world, "user", caller.account, caller.user, caller.user.name, length, None)
    return query_response(call, {"Credentials": credentials_of(session)})


def get_federation_token(world: World, call: Call, caller: Caller) -> Response:
    """GetFederationToken: temporary credentials for what both the caller's policies and the session policy allow."""
    _needs_user(call, caller)
    length = seconds(call, default=43200, highest=129600)
    policies = session_policies(call, caller.account) or ()
    name = str(call.params.get("Name", ""))
    session = issue(world, "federated", caller.account, caller.user, name, length, policies)
    user = session_caller(session)
    federated = {"FederatedUserId": user.user_id, "Arn": user.arn}
    return query_response(call, {"Credentials": credentials_of(session), "FederatedUser": federated})


def _needs_user(call: Call, caller: Caller) -> None:
    if caller.session is not None:
        raise ServiceError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)


def issue(
    world: World, kind: str, account: str, principal: Any, name: str, length: int, policies: tuple[str, ...] | None
) -> Session:
    """Issue the credentials of a session."""
    now = world.clock.now()
    return world.sessions.issue(
        kind=kind,
        account=account,
        principal=principal,
        name=name,
        issued=now,
        expires=now + timedelta(seconds=length),
        policies=policies,
    )


def credentials_of(session: Session) -> dict[str, Any]:
    """The credentials as responses have them."""
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.token,
        "Expiration": session.expires,
    }


OPERATIONS = {
    "sts:GetCallerIdentity": get_caller_identity,
    "sts:GetAccessKeyInfo": get_access_key_info,
    "sts:AssumeRole": assume_role,
    "sts:GetSessionToken": get_session_token,
    "sts:GetFederationToken": get_federation_token,
}
