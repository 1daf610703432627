"""What an account has, as far as permissions depend on it: users and roles with their policies. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]
How = Literal["inline policy", "attached policy", "policy of the group"]


@dataclass(frozen=True, slots=True)
class Attached:
    """A policy of a principal: how it has it, the policy's name, and the document. ``arn``: that of a managed one."""

    how: How
    name: str
    document: Document
    group: str = ""
    arn: str = ""

    def __str__(self) -> str:
        return f"the {self.how} {f'{self.group} ' if self.group else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or a role.

    ``boundary``: the document of its permissions boundary, and ``boundary_arn`` its ARN. ``groups``: the names of a
    user's groups. ``trust``: the trust policy of a role.
    """

    kind: Literal["user", "role"]
    name: str
    path: str
    arn: str
    policies: tuple[Attached, ...]
    boundary: Document | None = None
    boundary_arn: str = ""
    groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    trust: Document | None = None

    @property
    def account(self) -> str:
        """The ID of its account."""
        return self.arn.split(":")[4]

    @property
    def documents(self) -> tuple[Document, ...]:
        """The documents of its policies."""
        return tuple(policy.document for policy in self.policies)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users, with its policies."""

    name: str
    arn: str
    policies: tuple[Attached, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """All users, roles and groups of an account.

    ``passwords``: the users with a console password, None if it is unknown.
    """

    users: tuple[Principal, ...]
    roles: tuple[Principal, ...]
    passwords: frozenset[str] | None = None
    groups: tuple[Group, ...] = ()
