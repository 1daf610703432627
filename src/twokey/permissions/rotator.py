"""The policy of the principal that runs twokey, for the users, stores and destinations of a configuration.

Each action comes from the code that uses it: ``twokey.aws.iam.PERMISSIONS``, and the ``permissions`` and ``resources``
of each kind. What a command does with them is in ``COMMANDS``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.alerts import by_aws, memory
from twokey.aws.cloudtrail import PERMISSIONS as EVENTS
from twokey.aws.iam import PERMISSIONS as IAM
from twokey.config.settings import same_name
from twokey.core.errors import UsageError
from twokey.core.sentences import nearest
from twokey.destinations import address as addresses
from twokey.destinations import registry
from twokey.destinations.locks import registry as locks
from twokey.permissions import fleet
from twokey.permissions.documents import Condition, Document, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from twokey.alerts.settings import Alerts
    from twokey.config.account_settings import AccountSettings
    from twokey.config.settings import Selection
    from twokey.destinations.address import Address
    from twokey.destinations.kind import AwsScope, Permission, Use
    from twokey.permissions.fleet import Part

_LIST = "iam:ListUsers"
_DEACTIVATE = "iam:UpdateAccessKey"
_SERVICES = {"secretsmanager": "secretsmanager", "ssm": "ssm", "s3": "s3"}
"""The service through which a kind's requests reach KMS, as ``kms:ViaService`` names it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command does: actions of IAM, and what it uses stores, with their locks, and destinations for."""

    iam: frozenset[str]
    store: frozenset[Use]
    destination: frozenset[Use]
    lock: bool = True


_USER: frozenset[str] = frozenset({_LIST, "iam:GetUser"})
_KEYS = _USER | {"iam:ListAccessKeys"}
_AGES = _KEYS | {"iam:GetAccessKeyLastUsed"}
_LOAD_MANY: frozenset[Use] = frozenset({"load", "load_many"})
_LOOK: frozenset[Use] = frozenset({"load", "read"})
_KEEP: frozenset[Use] = frozenset({"load", "read", "journal", "write"})
_ALL: frozenset[Use] = frozenset({"load", "read", "write", "create", "journal"})
_DELIVER: frozenset[Use] = frozenset({"read", "write", "create"})
_READ: frozenset[Use] = frozenset({"read"})

COMMANDS = {
    "rotate": Needs(_AGES | set(IAM["rotate"]), _ALL, _DELIVER),
    "revoke": Needs(_AGES | {*IAM["rotate"], *IAM["sessions"], *IAM["account"]}, _ALL, _DELIVER),
    "plan": Needs(_AGES, _LOOK, _READ),
    "status": Needs(_AGES, _LOOK, _READ),
    "deliver": Needs(_KEYS, _KEEP, _DELIVER),
    "adopt": Needs(_AGES, _ALL, _READ),
    "forget": Needs(_KEYS, _KEEP, _READ),
    "move-store": Needs(_USER, _ALL, _READ),
    "audit": Needs(frozenset({*IAM["report"], "iam:ListAccessKeys"}), _LOAD_MANY, frozenset(), lock=False),
    "lint": Needs(frozenset({*IAM["account"], *IAM["report"]}), frozenset(), frozenset(), lock=False),
    "advise": Needs(frozenset(IAM["account"]), frozenset(), frozenset(), lock=False),
    "trace": Needs(frozenset(IAM["account"]), frozenset({"load"}), frozenset(), lock=False),
    "watch": Needs(frozenset(IAM["account"]), frozenset(), frozenset(), lock=False),
}
"""The commands that call AWS for the users of a configuration, and what each needs."""
DEFAULT = tuple(name for name in COMMANDS if name not in ("revoke", "audit", "lint", "advise", "trace", "watch"))
"""The commands of the principal that rotates. The others have a principal of their own: they read about all users, or
are run by an operator, when a key has leaked."""
ALERTING = ("rotate", "deliver", "watch")
"""The commands that send alerts."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who the policy is for: the commands, the named users (none: all of the configuration), and where in AWS.

    ``keys``: ARNs of the KMS keys with which existing secrets are encrypted. ``principal``: the ARN of the role or user
    that runs twokey, if it may ask IAM's policy simulator about itself. ``source``: what ``adopt --from`` reads.
    ``states``: files of Terraform that an audit reads, as paths or as URLs of S3. ``accounts``: those of the
    configuration, if it names any; ``part``: which principal of such a run the policy is for.
    """

    scope: AwsScope
    commands: tuple[str, ...]
    users: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    principal: str = ""
    source: str = ""
    states: tuple[str, ...] = ()
    accounts: AccountSettings | None = None
    part: Part = "whole"


