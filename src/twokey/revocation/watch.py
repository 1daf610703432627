"""Which keys of the account are leaked, by all that was scanned and reported: the findings of ``twokey watch``.

Reads the account with a few requests for each key that was found, and changes nothing. Only keys of this account are
findings. What is unknown is a warning, and the result is not complete then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from twokey.core.commands import revoke_command, trace_command
from twokey.core.errors import BadCredentials, ServiceError
from twokey.core.model import account_of
from twokey.inventory.findings import Rule
from twokey.permissions.findings import SEVERITIES
from twokey.reports.watch import MOST_LOCATIONS, VERSION, Finding, Watch
from twokey.revocation import quarantine
from twokey.revocation.key_text import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.permissions.account import Account, Principal
    from twokey.permissions.findings import Severity
    from twokey.reports.watch import KeyStatus, Location
    from twokey.revocation.owners import Owner, Owners
    from twokey.revocation.reported import Reported
    from twokey.revocation.scan import Scan, Sighting

RULES = {
    "TK801": Rule("critical", "The secret of a key of this account is in a file or a repository"),
    "TK802": Rule("low", "The ID of an Active key is in a file or a repository, without a secret beside it"),
    "TK803": Rule("medium", "A temporary key of this account is in a file or a repository, with a secret beside it"),
    "TK811": Rule("critical", "AWS has put a user with an Active key under quarantine"),
    "TK812": Rule("low", "A user without an Active key is still under AWS's quarantine"),
    "TK821": Rule("critical", "AWS reports that a key is exposed"),
    "TK822": Rule("high", "Amazon GuardDuty reports an unusual use of a key"),
    "TK831": Rule("critical", "GitHub reports a key of this account"),
    "TK832": Rule("high", "GitHub reports a key of AWS, and its alert does not name the key"),
}
"""Every rule by its id."""
LEAKED = frozenset({"TK801", "TK821", "TK831"})
"""The rules by which a key, if it is named and Active, counts as leaked. Unusual use alone does not.

