"""Who sent a request: signature, key status, session; in AWS's order and with AWS's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.emulator import refusals
from twokey.emulator.answers import ServiceError
from twokey.emulator.identity import session_caller, user_caller
from twokey.emulator.signature import check_signature, check_time

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.keyring import Key
    from twokey.emulator.wire import Call, Scope
    from twokey.emulator.world import World

_GLOBAL = frozenset({"iam", "route53", "cloudfront"})


def authenticate(world: World, call: Call) -> Caller:
    """The sender of the request; ServiceError when it cannot be believed. A user's key counts as used."""
    scope = call.scope
    if scope is None:
        raise refusals.unsigned(call)
    if scope.access_key_id.startswith("ASIA"):
        return _by_session(world, call, scope)
    return _by_key(world, call, scope)


def _by_key(world: World, call: Call, scope: Scope) -> Caller:
    entry = world.keyring.find(scope.access_key_id)
    if entry is None or scope.token is not None or not world.keyring.works(entry, scope.region):
        raise refusals.unknown_key(call)
    check_time(call, world.clock.signing_time())
    check_signature(call, entry.secret)
    _note_use(world, call, entry)
    return user_caller(entry)


def _note_use(world: World, call: Call, entry: Key) -> None:
    from moto.iam.models import AccessKeyLastUsed

    region = "us-east-1" if call.service in _GLOBAL else call.region
    world.keyring.used(entry, call.service, region)
    now = world.clock.now().replace(tzinfo=None)
    entry.key.last_used = AccessKeyLastUsed(now, call.service, region)  # for moto's credential report


def _by_session(world: World, call: Call, scope: Scope) -> Caller:
    session = world.sessions.find(scope.access_key_id)
    if session is None or scope.token != session.token:
        raise refusals.unknown_key(call)
    check_time(call, world.clock.signing_time())
    check_signature(call, session.secret_access_key)
    if world.clock.now() >= session.expires:
        raise refusals.expired_session(call)
    if session.kind != "role" and call.service == "iam":
        raise refusals.unknown_key(call)  # "GetSessionToken", STS API reference: no IAM operations without MFA
    _check_sts_of_user_session(call, session.kind)
    return session_caller(session)


def _check_sts_of_user_session(call: Call, kind: str) -> None:
    """ "Permissions" in the API references of GetSessionToken and GetFederationToken: hardly any STS operation."""
    if call.service != "sts" or kind == "role":
        return
    allowed = {"user": ("GetCallerIdentity", "AssumeRole"), "federated": ("GetCallerIdentity",)}[kind]
    if call.operation not in allowed:
        raise ServiceError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)