def document(selections: Sequence[Selection], grant: Grant, alerts: Alerts | None = None) -> Document:
    """Return the policy. Raises ``UsageError`` for an unknown command, and for a user that no entry covers."""
    for name in grant.commands:
        if name not in COMMANDS:
            raise UsageError(f"--command: there is no {name!r} here; {nearest(name, COMMANDS)}")
    known = {same_name(name) for selection in selections for name in selection.users}
    if all(selection.users for selection in selections):
        for name in grant.users:
            if same_name(name) not in known:
                raise UsageError(f"No entry of the configuration covers the user {name}.")
    if grant.states and "audit" not in grant.commands:
        raise UsageError("--state: only audit reads it.", remedy="Add --command audit.")
    statements = _merged(
        [
            *(() if grant.part == "home" else _iam(selections, grant)),
            *_urls(selections, grant),
            *_states(grant),
            *_trace(grant),
            *_siblings(grant),
            *_owners(grant),
            *_simulator(grant),
            *_alerts(alerts, grant),
            *fleet.statements(grant.accounts, grant.part, grant.scope.partition),
        ]
    )
    whole = {*grant.commands} >= {*DEFAULT}
    which = "twokey" if whole else f"twokey {', '.join(grant.commands)}"
    name = "twokey" if whole else f"twokey-{'-'.join(grant.commands)}"
    where = " in each account, through its role" if grant.part == "member" else ""
    return Document(name, f"What {which} needs for the machine users of this configuration{where}.", statements)


def _iam(selections: Sequence[Selection], grant: Grant) -> Iterator[Statement]:
    needed = frozenset[str]().union(*(COMMANDS[name].iam for name in grant.commands))
    lists = _LIST in needed and not grant.users and any(not selection.users for selection in selections)
    if not any(selection.policy.soak for selection in selections) and "revoke" not in grant.commands:
        needed -= {_DEACTIVATE}
    if lists:
        yield Statement(
            sid="ListUsers",
            why="List the users below the IAM paths; AWS accepts only * as the resource of this action.",
            actions=(_LIST,),
            resources=("*",),
        )
    reports = [action for action in IAM["report"] if action in needed]
    if reports:
        yield Statement(
            sid="CredentialReport",
            why="Read the age and the last use of all keys of the account, and who has a console password; AWS accepts "
            "only * as the resource of these actions.",
            actions=tuple(reports),
            resources=("*",),
        )
    details = tuple(action for action in IAM["account"] if action in needed)
    if details:
        yield Statement(
            sid="ReadAccount",
            why="Read the users, groups, roles and policies of the account; AWS accepts only * as the resource of this "
            "action.",
            actions=details,
            resources=("*",),
        )
    users = tuple(dict.fromkeys(arn for selection in _chosen(selections, grant) for arn in _users(selection, grant)))
    reads = [action for action in IAM["look"] if action in needed and action != _LIST]
    if lists and not (grant.users or any(selection.users for selection in selections)):
        reads = [action for action in reads if action != "iam:GetUser"]
    writes = [action for action in IAM["rotate"] if action in needed]
    if reads:
        yield Statement(
            sid="ReadKeys",
            why="List the keys of these users."
            if reads == ["iam:ListAccessKeys"]
            else "Find the users, list their keys, and learn when each key was last used.",
            actions=tuple(reads),
            resources=users,
        )
    if writes:
        how = "create a key, make LAST Inactive, and delete LAST" if _DEACTIVATE in writes else "create and delete keys"
        yield Statement(sid="RotateKeys", why=f"Rotate: {how} of these users.", actions=tuple(writes), resources=users)
    yield from _ending_sessions(frozenset(needed), users, grant)


