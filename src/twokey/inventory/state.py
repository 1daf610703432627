"""Access keys in Terraform's files, held against the account: whose they are, and how they get out without harm.

A key in a state file is known to all who can read the file, or an earlier version of it. Taking it out of the state
must not delete it: jobs use it. Writes nothing.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from twokey.core.commands import rotate_command
from twokey.core.errors import AccessDenied, BadCredentials, NotFound, ServiceError
from twokey.core.model import account_of
from twokey.inventory.findings import Rule, order
from twokey.reports.audit import ROOT, Audit, Finding, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from twokey.aws.iam import Iam
    from twokey.inventory.state_files import StateKey

RULES = {
    "TK731": Rule("critical", "A Terraform file has the secret of an Active key"),
    "TK732": Rule("high", "A Terraform file has a secret beside a key ID that is not Active in this account"),
    "TK733": Rule("medium", "Terraform manages an Active key, and would delete it with the resource"),
}
"""The rules about Terraform's files."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a key is. ``status`` is empty for a key that this account does not have; ``unknown`` says why it is."""

    user: str = ""
    path: str = "/"
    managed: bool = False
    status: str = ""
    created: datetime | None = None
    unknown: str = ""

    @property
    def active(self) -> bool:
        """Whether it is a key of this account that works."""
        return self.status == "Active"


def with_state(result: Audit, iam: Iam, found: Sequence[StateKey], partition: str = "aws") -> Audit:
    """Return the result with the findings about these keys; a few requests for each whose owner is not known yet."""
    start = f"arn:{partition}:iam::{result.account}"
    owners = {key_id: _owner(key_id, result, iam) for key_id in dict.fromkeys(one.key_id for one in found)}
    added = [finding for one in found for finding in _findings(one, owners[one.key_id], result.account, start)]
    findings = sorted([*result.findings, *added], key=order)
    unknown = dict.fromkeys(owner.unknown for owner in owners.values() if owner.unknown)
    return msgspec.structs.replace(
        result,
        findings=findings,
        summary=summary(findings),
        checked=[*result.checked, *RULES],
        warnings=[*result.warnings, *unknown],
        complete=result.complete and not unknown,
    )


def _owner(key_id: str, result: Audit, iam: Iam) -> Owner:
    known = next((key for key in result.keys if key.key_id == key_id), None)
    if known is not None:
        return _of_user(known.user, result, known.status, known.created)
    if account_of(key_id) not in (None, result.account):
        return Owner()
    user, listed = None, []
    try:
        user = iam.owner(key_id)
        listed = [key for key in (iam.keys(user) if user else ()) if key.id == key_id]
    except (BadCredentials, NotFound) as error:
        if isinstance(error, BadCredentials):
            raise
    except ServiceError as error:
        missing = isinstance(error, AccessDenied) and _is_missing(error, result, iam)
        return Owner(unknown="" if missing else f"Whether {key_id} is a key of this account is unknown: {error}")
    if not (user and listed):
        return Owner()
    return _of_user(user, result, "Active" if listed[0].active else "Inactive", listed[0].created)


def _is_missing(denied: AccessDenied, result: Audit, iam: Iam) -> bool:
    """Return whether a key was denied because it does not exist: IAM then names the owner of one that does."""
    holder = next((key for key in result.keys if key.user != ROOT), None)
    if holder is None or denied.action != "iam:GetAccessKeyLastUsed":
        return False
    try:
        existing = holder.key_id or next((key.id for key in iam.keys(holder.user)), "")
        return bool(existing) and iam.owner(existing) is not None
    except ServiceError:
        return False


def _of_user(name: str, result: Audit, status: str, created: datetime | None) -> Owner:
    user = next((one for one in result.users if one.user == name), None)
    return Owner(name, user.path if user else "/", bool(user and user.managed), status, created)


def _findings(found: StateKey, owner: Owner, account: str, start: str) -> Iterator[Finding]:
    where = found.where
    whose = f"the Active key {found.key_id} of {owner.user}" if owner.active else found.key_id
    if found.secret and owner.active:
        message = f"{where} has the secret of {whose}: all who can read the file, or an earlier version, have the key."
        yield _finding("TK731", found, owner, account, start, message)
    elif found.secret:
        status = "is Inactive" if owner.status else "this account does not have, as far as is known"
        message = f"{where} has a secret beside {whose}, which {status}."
        yield _finding("TK732", found, owner, account, start, message)
    elif owner.active and found.managed:
        message = f"{where} manages {whose}: Terraform deletes the key when the resource goes."
        yield _finding("TK733", found, owner, account, start, message)


def _finding(rule: str, found: StateKey, owner: Owner, account: str, start: str, message: str) -> Finding:
    return Finding(
        id=rule,
        severity=RULES[rule].severity,
        account=account,
        user=owner.user,
        resource=f"{start}:user{owner.path}{owner.user}" if owner.user else f"{start}:root",
        message=message,
        remedy=_remedy(found, owner),
        key_id=found.key_id,
        controls=[],
        key_created=owner.created,
        location=found.where,
    )


def _remedy(found: StateKey, owner: Owner) -> str:
    """Say how the key gets out of the file, and is then replaced; the deletion of the block alone would delete it."""
    steps = [_out_of_the_file(found)]
    if owner.active and owner.managed:
        steps.append(
            f"Then replace the key, which earlier versions of the file have: {rotate_command(owner.user, '--force')}"
        )
    elif owner.active:
        steps.append(
            "Then replace the key, which earlier versions of the file have: twokey adopt, twokey rotate --force"
        )
    return " ".join(steps)


def _out_of_the_file(found: StateKey) -> str:
    if not found.in_state:
        what = found.address or "what holds the key"
        return f"Take {what} out of the configuration, and delete saved plans."
    keep = "without deleting the key: replace" if found.managed else "replace"
    return (
        f"Take it out of the state, {keep} the block by removed {{ from = {found.resource}, lifecycle {{ destroy = "
        f"false }} }} and apply; or: terraform state rm {shlex.quote(found.address)}"
    )
