"""Members of a JSON file: ``json:PATH?id=NAME&secret=NAME``. A dot leads to an inner object: ``id=aws.key``.

All other members, their order and the white space stay; a session token beside the pair is removed. For how the file
is read and written, see ``twokey.destinations.formats.json_members``.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from twokey.core.model import CannotTell
from twokey.destinations.formats import json_members, temporary
from twokey.destinations.formats.bodies import Members
from twokey.destinations.formats.names import MEMBERS
from twokey.destinations.formats.options import format_at
from twokey.destinations.kind import Kind
from twokey.destinations.local.edited_files import EditedFile
from twokey.destinations.local.local_paths import check_path, path_of, resolving

if TYPE_CHECKING:
    from twokey.core.model import Holding
    from twokey.core.ports import Clock
    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

FORMATS = ("pair", "ses-smtp")
OPTIONS = ("format", "id", "secret", "region", "extra.*")


def check(address: Address) -> None:
    """Raise ``UsageError`` for an invalid path or name."""
    check_path(address)
    _format(address)


def _open(address: Address, context: DestinationContext) -> JsonFile:
    """Return the members as a destination."""
    return JsonFile(address, context.clients.clock)


class JsonFile(EditedFile):
    """Members of an object in a JSON file; twokey does not change the others."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._format = _format(address)
        super().__init__(address.url, path_of(address), self._format.names, clock)

    def _holding(self, text: Hidden) -> Holding:
        left = self._members.left_over(self._members.seen_beside(text, nested=True))
        if left:
            return CannotTell(temporary.reason(left))
        return self._format.holding({name: json_members.value(text, name) for name in self._format.names})

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        for name, value in self._format.values(credential).items():
            text = json_members.with_value(text, name, value)
        return self._members.without_left_over(text, nested=True)

    @property
    def _members(self) -> Members:
        if not isinstance(self._format.body, Members):
            raise TypeError("every format of a JSON file has named values")
        return self._format.body


def _format(address: Address) -> Format:
    address.one_of("format", FORMATS)
    value_format = format_at(address, default="pair", names=MEMBERS, only=OPTIONS)
    for name in value_format.names:
        if not all(name.split(".")):
            raise address.error(f"{name!r}: expected a name before and after each dot.")
    for outer, inner in permutations(value_format.names, 2):
        if inner.startswith(f"{outer}."):
            raise address.error(
                f"{outer!r} is a text, so it cannot contain {inner!r}: choose another name for one of them."
            )
    return value_format


KIND = Kind(scheme="json", check=check, open=_open, resolve=resolving(lambda address: _format(address).names))