def _ending_sessions(needed: frozenset[str], users: tuple[str, ...], grant: Grant) -> Iterator[Statement]:
    """Yield what ends the sessions that a leaked key made: on its user, and on each role that it may assume."""
    of_users = tuple(action for action in IAM["sessions"] if action in needed and "User" in action)
    of_roles = tuple(action for action in IAM["sessions"] if action in needed and "Role" in action)
    if of_users:
        yield Statement(
            sid="EndSessionsOfUsers",
            why="Deny the sessions of a user whose key has leaked, and lift that when they are over.",
            actions=of_users,
            resources=users,
        )
    if of_roles:
        yield Statement(
            sid="EndSessionsOfRoles",
            why="Deny the sessions of the roles that a leaked key could assume, and lift that when they are over. This "
            "lets the principal give any role any permission: remove it where revoke may leave the roles to you.",
            actions=of_roles,
            resources=(f"arn:{grant.scope.partition}:iam::{grant.scope.account}:role/*",),
        )


def _chosen(selections: Sequence[Selection], grant: Grant) -> list[Selection]:
    """Return the entries that may select one of the named users, or all entries."""
    return [one for one in selections if not (grant.users or one.users) or _names(one, grant)]


def _names(selection: Selection, grant: Grant) -> tuple[str, ...]:
    """Return the users of an entry that have a name here; none means all below its path."""
    names = grant.users or selection.users
    wanted = set(map(same_name, selection.users if grant.users else ()))
    return tuple(name for name in names if not selection.leaves_out(name) and (not wanted or same_name(name) in wanted))


def _users(selection: Selection, grant: Grant) -> Iterator[str]:
    start = f"arn:{grant.scope.partition}:iam::{grant.scope.account}:user"
    path = selection.path or "/"
    names = _names(selection, grant)
    for name in names:
        # The user is at the path, or anywhere below it.
        yield f"{start}{path}{name}"
        yield f"{start}{path}*/{name}"
    if not names:
        yield f"{start}{path}*"


def _urls(selections: Sequence[Selection], grant: Grant) -> Iterator[Statement]:
    stores = frozenset[Any]().union(*(COMMANDS[name].store for name in grant.commands))
    others = frozenset[Any]().union(*(COMMANDS[name].destination for name in grant.commands))
    locks_too = any(COMMANDS[name].lock for name in grant.commands)
    for selection in _chosen(selections, grant):
        for template, store in _covered(selection, grant):
            for address in _addresses(template, selection, grant, registry.parse):
                kind = registry.kind_of(address.scheme)
                if kind.resources is not None:
                    found = kind.resources(address, grant.scope, store)
                    role, uses = ("store", stores) if store else ("destination", others)
                    yield from _statements(address, role, kind.permissions, uses, found, grant)
        if selection.lock and locks_too and fleet.covers(grant.part, selection.store_account):
            for address in _addresses(selection.lock, selection, grant, locks.parse):
                lock = locks.kind_of(address.scheme)
                yield from _statements(
                    address, "lock", lock.permissions, stores, lock.resources(address, grant.scope), grant
                )
        if grant.source and "adopt" in grant.commands:
            for address in _addresses(grant.source, selection, grant, registry.parse):
                kind = registry.kind_of(address.scheme)
                if kind.resources is not None:
                    store = False
                    found = kind.resources(address, grant.scope, store)
                    yield from _statements(address, "source", kind.permissions, _READ, found, grant)


def _covered(selection: Selection, grant: Grant) -> Iterator[tuple[str, bool]]:
    """Yield the URLs of an entry that the policy is about, each with whether it is that of the store."""
    if fleet.covers(grant.part, selection.store_account):
        yield selection.store, True
    if fleet.covers(grant.part, selection.deliver_account):
        yield from ((url, False) for url in selection.deliver)


def _addresses(template: str, selection: Selection, grant: Grant, parse: Callable[[str], Address]) -> Iterator[Address]:
    parse(template)
    if grant.accounts is not None:
        template = template.replace("{account}", fleet.ANY)
    account = grant.scope.account.replace(fleet.ANY, "0" * 12)
    path = selection.path
    fill = partial(addresses.pattern, template, path=path, account=account)
    names = _names(selection, grant)
    if not addresses.names_user(template) or not names:
        names = ("",)
    for name in names:
        yield addresses.take_apart(fill(user=name))


