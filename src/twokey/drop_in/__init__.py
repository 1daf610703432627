"""The logic of the command ``iam-credential-rotation``, a drop-in replacement for the tool of that name.

decide (pure: which key is removed, what to warn of) -> rotate (effects, one user after the other) -> prove -> output.
A secret that was created is output whatever happens in between.
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
    from twokey.drop_in.managed import Managed
    from twokey.drop_in.output import Output

MAX_USERS = 20
"""The original tool's limit."""


def prefix(path: str) -> str:
    """Return the IAM path prefix of PATH; raises ``UsageError``, also for the whole account."""
    found = path_prefix(path, "PATH")
    if found == "/":
        raise UsageError(
            f"PATH: {path!r} selects every user of the account.", remedy="Use the path of the machine users."
        )
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
    refusals: tuple[str, ...] = ()
    """Why nothing is done for those users that twokey manages."""


def prepare(clients: Clients, path: str, max_users: int, managed: Managed) -> Job:
    """Find the users below ``path``; nothing is changed.

    Raises ``UsageError`` for credentials that AWS refuses, no user, or more than ``max_users``.
    """
    from twokey.aws.iam import Iam

    own_key = _own_key(clients)
    users = selected(Iam(clients), path, max_users)
    refusals = {user: managed.refusal(user) for user in users}
    others = tuple(user for user in users if not refusals[user])
    return Job(clients, own_key, others, tuple(filter(None, refusals.values())))


def perform(
    job: Job,
    output: Output,
    *,
    say: Callable[[str], None],
    mask: Callable[[Credential], None],
    stop: threading.Event,
) -> bool:
    """Rotate the job's users and write the credentials to ``output``; return whether all succeeded.

    Each failure of a service or an output is a message, not an exception. ``stop`` ends the run between two steps.
    """
    from twokey.aws.iam import Iam
    from twokey.aws.sts import Sts

    rotation = Rotation(Iam(job.clients), Sts(job.clients), job.clients.clock, job.own_key, output, say, mask, stop)
    complete = False
    for refusal in job.refusals:
        say(f"Error: {refusal}")
    try:
        rotation.run(job.users)
    finally:
        complete = _finish(rotation, output)
    return complete and not rotation.failed and not job.refusals


def _own_key(clients: Clients) -> str:
    from twokey.aws.sts import Sts

    own_key = clients.own_key()
    try:
        Sts(clients).caller()
    except (BadCredentials, AccessDenied) as error:
        raise UsageError(f"Invalid AWS credentials: {error.message}", remedy=error.remedy) from None
    return own_key


def _finish(rotation: Rotation, output: Output) -> bool:
    """Finish the output. Where no key was created, nothing is shown, and a file keeps its content."""
    if not rotation.made:
        return True
    try:
        output.finish(rotation.made)
    except Failed as error:
        rotation.say(f"Error: {error}")
        return False
    return True
