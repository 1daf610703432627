"""Lines of a dotenv file: ``dotenv:PATH?id=NAME&secret=NAME``.

Other lines, comments, ``export`` and quotes stay. For how the file is read and written, see
``twokey.destinations.formats.assignments``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import CannotTell
from twokey.destinations.formats import assignments
from twokey.destinations.formats.format import ENVIRONMENT, format_at
from twokey.destinations.kind import Kind
from twokey.destinations.local.edited_files import EditedFile
from twokey.destinations.local.local_paths import check_path, path_of

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
        values = assignments.values(assignments.statements(text), self._format.names)
        return values if isinstance(values, CannotTell) else self._format.holding(values)

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        return assignments.edited(text, self._format.values(credential))


def _format(address: Address) -> Format:
    address.one_of("format", FORMATS)
    return format_at(address, default="pair", names=ENVIRONMENT, only=OPTIONS)


KIND = Kind(scheme="dotenv", check=check, open=_open)
