"""The findings of ``twokey audit``: their ids, which never change, and when each is made. Pure.

Unknown is never a finding of something bad, and never a reason to make none of the unknown: a use of which IAM knows
nothing is not "unused", and roles that could not be read are a finding of their own. CURRENT and LAST are never "two
active keys": the control is about a second key that no rotation needs and no rule removes.

Controls: CIS Amazon Web Services Foundations Benchmark 3.0.0 (its numbers of chapter 1 have been the same since 1.4.0),
Prowler's names of its checks, and "AWS Identity and Access Management controls" (AWS Security Hub User Guide).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from twokey.core import durations, timestamps
from twokey.core.commands import command, revoke_command, rotate_command
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.inventory.credential_report import ROOT
from twokey.permissions.findings import SEVERITIES
from twokey.planning import windows
from twokey.planning.destination_states import destination_states
from twokey.reports.audit import Finding
from twokey.reports.status import role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from twokey.core.model import AccessKey
    from twokey.inventory.decision import FoundKey, FoundUser
    from twokey.permissions.findings import Severity
    from twokey.planning.assessment import Assessment

UNUSED = timedelta(days=45)
"""After this time without a use, credentials count as unused (CIS 1.12, IAM.22)."""
LONG_UNUSED = timedelta(days=90)
"""The same for IAM.8; and the greatest age of a key (CIS 1.14, IAM.3)."""
ROTATE = ("CIS-1.14", "prowler:iam_rotate_access_key_90_days", "SecurityHub:IAM.3")
TWO_KEYS = ("CIS-1.13", "prowler:iam_user_two_active_access_key")
UNUSED_KEY = ("CIS-1.12", "prowler:iam_user_accesskey_unused", "SecurityHub:IAM.22")
UNUSED_PASSWORD = ("CIS-1.12", "prowler:iam_user_console_access_unused", "SecurityHub:IAM.22")
LONG = ("SecurityHub:IAM.8",)
INITIAL_KEY = ("CIS-1.11", "prowler:iam_user_no_setup_initial_access_key")
ROOT_KEY = ("CIS-1.4", "prowler:iam_no_root_access_key", "SecurityHub:IAM.4")
ROOT_MFA = ("CIS-1.5", "prowler:iam_root_mfa_enabled", "SecurityHub:IAM.9")
CONSOLE_MFA = ("CIS-1.10", "prowler:iam_user_mfa_enabled_console_access", "SecurityHub:IAM.5")


class Rule(NamedTuple):
    """What a finding with an id is about, and every control that it may correspond to."""

    severity: Severity
    title: str
    controls: tuple[str, ...] = ()


RULES = {
    "TK301": Rule("high", "A machine user has a console password"),
    "TK701": Rule("high", "An Active key is older than its limit", ROTATE),
    "TK702": Rule("medium", "An Active key will be older than its limit before it is removed"),
    "TK703": Rule("medium", "An Active key has been unused for 45 days or more", (*UNUSED_KEY, *LONG)),
    "TK704": Rule("low", "IAM knows no use of an Active key that is 45 days old or more", INITIAL_KEY),
    "TK705": Rule("medium", "A user has two Active keys, and neither is CURRENT or LAST", TWO_KEYS),
    "TK706": Rule("medium", "A user that twokey rotates has a key that was created outside twokey", TWO_KEYS),
    "TK707": Rule("low", "An interrupted rotation left an orphaned key"),
    "TK708": Rule("medium", "The store or its journal cannot be read: the roles of the keys are unknown"),
    "TK709": Rule("critical", "The store holds no key any more, or one that is not Active: jobs fail"),
    "TK710": Rule("medium", "A rotation is late"),
    "TK711": Rule("medium", "A destination does not hold CURRENT, according to the journal"),
    "TK712": Rule("low", "A rotation was interrupted"),
    "TK713": Rule("medium", "The roles of a user's keys are unknown: store, journal and IAM do not agree"),
    "TK714": Rule(
        "medium", "The store holds neither a key nor a journal: the user is not adopted yet, or the store is lost"
    ),
    "TK720": Rule("critical", "The root user has an Active key", ROOT_KEY),
    "TK721": Rule("high", "The root user has no MFA", ROOT_MFA),
    "TK722": Rule("high", "A user has a console password and no MFA", CONSOLE_MFA),
    "TK723": Rule("medium", "A console password has been unused for 45 days or more", (*UNUSED_PASSWORD, *LONG)),
}
"""Every rule by its id, except those about Terraform's files. TK301 is the rule of that id in ``twokey lint``."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the findings of a run depend on besides the account: ``outside`` is the limit for unmanaged users' keys.

    ``within``: how long before a key reaches its limit that is a finding. ``schedule``: the time between two runs.
    """

    now: datetime
    outside: timedelta
    within: timedelta
    schedule: timedelta | None = None

    def of(self, user: FoundUser) -> timedelta:
        """Return the greatest age that the keys of a user may have."""
        return user.managed.policy.window if user.managed else self.outside


def order(finding: Finding) -> tuple[int, str, str, str, str]:
    """Sort findings by severity, the worst first, then by account, user and id."""
    severity = -SEVERITIES.index(finding.severity)
    return severity, finding.account, finding.user, finding.id, f"{finding.key_id}{finding.message}"


_OF_ROOT = ("TK720", "TK721")
_OF_MANAGED = ("TK301", "TK706", "TK707", "TK708", "TK709", "TK710", "TK711", "TK712", "TK713", "TK714")
_OF_UNMANAGED = ("TK705",)


def checked(users: Sequence[FoundUser]) -> list[str]:
    """Return the rules that were checked for one user at least: that no user breaks the others says nothing."""
    root = any(user.row.user == ROOT for user in users)
    people = [user for user in users if user.row.user != ROOT]
    managed = sum(user.managed is not None for user in people)
    left_out = {
        *(() if root else _OF_ROOT),
        *(() if managed else _OF_MANAGED),
        *(() if managed < len(people) else _OF_UNMANAGED),
        *(() if people else RULES.keys() - {*_OF_ROOT}),
    }
    return [rule for rule in RULES if rule not in left_out]


def findings(users: Sequence[FoundUser], limits: Limits) -> list[Finding]:
    """Return what is wrong with the users, the most severe first."""
    return sorted((one for user in users for one in _of_user(user, limits)), key=order)


def _of_user(user: FoundUser, limits: Limits) -> Iterator[Finding]:
    if user.row.user == ROOT:
        yield from _root(user)
        return
    yield from _console(user, limits)
    for key in user.keys:
        if key.active:
            yield from _age(user, key, limits)
            yield from _use(user, key, limits)
    if user.managed is None:
        active = [key for key in user.keys if key.active]
        if len(active) > 1:
            yield _finding(
                "TK705",
                user,
                f"{user.row.user} has {len(active)} Active keys, and twokey rotates none of them.",
                "Find out which of them the jobs use, and deactivate the other; or let twokey rotate the user: twokey "
                "adopt.",
                controls=TWO_KEYS,
            )
    elif user.assessment is None:
        yield _finding(
            "TK708",
            user,
            f"{user.managed.why or 'The keys cannot be told apart.'} So the roles of the keys of {user.row.user} are "
            "unknown.",
            command("status", user.row.user),
        )
    else:
        yield from _managed(user, user.assessment, limits)


def _root(user: FoundUser) -> Iterator[Finding]:
    for key in user.keys:
        if key.active:
            used = f"It was last used {_at(key)}." if key.use.at else "IAM knows no use of it."
            yield _finding(
                "TK720",
                user,
                f"The root user has an Active access key, which no policy limits. {used}",
                "Sign in as the root user, and delete the key under Security credentials.",
                key,
                controls=ROOT_KEY,
            )
    if user.row.mfa is False:
        yield _finding(
            "TK721",
            user,
            "The root user has no MFA device.",
            "Sign in as the root user, and assign an MFA device under Security credentials; or remove its password, in "
            "an organization that manages root access centrally.",
            controls=ROOT_MFA,
        )


def _console(user: FoundUser, limits: Limits) -> Iterator[Finding]:
    row, name = user.row, user.row.user
    if not row.password:
        return
    removal = f"aws iam delete-login-profile --user-name {name}"
    if user.managed:
        yield _finding(
            "TK301", user, f"{name} has a console password: a program does not sign in to the console.", removal
        )
    if row.mfa is False:
        yield _finding(
            "TK722",
            user,
            f"{name} has a console password and no MFA device.",
            f"Assign an MFA device, or remove the password: {removal}",
            controls=CONSOLE_MFA,
        )
    if row.password_used and limits.now - row.password_used >= UNUSED:
        unused = limits.now - row.password_used
        yield _finding(
            "TK723",
            user,
            f"The console password of {name} was last used {durations.show(unused)} ago.",
            removal,
            controls=(*UNUSED_PASSWORD, *(LONG if unused >= LONG_UNUSED else ())),
        )


def _age(user: FoundUser, key: FoundKey, limits: Limits) -> Iterator[Finding]:
    if key.created is None:
        return
    limit, age = limits.of(user), limits.now - key.created
    name, remedy = _name(key), rotate_command(user.row.user)
    if user.managed is None:
        remedy = "Replace the key and delete it; or let twokey rotate the user: twokey adopt."
    if age > limit:
        controls = ROTATE if age > LONG_UNUSED else ()
        message = f"{name} is {durations.show(age)} old, and no key may be older than {durations.exact(limit)}."
        yield _finding("TK701", user, message, remedy, key, controls=controls)
    elif key.created + limit <= limits.now + limits.within:
        yield from _breaking(user, key, limits, key.created + limit)


def _breaking(user: FoundUser, key: FoundKey, limits: Limits, breaks: datetime) -> Iterator[Finding]:
    """A managed key reaches its limit only if the next rotations do not remove it earlier."""
    assessment = user.assessment
    if user.managed is None:
        message = f"{_name(key)} reaches {durations.exact(limits.outside)} at {timestamps.utc(breaks)}."
        remedy = "Replace the key and delete it; or let twokey rotate the user: twokey adopt."
        yield _finding("TK702", user, message, remedy, key)
    elif assessment is not None:
        mine = [one for one in assessment.observation.keys if one.id == key.id]
        current, due = assessment.held, assessment.next_due
        for message in windows.about_to_break(mine, current, due, user.managed.policy, limits.now, limits.schedule):
            yield _finding("TK702", user, message, rotate_command(user.row.user, "--force"), key)


def _use(user: FoundUser, key: FoundKey, limits: Limits) -> Iterator[Finding]:
    """LAST is unused on purpose; of all others, a use that is unknown is no finding of an unused key."""
    if user.assessment and user.assessment.last and user.assessment.last.id == key.id:
        return
    name, remedy = _name(key), f"Find out whether a job still needs it; if none does, deactivate it{_how(user, key)}"
    if key.use.at is not None and limits.now - key.use.at >= UNUSED:
        unused = limits.now - key.use.at
        controls = (*UNUSED_KEY, *(LONG if unused >= LONG_UNUSED else ()))
        message = f"{name} was last used {durations.show(unused)} ago ({_at(key)})."
        yield _finding("TK703", user, message, remedy, key, controls=controls)
    elif key.use.at is None and key.created and limits.now - key.created >= UNUSED:
        age = durations.show(limits.now - key.created)
        message = (
            f"IAM knows no use of {_name(key, 'the')}, which is {age} old: it was never used, or IAM has no data about "
            "it."
        )
        yield _finding("TK704", user, message, remedy, key, controls=INITIAL_KEY if user.row.password else ())


def _managed(user: FoundUser, assessment: Assessment, limits: Limits) -> Iterator[Finding]:
    name, journal = user.row.user, assessment.journal
    for key in assessment.observation.keys:
        yield from _odd_key(user, key, assessment)
    if any(role(assessment, key) == "unknown" for key in assessment.observation.keys):
        yield _finding(
            "TK713",
            user,
            f"{_why_unknown(assessment)} So the roles of the keys of {name} are unknown.",
            command("plan", name),
        )
    if isinstance(assessment.observation.record.holding, Held) and not _is_active(assessment):
        message = f"{assessment.observation.store} holds {assessment.held}, which is deleted or Inactive: jobs fail."
        leaked = assessment.held in journal.revoked
        remedy = revoke_command(assessment.held, "--delete") if leaked else command("plan", name)
        yield _finding("TK709", user, message, remedy, key_id=assessment.held)
    elif isinstance(assessment.observation.record.holding, NotHeld):
        yield _empty_store(user, assessment)
    if assessment.next_due and limits.now > assessment.next_due + assessment.policy.slack:
        late = durations.show(limits.now - assessment.next_due)
        message = f"The rotation of {name} has been due for {late}."
        yield _finding("TK710", user, message, rotate_command(name))
    for state in destination_states(assessment):
        if state.state in ("out_of_date", "empty") and user.managed and state.destination in user.managed.destinations:
            message = f"{state.destination} is out of date: it {state.message or 'holds no key'}."
            yield _finding("TK711", user, message, command("deliver", name))
    if journal.intent:
        message = f"A rotation of {name} was interrupted at {timestamps.utc(journal.intent.at)}."
        yield _finding("TK712", user, message, rotate_command(name))


def _empty_store(user: FoundUser, assessment: Assessment) -> Finding:
    """Jobs fail where the journal shows that the store held a key. Without a journal, none may have read one yet."""
    store, name = assessment.observation.store, user.row.user
    if assessment.journal.current:
        message = f"{store} holds no key, but its journal names {assessment.journal.current}: jobs that read it fail."
        return _finding("TK709", user, message, command("plan", name))
    message = (
        f"{store} holds neither a key nor a journal: twokey has neither adopted nor rotated {name} yet, or the store "
        "was deleted, and jobs that read it fail."
    )
    return _finding("TK714", user, message, f"{command('adopt', name)} shows what is in use; then adopt or rotate.")


def _odd_key(user: FoundUser, key: AccessKey, assessment: Assessment) -> Iterator[Finding]:
    name, found = user.row.user, role(assessment, key)
    if found == "unmanaged":
        both = sum(one.active for one in assessment.observation.keys) > 1
        yield _finding(
            "TK706",
            user,
            f"{key.id} of {name} was created outside twokey, which never touches it: while it exists, there is no room "
            "for a rotation.",
            f"If no job uses it, remove it: {rotate_command(name, f'--retire {key.id}')}",
            key_id=key.id,
            controls=TWO_KEYS if both else (),
        )
    elif found == "orphaned":
        message = f"{key.id} of {name} was left by an interrupted rotation; no job has it."
        yield _finding("TK707", user, message, rotate_command(name), key_id=key.id)


def _why_unknown(assessment: Assessment) -> str:
    store, holding, named = (
        assessment.observation.store,
        assessment.observation.record.holding,
        assessment.journal.current,
    )
    if isinstance(holding, CannotTell):
        return f"{store} does not show which key it holds."
    if not isinstance(holding, Held):
        return f"{store} holds no key."
    if named and named != holding.key_id:
        return f"{store} holds {holding.key_id}, but its journal names {named} as CURRENT."
    return f"{store} holds {holding.key_id}, which IAM does not list."


def _is_active(assessment: Assessment) -> bool:
    return assessment.current is not None and assessment.current.active


def _name(key: FoundKey, article: str = "The") -> str:
    """Return how a sentence begins that is about a key; with ``the``, how it goes on."""
    if key.id:
        return key.id
    return f"{article} key of {timestamps.utc(key.created)}" if key.created else f"{article} key of unknown age"


def _at(key: FoundKey) -> str:
    use = key.use
    where = f" for {use.service}" if use.service else ""
    where += f" in {use.region}" if use.region else ""
    return f"at {timestamps.utc(use.at)}{where}" if use.at else ""


def _how(user: FoundUser, key: FoundKey) -> str:
    if not key.id:
        return "."
    return f": aws iam update-access-key --user-name {user.row.user} --access-key-id {key.id} --status Inactive"


def _created(user: FoundUser, key_id: str | None) -> datetime | None:
    return next((key.created for key in user.keys if key_id and key.id == key_id), None)


def _finding(
    rule: str,
    user: FoundUser,
    message: str,
    remedy: str,
    key: FoundKey | None = None,
    *,
    key_id: str | None = None,
    controls: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        id=rule,
        severity=RULES[rule].severity,
        account=user.row.account,
        user=user.row.user,
        resource=user.row.arn,
        message=message,
        remedy=remedy,
        key_id=key.id if key else key_id,
        controls=list(controls),
        key_created=key.created if key else _created(user, key_id),
    )
