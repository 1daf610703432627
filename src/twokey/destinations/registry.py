"""Finds a destination by its URL's scheme. Each scheme has a module, imported when it is first named.

A module offers:

* ``check(address)``, which raises ``UsageError`` for a name or an option that its service could not take; fields that
  are still unfilled are allowed in them;
* ``open_place(address, services)``, which returns the destination and calls nothing;
* ``check_store(address)`` where not each of its places can be a store: raises ``UsageError`` for those;
* ``CASELESS = True`` where capitals make no difference in the names of its places, ``MANNER`` where some options say
  how a place is written and not which, ``USUAL`` for the values of options that need not be given: so that two URLs
  that lead to one place are recognised;
* ``KIND`` and ``Settings`` where it needs a connection: what ``connections:`` calls it, and what may be said there
  (see ``twokey.destinations.connections``).

Packages add schemes of their own by the entry point group ``twokey.destinations``: the name of an entry point is the
scheme, its value the module. A module whose places can be stores says ``STORE = True``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.destinations import address as addresses
from twokey.destinations.address import CONNECTION, Address, names_user, nearest, without_fields
from twokey.destinations.connections import ConnectionContext, Connections

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.core.destination import Destination, Store

__all__ = ["Services", "fill", "names_user", "open_destination", "open_store", "parse"]

_HERE = "twokey.destinations"
SCHEMES = {
    "secretsmanager": f"{_HERE}.stores.secretsmanager",
    "ssm": f"{_HERE}.stores.ssm",
    "vault": f"{_HERE}.stores.vault",
    "kubernetes": f"{_HERE}.stores.kubernetes",
    "gcp-secretmanager": f"{_HERE}.stores.gcp_secretmanager",
    "azure-keyvault": f"{_HERE}.stores.azure_keyvault",
    "doppler": f"{_HERE}.stores.doppler",
    "onepassword": f"{_HERE}.stores.onepassword",
    "file": f"{_HERE}.local.file",
    "credentials-file": f"{_HERE}.local.credentials_file",
    "dotenv": f"{_HERE}.local.dotenv",
    "json": f"{_HERE}.local.json_file",
    "github": f"{_HERE}.ci.github",
    "gitlab": f"{_HERE}.ci.gitlab",
    "gitlab-group": f"{_HERE}.ci.gitlab",
    "circleci-context": f"{_HERE}.ci.circleci",
    "circleci": f"{_HERE}.ci.circleci",
    "travis": f"{_HERE}.ci.travis",
    "bitbucket": f"{_HERE}.ci.bitbucket",
    "buildkite": f"{_HERE}.ci.buildkite",
    "azure-devops": f"{_HERE}.ci.azure_devops",
    "hcp-terraform": f"{_HERE}.ci.hcp_terraform",
    "hcp-terraform-varset": f"{_HERE}.ci.hcp_terraform",
    "jenkins": f"{_HERE}.ci.jenkins",
    "exec": f"{_HERE}.hooks.exec",
    "webhook": f"{_HERE}.hooks.webhook",
}
"""Scheme to module."""

STORES = (
    "secretsmanager",
    "ssm",
    "vault",
    "kubernetes",
    "gcp-secretmanager",
    "azure-keyvault",
    "doppler",
    "onepassword",
    "file",
)
"""The schemes that can be a store: readable, with room for the journal."""

GROUP = "twokey.destinations"
"""The entry point group of destinations that other packages bring."""


@dataclass(frozen=True, slots=True)
class Services:
    """What destinations need of the outside. One for a whole run: its connections are shared by all destinations."""

    clients: Clients
    connections: Connections = field(default_factory=Connections)

    def connection(self, address: Address) -> Any:
        """Return the connection that a destination goes through; raises ``UsageError`` where nothing says how."""
        return self.connections.open(address, module(address.scheme), self._outside)

    def _outside(self, name: str, at: str) -> ConnectionContext:
        return ConnectionContext(name, at, self.clients.clock, self.read_secret, self._sign_identity)

    def _sign_identity(self, server_id: str) -> dict[str, str]:
        from twokey.aws.signed_identity import signed_identity_request

        return signed_identity_request(self.clients, server_id)

    def read_secret(self, url: str) -> Hidden:
        """Read the text that another secrets store holds, such as a token; raises ``UsageError`` or a ``ServiceError``.

        A module whose places can be read like that offers ``read_text(address, services)``.
        """
        address = readable(url)
        return Hidden(module(address.scheme).read_text(address, self))


def parse(url: str) -> Address:
    """Take a URL apart and check all that can be known of it now; raises ``UsageError`` with one sentence."""
    scheme, colon, _ = url.partition(":")
    if not colon or _module_name(scheme) is None:
        raise UsageError(f"{url!r}: {_no_such_scheme(scheme, colon)}")
    address = addresses.take_apart(url)
    module(scheme).check(address)
    return address


def readable(url: str) -> Address:
    """Take apart the URL of a place that a secret is read from; raises ``UsageError`` for one that keeps none."""
    address = parse(url)
    if not hasattr(module(address.scheme), "read_text"):
        raise address.wrong("no secret can be read from there.", "Use secretsmanager: or ssm:, say.")
    if without_fields(url) != url:
        raise address.wrong("a secret is read for all users: no field can be filled in there.")
    return address


def fill(template: str, *, user: str, path: str, account: str) -> str:
    """Fill a URL's fields in and check the result; raises ``UsageError`` where the name cannot be."""
    return parse(addresses.fill(template, user=user, path=path, account=account)).url


