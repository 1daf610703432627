"""Members of a JSON file: ``json:PATH?id=NAME&secret=NAME``. A dot leads into an inner object: ``id=aws.key``.

All other members, their order and the white space stay. How the file is read and written: see
``twokey.destinations.json_members``.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from twokey.destinations.formats import json_members
from twokey.destinations.formats.forms import MEMBERS, form_at
from twokey.destinations.local.edited_files import EditedFile
from twokey.destinations.local.local_paths import check_path, path_of

if TYPE_CHECKING:
    from twokey.core.model import Holding
    from twokey.core.ports import Clock
    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.formats.forms import Form
    from twokey.destinations.registry import Services

FORMATS = ("pair", "ses-smtp")
OPTIONS = ("format", "id", "secret", "region", "extra.*")


def check(address: Address) -> None:
    """Raise ``UsageError`` for a path or a name that cannot be."""
    check_path(address)
    _form(address)


def open_place(address: Address, services: Services) -> JsonFile:
    """Return the members as a destination."""
    return JsonFile(address, services.clients.clock)


class JsonFile(EditedFile):
    """Members of an object in a JSON file, beside others."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._form = _form(address)
        super().__init__(address.url, path_of(address), self._form.names, clock)

    def _holding(self, text: Hidden) -> Holding:
        return self._form.holding({name: json_members.value(text, name) for name in self._form.names})

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        for name, value in self._form.values(credential).items():
            text = json_members.with_value(text, name, value)
        return text


def _form(address: Address) -> Form:
    address.one_of("format", FORMATS)
    form = form_at(address, default="pair", names=MEMBERS, only=OPTIONS)
    for name in form.names:
        if not all(name.split(".")):
            raise address.wrong(f"{name!r}: between dots there must be a name.")
    for outer, inner in permutations(form.names, 2):
        if inner.startswith(f"{outer}."):
            raise address.wrong(f"{outer!r} cannot hold a text and {inner!r} as well.")
    return form
