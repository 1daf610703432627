"""Lines of a dotenv file: ``dotenv:PATH?id=NAME&secret=NAME``.

Other lines, comments, ``export`` and quotes stay. How the file is read and written: see
``twokey.destinations.assignments``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import CannotTell
from twokey.destinations.formats import assignments
from twokey.destinations.formats.forms import ENVIRONMENT, form_at
from twokey.destinations.local.edited_files import EditedFile
from twokey.destinations.local.local_paths import check_path, path_of

if TYPE_CHECKING:
    from twokey.core.model import Holding
    from twokey.core.ports import Clock
    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.formats.forms import Form
    from twokey.destinations.registry import Services

FORMATS = ("pair", "json", "ses-smtp")
"""The formats whose values fit into one line, and tell which key they hold."""
OPTIONS = ("format", "id", "secret", "name", "region", "extra.*")


def check(address: Address) -> None:
    """Raise ``UsageError`` for a path or a name that cannot be."""
    check_path(address)
    _form(address)


def open_place(address: Address, services: Services) -> Dotenv:
    """Return the lines as a destination."""
    return Dotenv(address, services.clients.clock)


class Dotenv(EditedFile):
    """Variables in a dotenv file, beside others."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._form = _form(address)
        super().__init__(address.url, path_of(address), self._form.names, clock)

    def _holding(self, text: Hidden) -> Holding:
        values = assignments.values(assignments.statements(text), self._form.names)
        return values if isinstance(values, CannotTell) else self._form.holding(values)

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        return assignments.edited(text, self._form.values(credential))


def _form(address: Address) -> Form:
    address.one_of("format", FORMATS)
    return form_at(address, default="pair", names=ENVIRONMENT, only=OPTIONS)
