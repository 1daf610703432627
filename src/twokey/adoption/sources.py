"""Where a takeover may read a credential from: destinations that show it, and what the operator supplies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from twokey.core.model import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twokey.core.destination import Destination
    from twokey.core.model import Holding
    from twokey.core.secret import Credential


class CredentialSource(Protocol):
    """Something that can provide the credential that it holds."""

    @property
    def name(self) -> str:
        """The name that messages show."""
        ...

    def held(self) -> Holding:
        """Say which key is held; may raise the errors of ``twokey.core.errors``."""
        ...

    def credential(self) -> Credential | None:
        """Read the credential; may raise the errors of ``twokey.core.errors``."""
        ...


class SuppliedCredential:
    """A credential that the operator supplies on standard input."""

    name = "standard input"

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def held(self) -> Holding:
        """Say which key it is of."""
        return Held(self._credential.access_key_id)

    def credential(self) -> Credential:
        """Return it."""
        return self._credential


def credential_source(destination: object) -> CredentialSource | None:
    """Return the destination if it can provide the credential that it holds."""
    return cast("CredentialSource", destination) if callable(getattr(destination, "credential", None)) else None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a credential may be read from: destinations by name, and the source that the operator names."""

    destinations: Mapping[str, CredentialSource] = field(default_factory=dict)
    chosen: CredentialSource | None = None

    @classmethod
    def among(cls, destinations: Iterable[Destination], chosen: CredentialSource | None = None) -> Sources:
        """Find the sources among the destinations."""
        found = {each.name: source for each in destinations if (source := credential_source(each))}
        return cls(found, chosen)
