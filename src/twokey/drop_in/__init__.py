"""The logic of the command ``iam-credential-rotation``, which stands in for the tool of that name.

decide (pure: which key goes, what to warn of) -> rotate (effects, one user after the other) -> prove -> hand over.
A secret that was created is handed over whatever happens in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.config.settings import path_prefix
from twokey.core.errors import AccessDenied, BadCredentials, Failed, UsageError
from twokey.drop_in.rotation import Rotation, selected

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from twokey.aws.clients import Clients
    from twokey.core.model import MachineUser
    from twokey.core.secret import Credential
    from twokey.drop_in.output import Output

MAX_USERS = 20
"""The origin tool's limit."""


def prefix(path: str) -> str:
    """Return the IAM path prefix that PATH means; raises ``UsageError``, also for the whole account."""
    found = path_prefix(path, "PATH")
    if found == "/":
        raise UsageError(f"PATH: {path!r} means every user of the account.", remedy="Name the machine users' path.")
    return found


PERMISSIONS = {
    "needed": ("iam:ListUsers", "iam:ListAccessKeys", "iam:CreateAccessKey", "iam:DeleteAccessKey"),
    "better with": ("iam:GetAccessKeyLastUsed", "iam:SimulatePrincipalPolicy", "iam:GetRole"),
}


@dataclass(frozen=True)
class Job:
    """The users to rotate, and the key that the run itself authenticates with."""

    clients: Clients
    own_key: str
    users: tuple[MachineUser, ...]


def prepare(clients: Clients, path: str, max_users: int) -> Job:
    """Find the users below ``path``; nothing is changed.

    Raises ``UsageError`` for credentials that AWS refuses, no user, or more than ``max_users``.
    """
    from twokey.aws.iam import Iam

    own_key = _own_key(clients)
    return Job(clients, own_key, tuple(selected(Iam(clients), path, max_users)))


def perform(
    job: Job,
    output: Output,
    *,
    say: Callable[[str], None],
    mask: Callable[[Credential], None],
    stop: threading.Event,
) -> bool:
    """Rotate the job's users and hand the credentials to ``output``; return whether all went well.

    Raises nothing that a service or an output does: each failure is said. ``stop`` ends the run between two steps.
    """
    from twokey.aws.iam import Iam
    from twokey.aws.sts import Sts

    rotation = Rotation(Iam(job.clients), Sts(job.clients), job.clients.clock, job.own_key, output, say, mask, stop)
    handed_over = False
    try:
        rotation.run(job.users)
    finally:
        handed_over = _hand_over(rotation, output)
    return handed_over and not rotation.failed


def _own_key(clients: Clients) -> str:
    from twokey.aws.sts import Sts

    own_key = clients.own_key()
    try:
        Sts(clients).caller()
    except (BadCredentials, AccessDenied) as error:
        raise UsageError(f"Invalid AWS credentials: {error.message}", remedy=error.remedy) from None
    return own_key


def _hand_over(rotation: Rotation, output: Output) -> bool:
    """Finish the output. Where nothing was made there is nothing to show, and a file keeps what it held."""
    if not rotation.made:
        return True
    try:
        output.finish(rotation.made)
    except Failed as error:
        rotation.say(f"Error: {error}")
        return False
    return True
