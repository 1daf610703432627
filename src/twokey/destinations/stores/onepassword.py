"""1Password, through a Connect server or as a service account: ``onepassword:VAULT/ITEM``, each by its name or ID.

One item holds the pair and the journal. Each write replaces the whole item as it was just read, with the new values: a
reader never sees a mixed pair, and other fields stay. Connect documents no conditional write. So twokey reads the item
again immediately before each write, sends its ``version``, and reads it back. Only the lease keeps two runs apart.

Sources: "1Password Connect Server API reference" and its OpenAPI description (1Password/connect,
docs/openapi/spec.yaml), "Secret reference syntax", 1Password Developer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twokey.core.errors import Ambiguous, Conflict, ServiceError, ServiceRejected
from twokey.core.secret import Hidden
from twokey.core.waiting import pause
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import Kind
from twokey.destinations.logins.onepassword import CONNECTION
from twokey.destinations.logins.onepassword_service import PERMISSIONS
from twokey.destinations.stores.service_store import ServiceStore, Stored

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.destinations.logins.onepassword import Connect
    from twokey.destinations.logins.onepassword_service import ServiceAccount

JOURNAL = "twokey-journal"
ATTEMPTS = 4
"""How often a write is tried that got no response, or collided with another write to the vault."""
LONGEST_TRYING = 30.0
"""Seconds after which it is not tried again: only the lease keeps others out, and it must outlast the last attempt."""
LONGEST_JOURNAL = 32 << 10
"""Bytes. 1Password documents no limit for a field; this one is twokey's."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Za-z0-9_-](?:[A-Za-z0-9 _-]*[A-Za-z0-9_-])?",
    allowed="letters, digits, underscores and dashes, and spaces between them",
    forbidden=(JOURNAL,),
)
_NAME = r"[^\s/\"'\\](?:[^/\"'\\]*[^\s/\"'\\])?"
_TARGET = re.compile(rf"{_NAME}/{_NAME}")


@dataclass(frozen=True, slots=True)
class Revision:
    """The item's ID (empty if there is none), and a digest of credential and journal."""

    item: str = ""
    digest: str = field(default="", repr=False)


def check(address: Address) -> None:
    """Raise ``UsageError`` for names of items or fields that a secret reference cannot contain."""
    address.allow(("connection", *formats.OPTIONS))
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected VAULT/ITEM: names or IDs without quotes, backslashes or further slashes.")
    _format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> OnePasswordItem:
    """Return the item as a store or destination."""
    return OnePasswordItem(address, context.connection(address, CONNECTION), context.claims)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