def _statements(
    address: Address,
    role: str,
    permissions: Iterable[Permission],
    uses: frozenset[Use],
    resources: Mapping[str, tuple[str, ...]],
    grant: Grant,
) -> Iterator[Statement]:
    """Yield what a URL needs, by the type of resource."""
    by_type: dict[str, list[str]] = {}
    for one in permissions:
        if uses.intersection(one.uses) and (not one.option or _has(address, one.option)):
            by_type.setdefault(one.resource, []).append(one.name)
    for kind, actions in by_type.items():
        sid = f"{role.capitalize()}{''.join(word.capitalize() for word in address.scheme.split('-'))}"
        if kind == "key":
            yield from _kms(sid, address, tuple(actions), (*resources.get("key", ()), *grant.keys), grant)
        else:
            yield Statement(
                sid=f"{sid}{kind.capitalize() if kind in _WHY_OF_TYPE else ''}",
                why=_WHY_OF_TYPE.get(kind, _WHY[role][bool(uses & {"write", "journal"})]),
                actions=tuple(actions),
                resources=resources[kind],
            )


_WHY = {
    "store": ("Read CURRENT and the journal in the store.", "Keep CURRENT, and the journal beside it, in the store."),
    "destination": (
        "Read which key the destination holds.",
        "Deliver CURRENT to the destination, and read back which key is there.",
    ),
    "source": ("Read the credential that adopt takes over.",) * 2,
    "lock": ("Read who has the lock beside the store.", "Take and give back the lock beside the store."),
}
"""Why a URL of each role is read, and why it is written."""
_WHY_OF_TYPE = {
    "bucket": "Tell a lock that does not exist from one that is denied.",
    "any": "Optional: list the labels of a hundred stores with one request, instead of a request for each; AWS accepts "
    "only * as the resource of this action.",
}
"""Why another type of resource than the URL's own is needed."""


_SUFFIXES = {"aws-cn": ("amazonaws.com.cn",), "aws-eusc": ("amazonaws.com", "amazonaws.eu")}
"""How the names of services end in a partition, where not only by amazonaws.com. AWS owns each of these domains.

"kms:ViaService" (AWS KMS Developer Guide) does not say what stands there in the European Sovereign Cloud, whose
endpoints end by amazonaws.eu.
"""


def _has(address: Address, option: str) -> bool:
    return any(name == option or f"{name.partition('.')[0]}.*" == option for name in address.options)


def _kms(
    sid: str, address: Address, actions: tuple[str, ...], keys: tuple[str, ...], grant: Grant
) -> Iterator[Statement]:
    suffixes = _SUFFIXES.get(grant.scope.partition, ("amazonaws.com",))
    through = Condition(
        "StringLike", "kms:ViaService", tuple(f"{_SERVICES[address.scheme]}.*.{suffix}" for suffix in suffixes)
    )
    why = "Encrypt and decrypt with the customer managed key, only through the service that stores the value."
    named = tuple(key for key in keys if ":alias/" not in key)
    if named:
        yield Statement(sid=f"{sid}Key", why=why, actions=actions, resources=named, conditions=(through,))
    for key in dict.fromkeys(key for key in keys if ":alias/" in key):
        # A policy cannot name a key by its alias: the condition does ("Using aliases to control access to KMS keys").
        start, _, alias = key.partition(":alias/")
        aliased = Condition("ForAnyValue:StringEquals", "kms:ResourceAliases", (f"alias/{alias}",))
        yield Statement(
            sid=f"{sid}Alias", why=why, actions=actions, resources=(f"{start}:key/*",), conditions=(through, aliased)
        )


def _states(grant: Grant) -> Iterator[Statement]:
    """Yield what the files of Terraform need: the keys in them may be any user's."""
    if not grant.states:
        return
    yield Statement(
        sid="StateOwners",
        why="Learn whose the keys in Terraform's files are, and whether they are Active.",
        actions=("iam:GetAccessKeyLastUsed", "iam:ListAccessKeys"),
        resources=(f"arn:{grant.scope.partition}:iam::{grant.scope.account}:user/*",),
    )
    objects = [one.removeprefix("s3://") for one in grant.states if one.startswith("s3://")]
    if objects:
        yield Statement(
            sid="StateObjects",
            why="Read these files of Terraform.",
            actions=("s3:GetObject",),
            resources=tuple(f"arn:{grant.scope.partition}:s3:::{one}" for one in objects),
        )


