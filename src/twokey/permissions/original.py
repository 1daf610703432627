"""The policy of the principal that runs ``iam-credential-rotation``, which knows users and keys only.

Each action comes from ``twokey.drop_in.PERMISSIONS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.drop_in import PERMISSIONS, prefix
from twokey.permissions.documents import Document, Statement

if TYPE_CHECKING:
    from twokey.destinations.kind import AwsScope

_LIST = "iam:ListUsers"
_ASKS = ("iam:SimulatePrincipalPolicy", "iam:GetRole")


def document(path: str, scope: AwsScope, principal: str = "") -> Document:
    """Return the policy for the users below a path; raises ``UsageError`` for an invalid one.

    ``principal``: the ARN of the role or user that runs the command, if it may ask IAM's policy simulator about itself.
    """
    users = f"arn:{scope.partition}:iam::{scope.account}:user{prefix(path)}*"
    actions = [one for names in PERMISSIONS.values() for one in names if one not in (_LIST, *_ASKS)]
    statements = [
        Statement(
            sid="ListUsers",
            why="List the users below the IAM path; AWS accepts only * as the resource of this action.",
            actions=(_LIST,),
            resources=("*",),
        ),
        Statement(
            sid="RotateKeys",
            why="List the keys of these users, learn when the older one was last used, delete it, and create a key.",
            actions=tuple(actions),
            resources=(users,),
        ),
    ]
    if principal:
        statements.append(
            Statement(
                sid="Preflight",
                why="Ask IAM, before a key is deleted, whether this principal may create one. Optional.",
                actions=_ASKS if ":role/" in principal else _ASKS[:1],
                resources=(principal,),
            )
        )
    return Document("iam-credential-rotation", "What iam-credential-rotation needs below this path.", tuple(statements))
