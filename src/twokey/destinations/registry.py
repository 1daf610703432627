"""Finds the kind of a destination by its URL's scheme, and opens destinations.

``SCHEMES`` and ``STORES`` are an index, so that a module is imported only when one of its schemes is first named. The
``Kind`` in the module is authoritative; a test keeps the index equal to the kinds. Other packages add kinds by the
entry point group ``twokey.destinations``: the name of an entry point is the scheme, and its value is a ``Kind``, or a
module with ``KIND`` or ``KINDS``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar, cast

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.core.sentences import nearest
from twokey.destinations import address as addresses
from twokey.destinations.address import CONNECTION, Address, names_user, without_fields
from twokey.destinations.claims import Claims
from twokey.destinations.connections import ConnectionContext, ConnectionKind, Connections, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from importlib.metadata import EntryPoint

    from twokey.aws.clients import Clients
    from twokey.aws.signed_identity import IdentityRequest, SignedRequest
    from twokey.core.destination import Destination, Store
    from twokey.destinations.kind import Kind

__all__ = ["Services", "fill", "kind_of", "names_user", "open_destination", "open_store", "parse"]

SettingsT = TypeVar("SettingsT", bound=Settings)
ClientT = TypeVar("ClientT")
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
    "gitlab-instance": f"{_HERE}.ci.gitlab_instance",
    "circleci-context": f"{_HERE}.ci.circleci",
    "circleci": f"{_HERE}.ci.circleci",
    "travis": f"{_HERE}.ci.travis",
    "bitbucket": f"{_HERE}.ci.bitbucket",
    "buildkite": f"{_HERE}.ci.buildkite",
    "azure-devops": f"{_HERE}.ci.azure_devops",
    "hcp-terraform": f"{_HERE}.ci.hcp_terraform",
    "hcp-terraform-varset": f"{_HERE}.ci.hcp_terraform",
    "jenkins": f"{_HERE}.ci.jenkins",
    "gitea": f"{_HERE}.ci.gitea",
    "vercel": f"{_HERE}.ci.vercel",
    "netlify": f"{_HERE}.ci.netlify",
    "cloudflare-worker": f"{_HERE}.ci.cloudflare",
    "cloudflare-pages": f"{_HERE}.ci.cloudflare",
    "heroku": f"{_HERE}.ci.heroku",
    "infisical": f"{_HERE}.ci.infisical",
    "woodpecker": f"{_HERE}.ci.woodpecker",
    "woodpecker-org": f"{_HERE}.ci.woodpecker",
    "flyio": f"{_HERE}.ci.flyio",
    "teamcity": f"{_HERE}.ci.teamcity",
    "octopus": f"{_HERE}.ci.octopus",
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
"""The schemes that can be a store: they can be read back, and keep the journal."""


@dataclass(frozen=True, slots=True)
class Services:
    """The context of all destinations of one run (see ``DestinationContext``). They share its connections."""

    clients: Clients
    connections: Connections = field(default_factory=Connections)
    claims: Claims = field(default_factory=Claims)
    home: Services | None = None
    """Those of the account that twokey runs in, where these are of another: connections log in from there."""

    def connection(self, address: Address, kind: ConnectionKind[SettingsT, ClientT]) -> ClientT:
        """Return the connection that a URL names, or the default one; raises ``UsageError`` if there is none."""
        return self.connections.open(address, kind, (self.home or self).context)

    def context(self, name: str, at: str) -> ConnectionContext:
        return ConnectionContext(name, at, self.clients.clock, readable, self.read_secret, self._sign_identity)

    def _sign_identity(self, wanted: IdentityRequest) -> SignedRequest:
        from twokey.aws import signed_identity

        return signed_identity.sign(self.clients, wanted)

    def read_secret(self, url: str) -> Hidden:
        """Return the text that a secrets store holds, such as a token; raises ``UsageError`` or a ``ServiceError``."""
        address = parse(url)
        read = kind_of(address.scheme).read_secret
        if read is None:
            raise _not_readable(address)
        return Hidden(read(address, self))


def parse(url: str, among: Callable[[], Collection[str]] | None = None) -> Address:
    """Split a URL and check all that can be checked without a call; raises ``UsageError`` with one sentence.

    ``among`` returns the schemes that the error names; without it, those of all destinations.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or not (scheme in SCHEMES or scheme in _entry_points()):
        known = among() if among else (*SCHEMES, *_entry_points())
        raise UsageError(f"{url!r}: {_no_such_scheme(scheme, colon, known)}")
    address = addresses.take_apart(url)
    kind_of(scheme).check(address)
    return address


def readable(url: str) -> Address:
    """Split the URL of a secret to be read; raises ``UsageError`` for a kind that no secret can be read from.

    Nothing is called.
    """
    address = parse(url, _secret_schemes)
    if kind_of(address.scheme).read_secret is None:
        raise _not_readable(address)
    if without_fields(url) != url:
        raise address.error(
            "expected a URL without fields such as {user}: a connection has the same secret for all users.",
            "Write the name of the secret out.",
        )
    return address


