"""An organization of the emulator, as tests make one: organizational units, and accounts with ids of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator.services.organizations import backend_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.emulator.world import World


class Organization:
    """The organization of a management account."""

    def __init__(self, world: World, management: str, region: str) -> None:
        self._world = world
        with world.lock:
            self._backend: Any = backend_of(management)
            if self._backend.org is None:
                self._backend.create_organization(region, FeatureSet="ALL")

    @property
    def root(self) -> str:
        """The ID of the root."""
        return str(self._backend.org.root_id)

    def unit(self, name: str, parent: str | None = None) -> str:
        """Create an organizational unit, by default in the root; return its ID."""
        with self._world.lock:
            made = self._backend.create_organizational_unit(ParentId=parent or self.root, Name=name)
        return str(made["OrganizationalUnit"]["Id"])

    def account(
        self,
        account_id: str,
        name: str,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        state: str = "ACTIVE",
    ) -> None:
        """Add an account, by default in the root."""
        from moto.organizations.models import organizations_backends

        with self._world.lock:
            self._backend.create_account(AccountName=name, Email=f"{account_id}@example.com")
            made = self._backend.accounts[-1]
            organizations_backends.master_accounts[account_id] = organizations_backends.master_accounts.pop(made.id)
            made.id, made.parent_id, made.state = account_id, parent or self.root, state
            made.tags = dict(tags or {})

    def delegate(self, account_id: str) -> None:
        """Make an account a delegated administrator, which may list the organization."""
        with self._world.lock:
            self._backend.register_delegated_administrator(AccountId=account_id, ServicePrincipal="ssm.amazonaws.com")
