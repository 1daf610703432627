"""Lines of a dotenv file: ``dotenv:PATH?id=NAME&secret=NAME``.

Other lines, comments, ``export`` and quotes stay; a session token beside the pair is removed. For how the file is read
and written, see ``twokey.destinations.formats.assignments``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import CannotTell
from twokey.destinations.formats import assignments, temporary
from twokey.destinations.formats.names import ENVIRONMENT
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

FORMATS = ("pair", "json", "ses-smtp")
"""The formats whose values fit on one line and show which key they hold."""
OPTIONS = ("format", "id", "secret", "name", "region", "extra.*")


def check(address: Address) -> None:
    """Raise ``UsageError`` for an invalid path or name."""
    check_path(address)
    _format(address)


def _open(address: Address, context: DestinationContext) -> Dotenv:
    """Return the lines as a destination."""
    return Dotenv(address, context.clients.clock)


class Dotenv(EditedFile):
    """Variables in a dotenv file; twokey does not change the others."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._format = _format(address)
        super().__init__(address.url, path_of(address), self._format.names, clock)

    def _holding(self, text: Hidden) -> Holding:
        lines = assignments.statements(text)
        values = assignments.values(lines, self._format.names)
        if isinstance(values, CannotTell):
            return values
        left = self._format.left_over(assignments.seen(lines))
        return CannotTell(temporary.reason(left)) if left else self._format.holding(values)

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        present = assignments.seen(assignments.statements(text))
        wanted = self._format.values_beside(present, credential, self.name)
        return assignments.edited(text, wanted, self._format.left_over(present))


def _format(address: Address) -> Format:
    address.one_of("format", FORMATS)
    return format_at(address, default="pair", names=ENVIRONMENT, only=OPTIONS)


KIND = Kind(scheme="dotenv", check=check, open=_open, resolve=resolving(lambda address: _format(address).names))