def _trace(grant: Grant) -> Iterator[Statement]:
    """Yield what tracing a key needs: it may be any user's, of any account, and used in any region."""
    if "trace" not in grant.commands:
        return
    yield Statement(
        sid="TraceOwners",
        why="Learn whose a key is, whether it is Active, and when it was last used.",
        actions=("iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:GetUser"),
        resources=(f"arn:{grant.scope.partition}:iam::{grant.scope.account}:user/*",),
    )
    yield Statement(
        sid="TraceEvents",
        why="Learn the account of a key, the regions of this account, and who used the key; AWS accepts only * as the "
        "resource of these actions.",
        actions=("sts:GetAccessKeyInfo", *EVENTS),
        resources=("*",),
    )


def _siblings(grant: Grant) -> Iterator[Statement]:
    """Yield what ``revoke`` looks at when everything else is done."""
    if "revoke" in grant.commands:
        yield Statement(
            sid="SiblingEvents",
            why="Optional: learn whether the other key of the user was used from the same addresses as the leaked one; "
            "AWS accepts only * as the resource of this action.",
            actions=EVENTS[:1],
            resources=("*",),
        )


def _owners(grant: Grant) -> Iterator[Statement]:
    """Yield what ``watch`` needs: a key that is found or reported may be any user's."""
    if "watch" in grant.commands:
        yield Statement(
            sid="LeakedKeyOwners",
            why="Learn whose a key is that was found or reported, and whether it is Active.",
            actions=("iam:GetAccessKeyLastUsed", "iam:ListAccessKeys"),
            resources=(f"arn:{grant.scope.partition}:iam::{grant.scope.account}:user/*",),
        )


def _simulator(grant: Grant) -> Iterator[Statement]:
    if grant.principal and "rotate" in grant.commands:
        asks = tuple(IAM["preflight (optional)"])
        yield Statement(
            sid="Preflight",
            why="Ask IAM, before LAST is removed, whether this principal may create a key. Optional.",
            actions=asks if ":role/" in grant.principal else asks[:1],
            resources=(grant.principal,),
        )


def _alerts(alerts: Alerts | None, grant: Grant) -> Iterator[Statement]:
    """Yield what the commands need that tell receivers how they ended."""
    if alerts is None or not set(ALERTING) & set(grant.commands):
        return
    for receiver in alerts.receivers:
        for permission, resources in by_aws.permissions(receiver, grant.scope):
            yield Statement(
                sid=f"Alerts{receiver.kind.capitalize()}",
                why="Tell the receiver of alerts what the run did.",
                actions=(permission.name,),
                resources=resources,
            )
    for permission, resource in memory.permissions(alerts.remember, grant.scope) if alerts.remember else ():
        yield Statement(
            sid=f"Alerts{'Bucket' if permission.resource == 'bucket' else 'Memory'}",
            why="Remember which alerts were sent, so that none is repeated.",
            actions=(permission.name,),
            resources=(resource,),
        )


def _merged(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Return one statement for all that allow the same, under a Sid of its own."""
    found: dict[tuple[object, ...], Statement] = {}
    for one in statements:
        key = (one.sid, one.why, frozenset(one.actions), one.conditions)
        earlier = found.get(key)
        resources = tuple(dict.fromkeys((*(earlier.resources if earlier else ()), *one.resources)))
        found[key] = replace(one, resources=_without_covered(resources))
    seen: dict[str, int] = {}
    result = []
    for one in found.values():
        seen[one.sid] = seen.get(one.sid, 0) + 1
        result.append(replace(one, sid=f"{one.sid}{seen[one.sid]}") if seen[one.sid] > 1 else one)
    return tuple(result)


def _without_covered(resources: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what a pattern that ends with ``*`` covers."""
    prefixes = [one[:-1] for one in resources if one.endswith("*") and "*" not in one[:-1]]
    return tuple(
        one for one in resources if not any(one.startswith(prefix) and one != f"{prefix}*" for prefix in prefixes)
    )
