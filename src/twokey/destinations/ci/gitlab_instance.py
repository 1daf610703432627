"""CI/CD variables of a whole GitLab, which the jobs of all projects read: ``gitlab-instance:variables``.

Only a server of your own has them, and only its administrators may write them. The connection says which server. They
have no environment scope and cannot be hidden; otherwise they are like those of a project.

Sources: "Instance-level CI/CD variables API", "Instance limits", GitLab Docs; for messages and fields, GitLab's own
``lib/api/admin/ci/variables.rb``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.destinations.ci import gitlab
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import Kind, phrase

if TYPE_CHECKING:
    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.kind import DestinationContext

PERMISSIONS = gitlab.PERMISSIONS[gitlab.INSTANCE]
SWITCHES = tuple(one for one in gitlab.SWITCHES if one != "hidden")
NAME = "variables"


def check(address: Address) -> None:
    """Raise ``UsageError`` for another name, or for options that these variables do not have."""
    if address.plain != NAME:
        raise address.error(f"expected gitlab-instance:{NAME}; the connection says which server.")
    address.allow(("connection", "type", *SWITCHES, *formats.OPTIONS))
    gitlab.check_value(address)


def _open(address: Address, context: DestinationContext) -> InstanceVariables:
    """Return the variables of the server that the connection reaches."""
    return InstanceVariables(address, context.connection(address, gitlab.CONNECTION), context.claims)


class InstanceVariables(gitlab.CiVariables):
    """CI/CD variables of one GitLab."""

    def __init__(self, address: Address, connection: gitlab.GitLab, claims: Claims) -> None:
        super().__init__(address, connection, claims)
        self._kind, self._target, self._base = "instance", "the instance", "/admin/ci"
        self._permission = phrase(PERMISSIONS)

    def _details(self) -> dict[str, Any]:
        """Return nothing: a server has no name but its address."""
        return {}

    def _settings(self, name: str, value: Hidden) -> dict[str, Any]:
        """Return the settings of a new variable, which has no environment scope."""
        settings = super()._settings(name, value)
        return {name: setting for name, setting in settings.items() if name != "environment_scope"}

    def _path(self, name: str) -> str:
        return f"{self._base}/variables/{name}"


KIND = Kind(
    scheme=gitlab.INSTANCE,
    check=check,
    open=_open,
    connection=gitlab.CONNECTION,
    non_identifying_options=("type", *SWITCHES),
    permissions=PERMISSIONS,
)
