"""Which thing a destination writes to: the one module that decides whether two URLs mean the same.

A URL alone does not say it. The region and the account, the directory that twokey was started in, the cluster of a
kubeconfig and the server of a connection are resolved; options that say how something is written are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.identities import identity_of
from twokey.destinations.address import CONNECTION
from twokey.destinations.formats.options import OPTIONS
from twokey.destinations.kind import Resolved, WritesNamedMembers, WritesNamedValues
from twokey.destinations.registry import kind_of, parse

if TYPE_CHECKING:
    from collections.abc import Collection

    from twokey.core.destination import Destination
    from twokey.destinations.registry import Services

_EXTRA = "extra."


def write_targets(destination: Destination, services: Services, account: str = "") -> frozenset[str]:
    """Return what a destination writes to: two destinations that share a target overwrite each other.

    A destination that writes named values has one target for each name. The same name on two servers is two targets;
    two connections to one server make no difference. A part of a local file is one target, whichever kind of URL names
    it. ``account`` is the machine user's.
    """
    thing, resolved = _resolved(destination, services, account)
    return _targets(destination, thing, resolved) | resolved.written


def identity(destination: Destination, services: Services, account: str = "") -> str:
    """Return what the journal keeps of the thing that a destination's URL means in this run.

    Members of other names, in one value, are another thing: a former member stays, with the key that it holds. Values
    that are written besides the pair make no difference.
    """
    thing, resolved = _resolved(destination, services, account)
    beside = {
        name.removeprefix(_EXTRA).casefold() for name in parse(destination.name).options if name.startswith(_EXTRA)
    }
    targets = _targets(destination, thing, resolved, beside)
    members = destination.other_members if isinstance(destination, WritesNamedMembers) else ()
    return identity_of((*targets, *(f"member {name}" for name in members)), resolved.where)


def _resolved(destination: Destination, services: Services, account: str) -> tuple[str, Resolved]:
    """Return what is the same for all URLs of one thing, such as a repository, and what its name means here."""
    address = parse(destination.name)
    kind = kind_of(address.scheme)
    if kind.resolve is not None:
        resolved = kind.resolve(address, services, account)
    elif kind.connection is not None:
        resolved = Resolved(address.rest, services.connections.server(address, kind.connection))
    else:
        resolved = Resolved(address.rest, "")
    thing = address.identity(
        resolved.name,
        (*OPTIONS, CONNECTION, *kind.non_identifying_options),
        case_insensitive=kind.case_insensitive,
        defaults=kind.default_options,
    )
    return thing, resolved


def _targets(destination: Destination, thing: str, resolved: Resolved, beside: Collection[str] = ()) -> frozenset[str]:
    target = f"{thing} {resolved.where}"
    names = destination.value_names if isinstance(destination, WritesNamedValues) else ()
    return frozenset(f"{target} {name}" for name in names if name.casefold() not in beside) or frozenset({target})
