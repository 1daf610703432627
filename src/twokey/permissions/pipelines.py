"""What a CI system needs so that its jobs assume a role with their own token: whom the role trusts, and the file.

Each system has its issuer, the audience of its tokens, the subject of a job's token, and a change to the pipeline's
file (``pipeline_changes``). Pure: text in, text out.

Sources: "Configuring OpenID Connect in Amazon Web Services" (GitHub Docs); "Configure OpenID Connect in AWS to retrieve
temporary credentials" (GitLab Docs); "Using OpenID Connect tokens in jobs" (CircleCI Docs); "OIDC with AWS" (Buildkite
Documentation); "Deploy on AWS using Bitbucket Pipelines OpenID Connect" (Atlassian Support).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from twokey.permissions.pipeline_changes import bitbucket, buildkite, circleci, github, gitlab
from twokey.permissions.pipeline_lines import INPUTS, KEYS, TOP, edited, is_key

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class System:
    """A CI system. ``subject`` has uppercase words where the token has the names of the job's project.

    ``operator``: what the trust policy compares the subject with; ``StringLike`` where part of it differs in each run.
    """

    name: str
    files: tuple[str, ...]
    schemes: tuple[str, ...]
    issuer: str
    audience: str
    subject: str
    change: Callable[..., list[str]]
    operator: str = "StringEquals"
    note: str = ""

    def subject_of(self, project: str) -> str:
        """Return the subject with the project's name filled in, where it is known."""
        return self.subject.replace("OWNER/PROJECT", project) if project else self.subject


def of_file(name: str) -> System | None:
    """Return the system whose pipeline is in a file of this name."""
    plain = name.replace("\\\\", "/")
    return next((one for one in SYSTEMS if any(re.search(pattern, plain) for pattern in one.files)), None)


def of_text(text: str) -> System | None:
    """Return the system whose pipeline a text is, by the keys that only its pipelines have."""
    keys = set(re.findall(r"^\s*(?:- )?([\w-]+):", text, re.MULTILINE))
    top = {found[1] for line in text.splitlines() if (found := TOP.match(line))}
    if {"jobs", "runs-on"} <= keys:
        return SYSTEMS[0]
    if "pipelines" in top and "script" in keys:
        return SYSTEMS[4]
    if "jobs" in top and "version" in top:
        return SYSTEMS[2]
    if "steps" in top and keys & {"command", "commands"}:
        return SYSTEMS[3]
    return SYSTEMS[1] if "script" in keys else None


def of_destination(url: str) -> tuple[System, str] | None:
    """Return the system of a destination's URL, and the project that the URL names."""
    scheme, _, rest = url.partition(":")
    project = rest.partition("?")[0]
    for one in SYSTEMS:
        if scheme in one.schemes:
            return one, project if project.count("/") else ""
    return None


def line_with_secret(text: str) -> int | None:
    """Return the number of the line that has a secret itself, where a reference such as ``$NAME`` belongs."""
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.replace('"', "").replace("'", "")
        if is_key(line, (*KEYS[1:], *INPUTS[1:])) and re.match(r"[^:=]*[:=]\s*[^\s$#]", plain):
            return number
    return None


def changed(system: System, text: str, role: str, region: str) -> str:
    """Return the pipeline's file with the change; unchanged where there is nothing to change."""
    lines = edited(text.splitlines(), partial(system.change, role=role, region=region))
    return "\n".join(lines) + ("\n" if text.endswith("\n") or not text else "")


SYSTEMS = (
    System(
        name="GitHub Actions",
        files=(r"\.github/workflows/[^/]+\.ya?ml$",),
        schemes=("github",),
        issuer="token.actions.githubusercontent.com",
        audience="sts.amazonaws.com",
        subject="repo:OWNER/PROJECT:ref:refs/heads/main",
        change=github,
        note="Jobs with an environment have the subject repo:OWNER/PROJECT:environment:NAME.",
    ),
    System(
        name="GitLab CI",
        files=(r"\.gitlab-ci\.ya?ml$",),
        schemes=("gitlab", "gitlab-group", "gitlab-instance"),
        issuer="gitlab.com",
        audience="https://gitlab.com",
        subject="project_path:OWNER/PROJECT:ref_type:branch:ref:main",
        change=gitlab,
        note="On a server of your own, its host is the issuer and the audience.",
    ),
    System(
        name="CircleCI",
        files=(r"\.circleci/config\.ya?ml$",),
        schemes=("circleci", "circleci-context"),
        issuer="oidc.circleci.com/org/ORG_ID",
        audience="ORG_ID",
        subject="org/ORG_ID/project/PROJECT_ID/user/*/vcs-origin/*/vcs-ref/refs/heads/main",
        change=circleci,
        operator="StringLike",
        note="Organization Settings shows ORG_ID, Project Settings PROJECT_ID. The user differs from run to run.",
    ),
    System(
        name="Buildkite",
        files=(r"\.buildkite/[^/]+\.ya?ml$",),
        schemes=("buildkite",),
        issuer="agent.buildkite.com",
        audience="sts.amazonaws.com",
        subject="organization:OWNER:pipeline:PIPELINE:ref:refs/heads/main:commit:*:step:*",
        change=buildkite,
        operator="StringLike",
        note="Commit and step differ from run to run.",
    ),
    System(
        name="Bitbucket Pipelines",
        files=(r"bitbucket-pipelines\.ya?ml$",),
        schemes=("bitbucket",),
        issuer="api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc",
        audience="ari:cloud:bitbucket::workspace/WORKSPACE_UUID",
        subject="{REPOSITORY_UUID}:*",
        change=bitbucket,
        operator="StringLike",
        note="The repository's settings show issuer, audience and UUID under OpenID Connect. The step differs.",
    ),
)
"""The systems whose jobs have tokens, and whose pipeline is a file."""
