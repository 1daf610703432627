"""The way out of a machine user's key, in the order in which nothing breaks. Pure."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.commands import command
from twokey.permissions.documents import Condition, Document, Statement
from twokey.permissions.pipelines import changed

if TYPE_CHECKING:
    from twokey.permissions.pipelines import System

ROLE = "arn:aws:iam::ACCOUNT:role/ROLE"
"""Stands for a role that is not known."""
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what to do, and, if there is one, what to copy."""

    title: str
    text: str
    block: str = ""


@dataclass(frozen=True, slots=True)
class AdviceRequest:
    """What is known: the user, its roles, its CI system with the project, the pipeline's file, and its destinations."""

    user: str
    account: str
    partition: str
    roles: tuple[str, ...]
    system: System
    project: str
    region: str
    file: str = ""
    pipeline: str | None = None
    destinations: tuple[str, ...] = ()


def advise(request: AdviceRequest) -> list[Step]:
    """Return the steps."""
    system = request.system
    role = request.roles[0] if request.roles else ROLE.replace("ACCOUNT", request.account)
    return [
        Step(
            f"Let AWS know {system.name}",
            "Once for each account. If the provider exists already, leave this out.",
            f"aws iam create-open-id-connect-provider --url https://{system.issuer} --client-id-list {system.audience}",
        ),
        Step(
            "Let the role trust the jobs",
            _trust_text(request, role),
            json.dumps(trust(request).value(), indent=2),
        ),
        Step("Change the pipeline", *_pipeline(request, role)),
        Step(
            "See that the jobs use the role",
            "Run the pipeline with this command in it: the ARN has to be one of assumed-role, and not of the user.",
            "aws sts get-caller-identity",
        ),
        Step(
            "Wait until the key is unused",
            "CURRENT and LAST have to be unused for longer than your rarest job pauses, 14 days at least. AWS shows "
            "the last use with a delay. Until then, keep rotating: jobs elsewhere may still use the key.",
            command("status", request.user),
        ),
        Step(
            "Switch the key off before you delete it",
            "A forgotten job shows while both keys are Inactive, and they can be made Active again. Take the user out "
            "of twokey.yaml first, so that no rotation makes another key.",
            f"aws iam list-access-keys --user-name {request.user}\n"
            f"aws iam update-access-key --user-name {request.user} --access-key-id KEY_ID --status Inactive",
        ),
        Step(
            "Remove what is left",
            "A week later: delete the keys and the user, and what the destinations hold"
            + (f": {', '.join(request.destinations)}." if request.destinations else "."),
        ),
    ]


def trust(request: AdviceRequest) -> Document:
    """Return the trust policy of the role for the jobs of the CI system."""
    system, issuer = request.system, request.system.issuer
    subject = Condition(system.operator, f"{issuer}:sub", (system.subject_of(request.project),))
    audience = Condition("StringEquals", f"{issuer}:aud", (system.audience,))
    statement = Statement(
        sid="TrustedJobs",
        why=f"Let these jobs of {system.name} assume the role.",
        actions=("sts:AssumeRoleWithWebIdentity",),
        principal=("Federated", (f"arn:{request.partition}:iam::{request.account}:oidc-provider/{issuer}",)),
        conditions=(audience, subject),
    )
    return Document("role-trust", "Which jobs may assume the role.", (statement,))


def _trust_text(request: AdviceRequest, role: str) -> str:
    words = f"Add this statement to the trust policy of {role}. The user keeps its own until the end."
    if len(request.roles) > 1:
        words += f" The user can also assume {', '.join(request.roles[1:])}: name the one that the jobs need."
    if not request.roles:
        words = "Create a role with the permissions that the user has, and with this trust policy."
    return f"{words} Replace the uppercase words by the names of your project. {request.system.note}".strip()


def _pipeline(request: AdviceRequest, role: str) -> tuple[str, str]:
    if request.pipeline is None:
        sample = "\n".join(request.system.change([], role, request.region)).strip("\n")
        diff = command("advise", request.user, "--pipeline FILE")
        return f"Name the pipeline's file to get the change as a diff: {diff}.", sample
    after = changed(request.system, request.pipeline, role, request.region)
    diff = "\n".join(
        line.rstrip("\n")
        for line in difflib.unified_diff(
            request.pipeline.splitlines(), after.splitlines(), f"a/{request.file}", f"b/{request.file}", lineterm=""
        )
    )
    if not diff:
        return f"{request.file} needs no change.", ""
    return f"Apply this to {request.file} (git apply). Check the branch and the jobs that it is for.", diff