def _not_readable(address: Address) -> UsageError:
    return address.error(
        "twokey cannot read a connection's secret from this kind of destination.",
        f"Use a URL with one of the schemes {', '.join(_secret_schemes())}.",
    )


def fill(template: str, *, user: str, path: str, account: str, account_name: str = "") -> str:
    """Fill in a URL's fields and check the result; raises ``UsageError`` for a name that the service cannot take."""
    filled = addresses.fill(template, user=user, path=path, account=account, name=account_name)
    return parse(filled).url


def reach(template: str, services: Services) -> None:
    """Make the connection that a URL with fields needs; raises ``UsageError`` if it is not configured.

    Nothing is called. If a field says which connection it is, that is known only once the field is filled in.
    """
    address = parse(template)
    connection = kind_of(address.scheme).connection
    if connection is not None and "{" not in address.options.get(CONNECTION, ""):
        services.connection(address, connection)


def advice(template: str) -> str:
    """Return what the operator should change in a URL although it is valid, as a sentence; empty if nothing."""
    options = parse(template).options
    if options.get("format") != "template":
        return ""
    from twokey.destinations.formats import options as formats

    advice = formats.advice(options)
    return f"{template.partition('?')[0]}: {advice}" if advice else ""


def open_destination(url: str, services: Services) -> Destination:
    """Return the destination of a URL whose fields are filled in. Nothing is called."""
    address = parse(url)
    return kind_of(address.scheme).open(address, services)


def open_store(url: str, services: Services) -> Store:
    """Return the store of a URL whose fields are filled in; raises ``UsageError`` for one that cannot be a store."""
    address = parse(url, store_schemes)
    check_store(address)
    return cast("Store", kind_of(address.scheme).open(address, services))


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a URL that cannot be a store."""
    if not can_be_store(address.scheme):
        raise address.error(
            "a destination of this kind cannot be read back, so it cannot be a store.",
            f"Use one of {', '.join(store_schemes())}.",
        )
    kind_of(address.scheme).check_store(address)


def can_be_store(scheme: str) -> bool:
    """Return whether destinations of a scheme can hold a credential and its journal. Imports none of twokey's kinds."""
    return scheme in STORES or (scheme not in SCHEMES and kind_of(scheme).store)


def store_schemes() -> tuple[str, ...]:
    """Return the schemes that can be a store, with those of other packages that can be loaded."""
    return (*STORES, *_schemes_of_others(lambda kind: kind.store))


def _secret_schemes() -> tuple[str, ...]:
    """Return the schemes of the destinations that a connection's secret can be read from."""
    own = (scheme for scheme in STORES if kind_of(scheme).read_secret)
    return (*own, *_schemes_of_others(lambda kind: kind.read_secret is not None))


def _schemes_of_others(suits: Callable[[Kind], bool]) -> Iterator[str]:
    """Return the schemes of other packages whose kind suits. A package that cannot be loaded has none."""
    for scheme in _entry_points():
        with suppress(UsageError):
            if suits(kind_of(scheme)):
                yield scheme


@cache
def kind_of(scheme: str) -> Kind:
    """Return the kind of a scheme that exists. Those of other packages are checked and guarded (``plug_ins``).

    Raises ``UsageError`` for one that cannot be used.
    """
    if scheme not in SCHEMES:
        from twokey.destinations import plug_ins

        return plug_ins.load(_entry_points()[scheme])
    module = import_module(SCHEMES[scheme])
    kinds: tuple[Kind, ...] = vars(module).get("KINDS") or (vars(module)["KIND"],)
    return next(kind for kind in kinds if kind.scheme == scheme)


def connection_kinds(*, installed: bool = False) -> dict[str, ConnectionKind[Settings, object]]:
    """Return the services that ``connections:`` can name, by name: those of twokey, or the installed ones too.

    Kinds of other packages are loaded only for a name that is not one of twokey's own: a package that cannot be
    loaded does not affect the others.
    """
    found: dict[str, ConnectionKind[Settings, object]] = {}
    for scheme in (*SCHEMES, *(_entry_points() if installed else ())):
        connection = kind_of(scheme).connection
        if connection is not None:
            found.setdefault(connection.name, connection)
    return found


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the schemes that other packages add. Searched only for a scheme that is not one of twokey's own.

    Raises ``UsageError`` for a scheme that two packages claim, or that is one of twokey's own.
    """
    from twokey.destinations import plug_ins

    return plug_ins.entry_points(SCHEMES)


def _no_such_scheme(scheme: str, colon: str, known: Collection[str]) -> str:
    if not colon:
        return f"expected scheme:name, with one of the schemes {', '.join(known)}."
    return f"the scheme {scheme!r} is unknown; {nearest(scheme, known)}"