class OnePasswordItem(ServiceStore):
    """An item of a vault."""

    conditional = False
    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, server: Connect | ServiceAccount, claims: Claims) -> None:
        super().__init__(address.url, _format(address), server.clock)
        self._server = server
        self._claims = claims
        self._vault, _, self._item = address.rest.partition("/")
        self._target = f"the item {self._item} of the vault {self._vault}"
        self._journal = f"{JOURNAL} {self.format.names[0]}"

    def preflight(self) -> None:
        """Read the vault and the item. Only a write shows whether the token may write."""
        self.check_content()

    def _find(self) -> dict[str, Any] | None:
        """Return the whole item, or None; raises ``ServiceRejected`` if two items or fields have the same name."""
        item = self._server.item(self._vault, self._item)
        if item is not None:
            # An item and a vault have a name and an id; both may be in use.
            self._claims.claim(self.name, "1Password", f"the item {item['id']}", ("the pair",))
        for name in (*self.format.names, self._journal):
            if item is not None and len(_fields(item, name)) > 1:
                raise ServiceRejected(
                    f"{self._target} has {len(_fields(item, name))} fields {name}: which one is meant is unclear.",
                    state="Nothing was written there.",
                    remedy="Rename or delete all but one of these fields.",
                )
        return item

    def _read(self) -> Stored:
        item = self._find()
        if item is None:
            return Stored(None, None, Revision())
        journal = _fields(item, self._journal)
        values = {
            str(one.get("label")): Hidden(one.get("value") or "")
            for one in item.get("fields") or ()
            if one.get("label") in self.format.names or (one.get("value") and not self._beside(one))
        }
        return Stored(values, journal[0].get("value", "") if journal else None, self._revision(item))

    def _beside(self, one: Mapping[str, Any]) -> bool:
        """Say whether a field cannot contain a credential: a journal, or the notes."""
        return str(one.get("label", "")).startswith(JOURNAL) or one.get("purpose") == "NOTES"

    def _write_credential(
        self,
        values: Mapping[str, Hidden],
        seen: object,
        note: str,  # noqa: ARG002  the ID is a readable field
        without: Collection[str] = (),
    ) -> None:
        self._write(values, seen, without)

    def _write_journal(self, text: str, seen: object) -> None:
        self._write({self._journal: text}, seen)

    def _write_fence(self, stored: Stored) -> None:  # noqa: ARG002  never called for such a store
        raise AssertionError("there is no fence without conditional writes")

    def _write(self, values: Mapping[str, str], seen: object, without: Collection[str] = ()) -> None:
        """Write the item if credential and journal are unchanged since ``seen``; otherwise raise ``Conflict``.

        A write without a response is sent again only after a read shows that it did not take place. If anything fails
        after such a write, the error is its ``Ambiguous``.
        """
        doubt: Ambiguous | None = None
        give_up = self.clock.monotonic() + LONGEST_TRYING
        for attempt in range(ATTEMPTS):
            pause(self.clock, 0.5 * attempt)
            try:
                if self._written_once(values, seen, without, give_up if attempt else None):
                    return
            except Ambiguous as error:
                doubt = doubt or error
                if seen == Revision():  # creating it again might create two
                    break
            except (Conflict, ServiceError):
                if doubt is not None:
                    break  # the present state may be our own write: reading back shows it
                raise
        raise doubt or ServiceRejected(
            f"Other programs changed {self._target} during each of {ATTEMPTS} attempts to write it.",
            state="Nothing was written there.",
            remedy="Stop or pause the program that writes it so often, and run again.",
        )

    def _written_once(
        self, values: Mapping[str, str], seen: object, without: Collection[str], give_up: float | None
    ) -> bool:
        """Read and write; False if another program was writing to the vault, or if it is too late to write."""
        item = self._find()
        if self._revision(item) != seen:
            raise self._conflict()
        if give_up is not None and self.clock.monotonic() > give_up:
            return False
        if item is None:
            response = self._server.add_item(self._vault, self._with(self._made(), values), self._target)
        else:
            wanted = self._with(item, values, without)
            response = self._server.replace_item(self._vault, item["id"], wanted, self._target)
        if not response.good and response.status not in {409, 412}:
            raise self._server.error_of_write(response, self._vault, self._target)
        return response.good

    def _made(self) -> dict[str, Any]:
        return {"title": self._item, "category": "API_CREDENTIAL"}

    def _with(
        self, item: Mapping[str, Any], values: Mapping[str, str], without: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the item with these values, and without these fields; new fields are added at its end."""
        remaining = dict(values)
        fields = []
        for one in item.get("fields") or ():
            if one.get("label") in without:
                continue
            value = remaining.pop(one.get("label", ""), None)
            fields.append(one if value is None else {**one, "value": value})
        fields += [{"type": self._type(name), "label": name, "value": value} for name, value in remaining.items()]
        return {**item, "fields": fields}

    def _type(self, name: str) -> str:
        """Return the type of a new field: only secrets are concealed."""
        id_of_pair = len(self.format.names) > 1 and name == self.format.names[0]
        return "STRING" if id_of_pair or name == self._journal else "CONCEALED"

    def _revision(self, item: Mapping[str, Any] | None) -> Revision:
        if item is None:
            return Revision()
        found = [_fields(item, name) for name in (*self.format.names, self._journal)]
        stored = [one[0].get("value", "") if one else None for one in found]
        return Revision(str(item["id"]), hashlib.sha256(json.dumps(stored).encode()).hexdigest())

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")


def _fields(item: Mapping[str, Any], label: str) -> list[Mapping[str, Any]]:
    return [one for one in item.get("fields") or () if one.get("label") == label]


KIND = Kind(
    scheme="onepassword",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