def reach(template: str, services: Services) -> None:
    """Make the connection that a URL goes through, its fields unfilled; raises ``UsageError`` where nothing says how.

    Nothing is called. Where a field says which connection it is, that shows only once it is filled in.
    """
    address = parse(template)
    if hasattr(module(address.scheme), "KIND") and "{" not in address.options.get(addresses.CONNECTION, ""):
        services.connection(address)


def open_destination(url: str, services: Services) -> Destination:
    """Return the destination of a URL whose fields are filled in; calls nothing yet."""
    address = parse(url)
    return cast("Destination", module(address.scheme).open_place(address, services))


def open_store(url: str, services: Services) -> Store:
    """Return the store of a URL whose fields are filled in; raises ``UsageError`` for a kind that cannot be one."""
    address = parse(url)
    if not can_be_store(address.scheme):
        raise address.wrong(
            "this cannot be a store, because it cannot be read back.", f"Use one of {', '.join(STORES)}."
        )
    check_store(address)
    store = module(address.scheme).open_place(address, services)
    form = getattr(store, "form", None)
    if form is not None and not form.reversible:
        raise address.wrong(f"a store must give the credential back, and the format {form.name} cannot.")
    return cast("Store", store)


def slots(place: Destination, services: Services) -> frozenset[str]:
    """Return what a destination writes to: two that share one of these would overwrite each other.

    Where several pairs fit into one place, ``parts`` of the destination tell them apart: the names of its values.
    Places of one name on two servers are two; two connections to one server lead to the same.
    """
    from twokey.destinations.formats import forms

    address = parse(place.name)
    of = module(address.scheme)
    base = address.where(
        (*forms.OPTIONS, CONNECTION, *getattr(of, "MANNER", ())),
        caseless=getattr(of, "CASELESS", False),
        **getattr(of, "USUAL", {}),
    )
    if hasattr(of, "KIND"):
        base = f"{base} {services.connections.server(address, of)}"
    parts: tuple[str, ...] = getattr(place, "parts", ())
    return frozenset(f"{base} {part}" for part in parts) or frozenset({base})


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a place that could be a store if it were not for its options."""
    check = getattr(module(address.scheme), "check_store", None)
    if check is not None:
        check(address)


def can_be_store(scheme: str) -> bool:
    """Say whether the places of a scheme can keep a credential and its journal."""
    return scheme in STORES or (scheme not in SCHEMES and bool(getattr(module(scheme), "STORE", False)))


def module(scheme: str) -> Any:
    """Return the module of a scheme that exists."""
    return import_module(_module_name(scheme) or "")


def kinds() -> dict[str, str]:
    """Return what ``connections:`` may speak of: the kind of each service that needs one, and its first scheme."""
    found: dict[str, str] = {}
    for scheme in (*SCHEMES, *_installed()):
        kind = getattr(module(scheme), "KIND", None)
        if kind:
            found.setdefault(kind, scheme)
    return found


def _module_name(scheme: str) -> str | None:
    return SCHEMES.get(scheme) or _installed().get(scheme)


@cache
def _installed() -> dict[str, str]:
    """Return the schemes that other packages bring. Looked for only where a scheme is not one of ours."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=GROUP) if entry.name not in SCHEMES}


def _no_such_scheme(scheme: str, colon: str) -> str:
    known = (*SCHEMES, *_installed())
    if not colon:
        return f"a destination is written scheme:name, with one of {', '.join(known)}."
    return f"there is no destination {scheme!r}; {nearest(scheme, known)}"
