"""Kinds of destination that other packages add: found by their entry points, checked, and guarded.

The types of twokey's own kinds are checked before a release. Those of a package are checked here, before anything is
changed: the kind when it is loaded, and each destination when it is opened. An error names the package's entry point
and what does not fit. So does an exception that is none of twokey's, out of a function of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twokey.core.destination import Traits
from twokey.core.errors import TwokeyError, UsageError, foreseen, origin
from twokey.core.fields import InvalidReturn, InvalidValue, refuse
from twokey.core.secret import Hidden
from twokey.destinations.kind import Kind, Resolved

if TYPE_CHECKING:
    from collections.abc import Collection
    from importlib.metadata import EntryPoint

    from twokey.core.destination import Destination
    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionKind
    from twokey.destinations.kind import DestinationContext, Resources

GROUP = "twokey.destinations"
"""The entry point group of the kinds that other packages add."""
T = TypeVar("T")
_FUNCTIONS = {
    "check": ("address",),
    "open": ("address", "context"),
    "check_store": ("address",),
    "read_secret": ("address", "context"),
    "load_many": ("addresses", "context"),
    "resolve": ("address", "context", "account"),
    "resources": ("address", "scope", "store"),
}
"""The functions of a kind, and what each is called with."""
_ABOUT_CODE = (ImportError, SyntaxError, AttributeError, InvalidValue)
"""Exceptions at import whose text is Python's or twokey's own. That of any other may hold a secret."""
_METHODS: dict[str, tuple[str, ...]] = {"held": (), "deliver": ("credential",), "preflight": ()}
_METHODS_OF_STORES: dict[str, tuple[str, ...]] = {
    **_METHODS,
    "load": (),
    "credential": (),
    "room_for": ("journal",),
    "save_journal": ("journal", "revision"),
    "put": ("credential", "revision"),
    "fence": ("revision",),
}
_NAMES = ("value_names", "other_members")
"""The members that a destination may have (``WritesNamedValues``, ``WritesNamedMembers``)."""


def entry_points(own: Collection[str]) -> dict[str, EntryPoint]:
    """Return the schemes that other packages add.

    Raises ``UsageError`` for a scheme that two packages claim, or that is one of twokey's ``own``.
    """
    from importlib import metadata

    found: dict[str, EntryPoint] = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name in own:
            raise _unusable(entry, f"the scheme {entry.name} is one of twokey's own", "Choose another scheme.")
        other = found.setdefault(entry.name, entry)
        if (other.value, _package(other)) != (entry.value, _package(entry)):
            raise _unusable(entry, f"the scheme {entry.name} is also added by {_name(other)}", "Uninstall one of them.")
    return found


def load(entry: EntryPoint) -> Kind:
    """Return the kind that an entry point names, checked and guarded; raises ``UsageError`` if it cannot be used."""
    try:
        named = entry.load()
    except Exception as error:  # noqa: BLE001  whatever a package raises when it is imported
        shown = isinstance(error, _ABOUT_CODE)
        raise _unusable(entry, f"{type(error).__name__}: {error}" if shown else origin(error)) from None
    return _Guard(entry).kind(_kind_in(named, entry))


def _kind_in(named: object, entry: EntryPoint) -> Kind:
    if isinstance(named, Kind):
        kinds: object = (named,)
    else:
        kinds = getattr(named, "KINDS", None)
        if kinds is None:
            kinds = (getattr(named, "KIND", None),)
    if kinds == (None,):
        raise _unusable(entry, f"{entry.value} has neither KIND nor KINDS")
    if not isinstance(kinds, tuple) or not all(isinstance(kind, Kind) for kind in kinds):
        raise _unusable(entry, "expected KIND to be a Kind, and KINDS a tuple of Kind")
    for kind in kinds:
        if kind.scheme == entry.name:
            return cast("Kind", kind)
    schemes = ", ".join(kind.scheme for kind in kinds)
    raise _unusable(entry, f"its Kind has the scheme {schemes}; expected {entry.name}, the name of the entry point")


class _Guard:
    """Checks a package's kind and its destinations, and turns what the kind's functions raise into a usage error."""

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry

    def kind(self, kind: Kind) -> Kind:
        """Return the kind with its functions guarded; raises ``UsageError`` where one takes other arguments."""
        for name, expected in _FUNCTIONS.items():
            function = getattr(kind, name)
            if function is not None:
                self._takes(f"`{name}`", function, expected)
        resolve, resources, read_secret = kind.resolve, kind.resources, kind.read_secret
        return replace(
            kind,
            check=self._guarded("check", kind.check),
            check_store=self._guarded("check_store", kind.check_store),
            open=self._guarded("open", self._opening(kind)),
            resolve=resolve and self._guarded("resolve", resolve, _resolved),
            resources=resources and self._guarded("resources", resources, _resources),
            read_secret=read_secret and _reading(read_secret),
            connection=kind.connection and self._connection(kind.connection),
        )

    def _connection(self, connection: ConnectionKind[Any, Any]) -> ConnectionKind[Any, Any]:
        self._takes("`connect`", connection.connect, ("settings", "context"))
        return replace(connection, connect=self._guarded("connect", connection.connect))

    def _guarded(
        self, name: str, function: Callable[..., T], checked: Callable[[object], T] | None = None
    ) -> Callable[..., T]:
        @wraps(function)
        def guarded(*arguments: object) -> T:
            try:
                found = function(*arguments)
                return checked(found) if checked else found
            except TwokeyError:
                raise
            except InvalidReturn as error:
                raise self._unusable(str(error)) from None
            except InvalidValue as error:
                raise self._unusable(f"`{name}`: {error}") from None
            except Exception as error:  # noqa: BLE001  whatever a package raises
                raise self._unusable(f"`{name}` raised {origin(error)}") from None

        return guarded

    def _opening(self, kind: Kind) -> Callable[[Address, DestinationContext], Destination]:
        def opened(address: Address, context: DestinationContext) -> Destination:
            found: object = kind.open(address, context)
            if found is None:
                raise InvalidReturn("open", found, "a destination")
            self._fits(found, address.url, "store" if kind.store else "destination")
            return cast("Destination", found)

        return opened

    def _fits(self, found: object, url: str, what: str) -> None:
        """Raise ``UsageError`` unless a destination has the members of its protocol (``twokey.core.destination``)."""
        methods = _METHODS_OF_STORES if what == "store" else _METHODS
        members = ("name", "traits", *methods)
        for member in members:
            if not hasattr(found, member) and member not in dir(found):
                raise self._unusable(f"its {what} has no `{member}`{_near(member, found, members)}")
        name = self._typed(found, "name", what, str, "a string")
        if name != url:
            raise self._unusable(f"`name` of its {what} is {name!r}; expected {url!r}, the URL")
        self._typed(found, "traits", what, Traits, "Traits")
        for member, expected in methods.items():
            method = self._typed(found, member, what, Callable, "a method")
            self._takes(f"`{member}` of its {what}", method, expected)
        for member in _NAMES:
            if hasattr(found, member):
                for one in self._typed(found, member, what, tuple, "a tuple of strings"):
                    if not isinstance(one, str):
                        why = f"holds a value of the type {type(one).__name__}; expected a tuple of strings"
                        raise self._unusable(f"`{member}` of its {what} {why}")

    def _typed(self, found: object, member: str, what: str, kind: Any, expected: str) -> Any:
        value = getattr(found, member)
        if not isinstance(value, kind):
            raise self._unusable(f"`{member}` of its {what} has the type {type(value).__name__}; expected {expected}")
        return value

    def _takes(self, what: str, function: Callable[..., object], expected: tuple[str, ...]) -> None:
        """Raise ``UsageError`` where a function cannot be called with these arguments, in this order."""
        try:
            taken = signature(function)
        except (TypeError, ValueError):  # such as one that is written in C: it does not say
            return
        try:
            taken.bind(*expected)
        except TypeError:
            why = f"{what} takes ({', '.join(taken.parameters)}); expected ({', '.join(expected)})"
            raise self._unusable(why) from None

    def _unusable(self, why: str) -> UsageError:
        return _unusable(self._entry, why)


def _near(member: str, found: object, members: Collection[str]) -> str:
    others = [name for name in dir(found) if not name.startswith("_") and name not in members]
    near = get_close_matches(member, others, n=1)
    return f" but a `{near[0]}`; did you mean `{member}`?" if near else ""


def _reading(read: Callable[[Address, DestinationContext], Hidden]) -> Callable[[Address, DestinationContext], Hidden]:
    """Return what reads a secret. It calls a service: what it raises may be due to the response."""

    @wraps(read)
    def guarded(address: Address, context: DestinationContext) -> Hidden:
        with foreseen(address.url, reading=True):
            return _text(read(address, context))

    return guarded


def _text(found: object) -> Hidden:
    if not isinstance(found, str):
        raise InvalidReturn("read_secret", found, "Hidden")
    return Hidden(found)


def _resolved(found: object) -> Resolved:
    if not isinstance(found, Resolved):
        raise InvalidReturn("resolve", found, "Resolved")
    refuse(found, "name", str)
    refuse(found, "where", str)
    refuse(found, "written", frozenset)
    return found


def _resources(found: object) -> Resources:
    if not isinstance(found, Mapping) or not all(map(_are_arns, found.values())):
        raise InvalidReturn("resources", found, "a mapping of tuples of ARNs")
    return found


def _are_arns(found: object) -> bool:
    return isinstance(found, tuple) and all(isinstance(one, str) for one in found)


def _unusable(entry: EntryPoint, why: str, remedy: str = "") -> UsageError:
    end = "" if why.endswith("?") else "."
    return UsageError(
        f"The destination {_name(entry)} cannot be used: {why.rstrip('.')}{end}",
        remedy=remedy or f"Update or uninstall {_package(entry) or 'the package'}, or report this to its author.",
    )


def _name(entry: EntryPoint) -> str:
    package = _package(entry)
    return f"{entry.name} = {entry.value}{f' of the package {package}' if package else ''}"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else ""
