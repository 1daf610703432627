"""Determines who sent a request: checks signature, key status and session, in AWS's order and with AWS's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.emulator import errors, partition
from twokey.emulator.identity import session_caller, user_caller
from twokey.emulator.responses import ServiceError
from twokey.emulator.signature import check_signature, check_time

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.keyring import Key
    from twokey.emulator.wire import Call, Scope
    from twokey.emulator.world import World

_GLOBAL = frozenset({"iam", "route53", "cloudfront"})


def authenticate(world: World, call: Call) -> Caller:
    """The sender of the request; ServiceError if it does not authenticate. The use of a user's key is recorded."""
    scope = call.scope
    if scope is None:
        raise errors.unsigned(call)
    if scope.region in world.weather.disabled_regions or partition.of(scope.region) != partition.current():
        raise errors.unknown_key(call)
    by = _by_session if scope.access_key_id.startswith("ASIA") else _by_key
    caller = by(world, call, scope)
    # A global service has one region of its own, whatever region a client with another endpoint signs for.
    if call.service not in _GLOBAL and f"{caller.account}/{scope.region}" in world.weather.disabled_regions:
        raise errors.unknown_key(call)
    return caller


def _by_key(world: World, call: Call, scope: Scope) -> Caller:
    entry = world.keyring.find(scope.access_key_id)
    if entry is None or scope.token is not None or not world.keyring.works(entry, scope.region):
        raise errors.unknown_key(call)
    check_time(call, world.clock.signing_time())
    check_signature(call, entry.secret)
    _record_use(world, call, entry)
    return user_caller(entry)


def _record_use(world: World, call: Call, entry: Key) -> None:
    from moto.iam.models import AccessKeyLastUsed

    # A global service belongs to one region of its partition; the emulator knows that of the oldest partition only.
    main = "us-east-1" if partition.current() == "aws" else partition.home()
    region = main if call.service in _GLOBAL else call.region
    world.keyring.used(entry, call.service, region)
    now = world.clock.now().replace(tzinfo=None)
    entry.key.last_used = AccessKeyLastUsed(now, call.service, region)  # for moto's credential report


def _by_session(world: World, call: Call, scope: Scope) -> Caller:
    session = world.sessions.find(scope.access_key_id)
    if session is None or scope.token != session.token:
        raise errors.unknown_key(call)
    check_time(call, world.clock.signing_time())
    check_signature(call, session.secret_access_key)
    if world.clock.now() >= session.expires:
        raise errors.expired_session(call)
    if session.kind != "role" and call.service == "iam":
        raise errors.unknown_key(call)  # "GetSessionToken", STS API reference: no IAM operations without MFA
    _check_sts_of_user_session(call, session.kind)
    return session_caller(session)


def _check_sts_of_user_session(call: Call, kind: str) -> None:
    """Refuse what "Permissions" in the API references of GetSessionToken and GetFederationToken excludes."""
    if call.service != "sts" or kind == "role":
        return
    allowed = {"user": ("GetCallerIdentity", "AssumeRole"), "federated": ("GetCallerIdentity",)}[kind]
    if call.operation not in allowed:
        raise ServiceError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)
