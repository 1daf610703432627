"""What a user, or a role that it reaches, can change to get into a closed tier. Pure.

Sources: "Actions, resources, and condition keys for AWS Identity and Access Management" (Service Authorization
Reference); "Grant a user permissions to pass a role to an AWS service" (IAM User Guide).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twokey.permissions.conditions import as_list
from twokey.permissions.grants import Grants
from twokey.permissions.statements import statements
from twokey.permissions.trusts import ASSUME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from twokey.permissions.account import Account, Group, Principal
    from twokey.permissions.reach import Reach

MINTS = ("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile")
"""Actions on a user that make a credential for it."""
CHANGES_USER = ("iam:PutUserPolicy", "iam:AttachUserPolicy")
CHANGES_ROLE = ("iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:AttachRolePolicy")
CHANGES_GROUP = ("iam:PutGroupPolicy", "iam:AttachGroupPolicy")
CHANGES_POLICY = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")
CHANGES_BOUNDARY = ("iam:DeleteUserPermissionsBoundary", "iam:PutUserPermissionsBoundary")
JOINS = ("iam:AddUserToGroup",)
PASSES = "iam:PassRole"
RUNS = {
    "lambda:CreateFunction": "lambda",
    "ec2:RunInstances": "ec2",
    "ecs:RunTask": "ecs-tasks",
    "ecs:RegisterTaskDefinition": "ecs-tasks",
    "batch:RegisterJobDefinition": "ecs-tasks",
    "cloudformation:CreateStack": "cloudformation",
    "codebuild:CreateProject": "codebuild",
    "codepipeline:CreatePipeline": "codepipeline",
    "glue:CreateJob": "glue",
    "glue:CreateDevEndpoint": "glue",
    "sagemaker:CreateNotebookInstance": "sagemaker",
    "sagemaker:CreateTrainingJob": "sagemaker",
    "states:CreateStateMachine": "states",
    "scheduler:CreateSchedule": "scheduler",
    "ssm:StartAutomationExecution": "ssm",
    "apprunner:CreateService": "tasks.apprunner",
    "datapipeline:PutPipelineDefinition": "datapipeline",
    "elasticmapreduce:RunJobFlow": "elasticmapreduce",
}
"""Actions that let a service work with a role that is passed to it, and the service that the role has to trust."""
_CHANGES = (*CHANGES_USER, *CHANGES_ROLE, *CHANGES_GROUP, *CHANGES_POLICY, *CHANGES_BOUNDARY, *JOINS)
_ACTIONS = (*MINTS, *_CHANGES, PASSES)
Found = tuple[str, str, str]
"""Rule, target, and what is possible."""


class _Change(NamedTuple):
    actions: Sequence[str]
    arn: str
    what: str


class Changes:
    """The principals of the tiers, and what belongs to them."""

    def __init__(self, account: Account, reach: Reach, of_tier: Mapping[str, Sequence[Principal]]) -> None:
        """Take the users and roles of each tier, by its name."""
        self._account = account
        self._reach = reach
        self._of_tier = of_tier
        self._groups = {group.name: group for group in account.groups}
        self._active: dict[int, tuple[str, ...]] = {}
        self._actors: dict[int, list[Principal]] = {}
        self._targets: dict[tuple[str, ...], list[_Change]] = {}

    def of(self, user: Principal, chains: Mapping[str, Sequence[Principal]], closed: Sequence[str]) -> Iterator[Found]:
        """Find the first credential, the first change and the first passed role that open one of the closed tiers."""
        if id(chains) not in self._actors:
            self._actors[id(chains)] = [chain[-1] for chain in chains.values() if self._actions_of(chain[-1])]
        actors = [*([user] if self._actions_of(user) else []), *self._actors[id(chains)]]
        if not actors:
            return
        targets = [one for name in closed for one in self._of_tier.get(name, ())]
        minted = [_Change(MINTS, one.arn, f"{one.name}, a user of a closed tier") for one in targets if _is_user(one)]
        changed = [*self._own(user), *self._of_closed(tuple(closed), targets)]
        for rule, can, changes in (
            ("TK203", "can make a credential for", minted),
            ("TK204", "can change the permissions of", changed),
        ):
            found = self._first(actors, changes)
            if found:
                by, action, change = found
                yield rule, change.arn, f"{can} {change.what}{_way(user, by)}: {action} is allowed."
        yield from self._passed(user, actors, [one for one in targets if not _is_user(one)])

    def _first(self, actors: Sequence[Principal], changes: Sequence[_Change]) -> tuple[Principal, str, _Change] | None:
        for by in actors:
            active = self._actions_of(by)
            for change in changes:
                for action in change.actions:
                    if action in active and self._reach.may(by, action, change.arn):
                        return by, action, change
        return None

    def _actions_of(self, principal: Principal) -> tuple[str, ...]:
        """Return the actions that a principal may use on some resource."""
        grants = self._reach.of(principal)
        if id(grants) not in self._active:
            self._active[id(grants)] = tuple(action for action in _ACTIONS if grants.may_on_any(action))
        return self._active[id(grants)]

    def _own(self, user: Principal) -> Iterator[_Change]:
        """Yield what changes the permissions of the user itself."""
        yield _Change(CHANGES_USER, user.arn, "itself")
        if user.boundary_arn:
            yield _Change(CHANGES_BOUNDARY, user.arn, "itself")
        yield from self._belonging([user], lambda _: "itself")

    def _of_closed(self, closed: tuple[str, ...], targets: Sequence[Principal]) -> list[_Change]:
        """Return what changes the permissions of users and roles of closed tiers, or joins them."""
        if closed not in self._targets:
            found = [
                _Change(CHANGES_USER if _is_user(one) else CHANGES_ROLE, one.arn, _of_a_closed_tier(one))
                for one in targets
            ]
            found += self._belonging(targets, _of_a_closed_tier)
            found += [
                _Change(JOINS, group.arn, f"itself, by the group {group.name}")
                for group in self._account.groups
                if self._opens(group, targets)
            ]
            self._targets[closed] = found
        return self._targets[closed]

    def _belonging(self, targets: Sequence[Principal], what: Callable[[Principal], str]) -> Iterator[_Change]:
        """Yield the groups of these users, and the managed policies of these users and roles."""
        seen = set()
        for one in targets:
            groups = [group for name in one.groups if (group := self._groups.get(name))]
            boundary = [one.boundary_arn] if one.boundary_arn else []
            policies = [*(policy.arn for policy in one.policies if policy.arn), *boundary]
            for actions, arns in ((CHANGES_GROUP, [group.arn for group in groups]), (CHANGES_POLICY, policies)):
                for arn in arns:
                    # Policies of AWS cannot be changed.
                    if arn not in seen and arn.split(":")[4] != "aws":
                        seen.add(arn)
                        yield _Change(actions, arn, what(one))

    def _opens(self, group: Group, targets: Sequence[Principal]) -> bool:
        """Whether a group's policies let its members into a closed tier."""
        if any(group.name in one.groups for one in targets):
            return True
        grants = Grants.of((policy.document for policy in group.policies), None)
        for one in targets:
            actions = (*MINTS, *CHANGES_USER) if _is_user(one) else (ASSUME, *CHANGES_ROLE)
            if any(grants.may(action, one.arn) for action in actions):
                return True
        return False

    def _passed(self, user: Principal, actors: Sequence[Principal], roles: Sequence[Principal]) -> Iterator[Found]:
        """Find a role that can be passed to a service which then works with it."""
        for by in actors:
            if PASSES not in self._actions_of(by):
                continue
            grants = self._reach.of(by)
            runs = [action for action in RUNS if grants.may_on_any(action)]
            for role in roles:
                services = set(_services(role)) if runs else set()
                action = next((one for one in runs if RUNS[one] in services), None)
                if action and self._reach.may(by, PASSES, role.arn):
                    what = f"can let a service work with {_of_a_closed_tier(role)}{_way(user, by)}"
                    yield "TK205", role.arn, f"{what}: {PASSES} and {action} are allowed."
                    return


def _is_user(principal: Principal) -> bool:
    return principal.kind == "user"


def _of_a_closed_tier(target: Principal) -> str:
    return f"{target.name}, a {target.kind} of a closed tier"


def _way(user: Principal, by: Principal) -> str:
    return "" if by.arn == user.arn else f" through the role {by.name}"


def _services(role: Principal) -> Iterator[str]:
    for one in statements(role.trust or {}):
        principal = one.get("Principal")
        if one.get("Effect") == "Allow" and isinstance(principal, dict):
            for name in map(str, as_list(principal.get("Service", []))):
                yield name.removesuffix(".amazonaws.com")