Nor does a quarantine: it names no key, and it stays after the public key was replaced. The only Active key of its user
may be the one that replaced it.
"""
_SECRET, _OWN = attrgetter("secret"), attrgetter("own")
_INACTIVE: Severity = "low"
"""How severe a finding is about a key that does not work."""


@dataclass(slots=True)
class Looked:
    """All that was looked at. ``account`` is None if it could not be read."""

    id: str
    partition: str
    owners: Owners
    account: Account | None
    scan: Scan
    reported: Sequence[Reported]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def watch(looked: Looked) -> Watch:
    """Return what was found, the most severe first. Raises ``BadCredentials``."""
    return _Watching(looked).result()


def order(finding: Finding) -> tuple[int, str, str, str]:
    """Sort findings by severity, the worst first, then by user, key and id."""
    return -SEVERITIES.index(finding.severity), finding.user, finding.key_id or "", finding.id


class _Watching:
    def __init__(self, looked: Looked) -> None:
        self._looked = looked
        self._others: dict[str, set[str]] = {}
        self._notes = dict.fromkeys(looked.notes)
        self._warnings = dict.fromkeys([*looked.warnings, *looked.scan.unread])

    def result(self) -> Watch:
        found = [*self._of_quarantine(), *self._of_scan(), *self._of_reports()]
        archives = self._looked.scan.archives
        if archives:
            more = f" and {len(archives) - 3} more" if len(archives) > 3 else ""
            self._notes[f"Compressed files are not opened: {', '.join(archives[:3])}{more}."] = None
        counts = Counter(one.severity for one in found)
        return Watch(
            version=VERSION,
            account=self._looked.id,
            complete=not self._warnings,
            findings=sorted(found, key=order),
            summary={severity: counts[severity] for severity in reversed(SEVERITIES)},
            other_accounts={account: len(ids) for account, ids in sorted(self._others.items())},
            notes=list(self._notes),
            warnings=list(self._warnings),
        )

    def _of_quarantine(self) -> Iterator[Finding]:
        for user in self._looked.account.users if self._looked.account else ():
            policies = [one.name for one in quarantine.of(user)]
            if not policies:
                continue
            try:
                active = [key.id for key in self._looked.owners.keys(user.name) if key.active]
            except BadCredentials:
                raise
            except ServiceError as error:
                self._warnings[f"Which keys the quarantined user {user.name} has is unknown: {error}"] = None
                yield self._quarantine(user, policies, None)
            else:
                yield self._quarantine(user, policies, active)

    def _quarantine(self, user: Principal, policies: Sequence[str], active: Sequence[str] | None) -> Finding:
        """Return the finding about a quarantined user; ``active`` are its Active keys, None if they are unknown."""
        names = " and ".join(policies)
        start = f"AWS has attached {names} to {user.name}: a key of this user is public."
        if active is not None and not active:
            return self._finding(
                "TK812",
                "AWS",
                f"AWS has attached {names} to {user.name}, which has no Active key.",
                "Answer AWS's case in the Support Center, and detach the policy when AWS agrees.",
                user=user.name,
            )
        limits = "The policy denies the user some actions; it does not end the key, nor the sessions made with it."
        if active and len(active) == 1:
            remedy = (
                f"AWS's message says which key is public. If it is {active[0]}: {revoke_command(active[0])}. If it was "
                "stopped and replaced already, answer AWS's case, and detach the policy."
            )
            return self._finding("TK811", "AWS", f"{start} {limits}", remedy, user.name, active[0], "Active")
        which = f"Active are {', '.join(active)}." if active else "Which of its keys are Active is unknown."
        remedy = f"AWS's message says which key is public. Stop it, or both: {revoke_command(user.name, '--both')}"
        return self._finding("TK811", "AWS", f"{start} {which} {limits}", remedy, user.name)

    def _of_scan(self) -> Iterator[Finding]:
        seen: dict[str, list[Sighting]] = {}
        for one in self._looked.scan.sightings:
            seen.setdefault(one.key_id, []).append(one)
        for key_id, sightings in seen.items():
            secret, own = ([one for one in sightings if mark(one)] for mark in (_SECRET, _OWN))
            locations = list(dict.fromkeys(one.location for one in own or secret or sightings))
            if key_id.startswith(TEMPORARY):
                yield from self._temporary(key_id, locations if secret else [])
                continue
            owner = self._owner(key_id)
            if owner is None or not (secret or owner.active):
                continue
            rule = "TK801" if secret else "TK802"
            yield self._seen(rule, key_id, owner, locations, own=bool(own))

    def _temporary(self, key_id: str, locations: list[Location]) -> Iterator[Finding]:
        if not locations:
            return
        account = account_of(key_id)
        if account not in (None, self._looked.id):
            self._others.setdefault(str(account), set()).add(key_id)
            return
        yield self._finding(
            "TK803",
            "scan",
            f"{_listed(locations)} has the temporary key {key_id} with a secret. It works for 36 hours at most.",
            f"If it is more recent, see whose it is and end the sessions of that user: {trace_command(key_id)}",
            key_id=key_id,
            locations=locations,
        )

    def _seen(self, rule: str, key_id: str, owner: Owner, locations: list[Location], *, own: bool) -> Finding:
        status: KeyStatus = "Active" if owner.active else "Inactive"
        what = f"the {status} key {key_id} of {owner.user}"
        if rule == "TK802":
            message = f"{_listed(locations)} has the ID of {what}. No secret is near it: an ID alone opens nothing."
            remedy = "Check whether the secret is elsewhere, in another file or in the same pipeline."
        else:
            message = f"{_listed(locations)} has the secret of {what}: all who can read it have the key."
            if not own:
                message = f"{_listed(locations)} has {what} near a secret, which may be that of another ID beside it."
            remedy = f"Removing the line is not enough: clones and earlier commits keep it. {_revoke(key_id)}"
        if not owner.active:
            remedy = _delete(key_id)
        found = self._finding(rule, "scan", message, remedy, owner.user, key_id, status, locations)
        if rule == "TK801" and owner.active and not own:
            return msgspec.structs.replace(found, severity="high", leaked=False)
        return found

    def _of_reports(self) -> Iterator[Finding]:
        for one in dict.fromkeys(self._looked.reported):
            where = f" ({one.where})" if one.where else ""
            if not one.key_id and one.account not in ("", self._looked.id):
                # A name without an account is any account's; a key's id is looked up.
                self._notes[f"{one.source}, in account {one.account}, which is not this one."] = None
            elif one.rule == "TK832" or not (one.key_id or one.user):
                yield self._finding(
                    one.rule,
                    one.source,
                    f"{one.source}{where}. It does not name the key.",
                    "Open the alert, or search a clone of the repository: twokey watch --scan CLONE",
                )
            elif not one.key_id:
                yield self._finding(
                    one.rule,
                    one.source,
                    f"{one.source}, of the user {one.user}{where}.",
                    f"See its keys, and stop the exposed one: {revoke_command(one.user)}",
                    user=one.user,
                )
            else:
                yield from self._reported_key(one, where)

    def _reported_key(self, one: Reported, where: str) -> Iterator[Finding]:
        if one.key_id.startswith(TEMPORARY):
            whose = f" of {one.user}" if one.user else ""
            yield self._finding(
                one.rule,
                one.source,
                f"{one.source}: the temporary key {one.key_id}{whose}{where}.",
                f"See whose it is and end the sessions of that user: {trace_command(one.key_id)}",
                user=one.user,
                key_id=one.key_id,
            )
            return
        owner = self._owner(one.key_id)
        if owner is None:
            return
        status: KeyStatus = "Active" if owner.active else "Inactive"
        remedy = _revoke(one.key_id) if owner.active else _delete(one.key_id)
        if one.rule == "TK822":
            remedy = f"Look what it was used for before you decide: {trace_command(one.key_id)}"
        message = f"{one.source}: the {status} key {one.key_id} of {owner.user}{where}."
        yield self._finding(one.rule, one.source, message, remedy, owner.user, one.key_id, status)

    def _owner(self, key_id: str) -> Owner | None:
        """Return the owner of a key of this account; record what else is known, or not known."""
        owner = self._looked.owners.of(key_id)
        if owner.where == "here":
            return owner
        if owner.where == "elsewhere":
            self._others.setdefault(owner.account, set()).add(key_id)
        elif owner.where == "unknown":
            self._warnings[owner.why] = None
        else:
            self._notes[f"This account has no key {key_id}: it was deleted, or belongs to another account."] = None
        return None

    def _finding(
        self,
        rule: str,
        source: str,
        message: str,
        remedy: str,
        user: str = "",
        key_id: str = "",
        status: KeyStatus | None = None,
        locations: Sequence[Location] = (),
    ) -> Finding:
        start = f"arn:{self._looked.partition}:iam::{self._looked.id}"
        return Finding(
            id=rule,
            severity=_INACTIVE if status == "Inactive" else RULES[rule].severity,
            account=self._looked.id,
            user=user,
            resource=f"{start}:user{self._path(user)}{user}" if user else f"{start}:root",
            key_id=key_id or None,
            key_status=status or ("unknown" if key_id else None),
            source=source,
            message=message,
            remedy=remedy,
            leaked=rule in LEAKED and status == "Active",
            locations=list(locations[:MOST_LOCATIONS]),
            locations_left_out=max(0, len(locations) - MOST_LOCATIONS),
        )

    def _path(self, name: str) -> str:
        if self._looked.account is None:
            return self._looked.owners.path(name)
        return next((user.path for user in self._looked.account.users if user.name == name), "/")


def _listed(locations: Sequence[Location]) -> str:
    more = len(locations) - 1
    return f"{locations[0]}{f' (and {more} more)' if more else ''}"


def _revoke(key_id: str) -> str:
    return f"Stop it now: {revoke_command(key_id)}"


def _delete(key_id: str) -> str:
    return f"It does not work any more. Delete it once nothing is left to look up: {revoke_command(key_id, '--delete')}"
