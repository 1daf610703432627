"""What is wrong with the permissions of machine users and with the roles that they assume. Pure.

The findings come from one picture of the account (``Account``), so that no call per user is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.config.settings import same_name
from twokey.core.commands import command
from twokey.permissions import lint_guards, lint_trust, lint_users
from twokey.permissions.findings import Finding, order
from twokey.permissions.lint_tiers import Tiers
from twokey.permissions.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from twokey.config.settings import Tier
    from twokey.permissions.account import Account, Principal

VARIABLES = {
    "github": "GitHub Actions",
    "gitlab": "GitLab CI",
    "gitlab-group": "GitLab CI",
    "gitlab-instance": "GitLab CI",
    "circleci": "CircleCI",
    "circleci-context": "CircleCI",
    "bitbucket": "Bitbucket Pipelines",
    "buildkite": "Buildkite",
    "azure-devops": "Azure Pipelines",
    "hcp-terraform": "HCP Terraform",
    "hcp-terraform-varset": "HCP Terraform",
    "travis": "Travis CI",
    "jenkins": "Jenkins",
}
"""The kinds of destination that are variables of a CI system, by scheme."""
_WITHOUT_OIDC = frozenset({"travis", "jenkins"})
_ROLES = {
    "EKS": "Give the service account of the pods the role: EKS Pod Identity, or IAM roles for service accounts.",
    "ECS": "Give the task definition the role as its task role.",
    "EC2": "Give the instance a profile with the role.",
    "Lambda": "Give the function the role as its execution role.",
}
"""How each service gives a role to what runs on it."""
_READABLE = frozenset({"secretsmanager", "ssm", "vault", "gcp-secretmanager", "azure-keyvault"})
"""Stores that a job can read with a token of its own."""


def lint(
    account: Account,
    selected: Iterable[Principal],
    tiers: Sequence[Tier],
    deliveries: Mapping[str, tuple[str, Sequence[str]]],
    *,
    every_role: bool,
    on_aws: Callable[[str], str] = lambda _: "",
) -> list[Finding]:
    """Return the findings, the most severe first.

    ``deliveries``: for each user of the configuration, by ``same_name``, the store and the other destinations.
    ``on_aws``: names the service of AWS that has a role for the jobs that read such a URL; empty where none is known.
    ``every_role``: also of roles that none of the selected users can assume.
    """
    reach = Reach(account)
    closed = Tiers(tiers, account, reach)
    users = list(selected)
    found: list[Finding] = []
    for user in users:
        grants = reach.of(user)
        found += lint_users.permissions(user, grants)
        found += lint_users.password(user, account.passwords)
        found += lint_guards.guard(user, grants)
        found += closed.findings(user)
        store, others = deliveries.get(same_name(user.name), ("", ()))
        found += _keys_in_variables(user, store, others)
        found += _beside_a_role(user, [store, *others], on_aws)
    reached = {arn for user in users for arn in reach.closure(user)} if not every_role else set[str]()
    for role in account.roles:
        if every_role or role.arn in reached:
            found += lint_trust.trust(role)
    return sorted(found, key=order)


def _beside_a_role(user: Principal, urls: Sequence[str], on_aws: Callable[[str], str]) -> Iterator[Finding]:
    for url in filter(None, urls):
        service = on_aws(url)
        if service:
            yield Finding(
                "TK602",
                user.account,
                user.name,
                url,
                f"The jobs that read {url} run on {service}, which gives them a role without a key.",
                _ROLES[service],
            )


def _keys_in_variables(user: Principal, store: str, destinations: Sequence[str]) -> Iterator[Finding]:
    for url in destinations:
        scheme = url.partition(":")[0]
        system = VARIABLES.get(scheme)
        if system is None:
            continue
        if store.partition(":")[0] in _READABLE:
            yield Finding(
                "TK601",
                user.account,
                user.name,
                url,
                f"The key of {user.name} is in variables of {system}, although its jobs could read {store}.",
                "Let the jobs read the store with a token of their own: twokey exec.",
            )
        if scheme not in _WITHOUT_OIDC:
            yield Finding(
                "TK602",
                user.account,
                user.name,
                url,
                f"{system} gives its jobs OIDC tokens, with which they assume a role without a key.",
                f"Find the way out of the key: {command('advise', user.name)}.",
            )
