"""1Password's own service, as a service account reaches it: through 1Password's SDK, which is the extra `onepassword`.

The SDK encrypts and decrypts on this machine; there is no documented HTTP API for it. It is asynchronous, so it runs in
a thread of its own. Its errors are texts: one that is not known proves nothing.

Sources: "1Password Service Accounts", "Manage items using 1Password SDKs", "1Password Service Account rate limits",
1Password Developer; the package onepassword-sdk 0.4.2 (its types, and its errors).
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twokey import __version__
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Failed,
    NotFound,
    ServiceRejected,
    Throttled,
    Unreachable,
    UsageError,
)
from twokey.core.secret import Hidden
from twokey.core.waiting import before_effect
from twokey.destinations.kind import Permission, phrase
from twokey.http.messages import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twokey.core.ports import Clock
    from twokey.http.renewable_token import RenewableToken

_ID = re.compile(r"[\da-z]{26}", re.ASCII)
LONGEST = 40.0
"""Seconds that a call may take: less than a lease, which alone protects a write here."""
_TYPES = {"STRING": "Text", "CONCEALED": "Concealed"}
_SERVICE = "1Password"
PERMISSIONS = (
    Permission(
        service=_SERVICE,
        name="read and write",
        resource="vault",
        type="access",
        uses=("read", "write", "create", "journal"),
    ),
)
"""What a service account needs, and the token of a Connect server."""


@dataclass(frozen=True, slots=True)
class _Opaque:
    """What the SDK returned, to be sent back; it contains secrets and does not show them."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Problem:
    """An error of the SDK: the name of its class, and its text, which may repeat what was sent."""

    name: str
    text: Hidden


def require_sdk() -> None:
    """Raise ``UsageError`` if the SDK is not installed."""
    if find_spec("onepassword") is None:
        raise UsageError(
            "A 1Password service account needs 1Password's SDK, but the package onepassword-sdk is not installed.",
            remedy="Install twokey with the extra `onepassword`: from a checkout, pip install '.[onepassword]'. "
            "Or use a Connect server: `url` and `token`.",
        )


class ServiceAccount:
    """What one service account can see. The items have the shape that Connect gives them."""

    def __init__(self, token: RenewableToken, clock: Clock) -> None:
        require_sdk()
        self.clock = clock
        self._token = token
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()
        self._vaults: dict[str, str] = {}
        self._items: dict[tuple[str, str], str] = {}

    def item(self, vault: str, item: str) -> dict[str, Any] | None:
        """Return a whole item, or None; raises ``ServiceRejected`` if the vault has two of that title."""
        vault_id = self._vault(vault)
        known = item if _ID.fullmatch(item) else self._items.get((vault_id, item))
        if known is None:
            known = self._titled(vault, vault_id, item)
        if known is None:
            return None
        found, problem = self._call(lambda client: client.items.get(vault_id, known))
        if problem is None:
            return _shown(found)
        self._items.pop((vault_id, item), None)
        error = self._error(problem, f"read the item {item} of the vault {vault}", vault)
        if not isinstance(error, NotFound):
            raise error
        return None

    def replace_item(self, vault: str, item_id: str, item: Mapping[str, Any], target: str) -> Response:
        """Write a whole item as it was read, with other fields; 1Password refuses it if the item has changed since."""
        before_effect(None)
        changed = _changed(item)
        assert changed.id == item_id
        _, problem = self._call(lambda client: client.items.put(changed))
        return self._outcome(problem, vault, target)

    def add_item(self, vault: str, item: Mapping[str, Any], target: str) -> Response:
        """Create an item. The request is sent once: a second one would create a second item."""
        from onepassword.types import ItemCategory, ItemCreateParams

        vault_id = self._vault(vault)
        before_effect(None)
        fields = [_field(one) for one in item["fields"]]
        params = ItemCreateParams.model_construct(
            category=ItemCategory.APICREDENTIALS, vault_id=vault_id, title=item["title"], fields=fields
        )
        _, problem = self._call(lambda client: client.items.create(params))
        return self._outcome(problem, vault, target)

    def error_of_write(self, response: Response, vault: str, target: str) -> Failed:
        """Return the error for the response to a write that was refused."""
        return ServiceRejected(
            f"{_SERVICE} refused to write {target} in the vault {vault} ({response.status}).",
            state="Nothing was written there.",
        )

    def _outcome(self, problem: _Problem | None, vault: str, target: str) -> Response:
        if problem is None:
            return Response(200, {})
        if "version" in problem.text.lower():
            return Response(409, {})
        raise self._error(problem, f"write {target}", vault, mutates=True)

    def _vault(self, vault: str) -> str:
        """Return the ID of a vault; the vaults are listed once in a run."""
        if _ID.fullmatch(vault):
            return vault
        with self._lock:
            if vault not in self._vaults:
                listed, problem = self._call(lambda client: client.vaults.list())
                if problem is not None:
                    raise self._error(problem, "list the vaults", vault)
                found = [str(one.id) for one in listed if one.title == vault]
                if len(found) > 1:
                    raise ServiceRejected(
                        f"{_SERVICE} has {len(found)} vaults {vault!r}: which one is meant is unclear.",
                        remedy="Name the vault by its ID.",
                    )
                if not found:
                    raise NotFound(
                        f"{_SERVICE} lists no vault {vault!r}: it does not exist, or the service account has no access "
                        "to it.",
                        remedy=f"Check its name, and that the service account has {permission(vault)}.",
                    )
                self._vaults[vault] = found[0]
            return self._vaults[vault]

    def _titled(self, vault: str, vault_id: str, title: str) -> str | None:
        listed, problem = self._call(lambda client: client.items.list(vault_id))
        if problem is not None:
            raise self._error(problem, f"list the items of the vault {vault}", vault)
        found = [str(one.id) for one in listed if one.title == title]
        if len(found) > 1:
            raise ServiceRejected(
                f"The vault {vault} has {len(found)} items {title!r}: which one is meant is unclear.",
                state="Nothing was written there.",
                remedy="Delete or rename all but one, or name the item by its ID.",
            )
        if not found:
            return None
        self._items[vault_id, title] = found[0]
        return found[0]

    def _call(self, start: Callable[[Any], Awaitable[Any]]) -> tuple[Any, _Problem | None]:
        return self._run(lambda: start(self._authenticated()))

    def _authenticated(self) -> Any:
        """Return the SDK's client, which has logged in; raises ``BadCredentials`` or ``Unreachable``."""
        with self._lock:
            if self._client is None:
                from onepassword.client import Client

                token = self._token.value()
                client, problem = self._run(
                    lambda: Client.authenticate(
                        auth=token, integration_name="twokey", integration_version=f"v{__version__}"
                    )
                )
                if problem is not None:
                    raise self._refused_login(problem)
                self._client = client
            return self._client

    def _run(self, start: Callable[[], Awaitable[Any]]) -> tuple[Any, _Problem | None]:
        """Run a call of the SDK to its end, and return what it returns or its error, without its traceback."""
        waiting = start()

        async def whole() -> Any:
            return await waiting

        future = asyncio.run_coroutine_threadsafe(whole(), self._running())
        try:
            return future.result(LONGEST), None
        except TimeoutError:
            future.cancel()
            return None, _Problem("TimeoutError", Hidden("no response arrived in time"))
        except Exception as error:  # noqa: BLE001  the SDK raises plain exceptions
            return None, _Problem(type(error).__name__, Hidden(error))

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="onepassword", daemon=True).start()
            return self._loop

    def _refused_login(self, problem: _Problem) -> Failed:
        if "token" in problem.text.lower() or "auth" in problem.text.lower():
            return BadCredentials(
                f"{_SERVICE} does not accept the token of the service account.",
                state="Nothing was sent after that.",
                remedy=f"Provide a valid token (in {self._token}). A service account may have been deleted, or its "
                "token may have expired.",
            )
        return Unreachable(
            f"{_SERVICE} cannot be reached to log in.{self._quoted(problem)}",
            state="Nothing was sent after that.",
            remedy="Check the network. The SDK of 1Password makes its own connections.",
        )

    def _error(self, problem: _Problem, description: str, vault: str, *, mutates: bool = False) -> Failed:
        """Translate an error. One that is not known proves nothing."""
        text, state = problem.text.lower(), "Nothing was written there." if mutates else ""
        if problem.name == "RateLimitExceededException" or "rate limit" in text:
            return Throttled(
                f"{_SERVICE} cannot {description} now: the service account's rate limit is exhausted.",
                state=state,
                remedy="Run again later: 1Password counts by the hour and by the day.",
            )
        if "not found" in text or "no item" in text or "couldn't find" in text:
            return NotFound(
                f"{_SERVICE} cannot {description}: it does not exist, or the service account has no access to it.",
                state=state,
                remedy=f"Check the name, and that the service account has {permission(vault)}.",
            )
        if "permission" in text or "forbidden" in text:
            return AccessDenied(description, _SERVICE, remedy=f"Create a service account that has {permission(vault)}.")
        if "unauthorized" in text or "service account token" in text:
            return self._refused_login(problem)
        quoted = "" if mutates else self._quoted(problem)
        return Ambiguous(
            f"{_SERVICE} was asked to {description}, and its SDK failed ({problem.name}).{quoted}",
            state="It may have taken effect." if mutates else "This call changes nothing.",
            remedy="Run again.",
        )

    def _quoted(self, problem: _Problem) -> str:
        """Return the SDK's words, unless they repeat a part of the token."""
        body = Hidden(json.dumps({"message": str(problem.text)}))
        words = Response(500, {}, body, sent=(self._token.value(),)).quotable()
        return f" Its SDK says: {words}" if words else ""


def permission(vault: str) -> str:
    """Return what is needed on a vault, as a part of a sentence."""
    return phrase(PERMISSIONS, on=f"the vault {vault}")


def _shown(item: Any) -> dict[str, Any]:
    """Return an item as Connect shows it; ``original`` is the SDK's, to be sent back."""
    fields = [
        {"label": one.title, "value": Hidden(one.value), "type": one.field_type.value, "original": _Opaque(one)}
        for one in item.fields
    ]
    return {"id": item.id, "title": item.title, "version": item.version, "fields": fields, "original": _Opaque(item)}


def _changed(item: Mapping[str, Any]) -> Any:
    """Return the SDK's item with the fields as they are now."""
    fields = [
        one["original"].value.model_copy(update={"value": Hidden(one["value"])}) if "original" in one else _field(one)
        for one in item["fields"]
    ]
    return item["original"].value.model_copy(update={"fields": fields})


def _field(one: Mapping[str, Any]) -> Any:
    """Return a new field. Its ID only has to be unlike the others of the item."""
    from onepassword.types import ItemField, ItemFieldType

    kind = ItemFieldType(_TYPES[one["type"]])
    # Constructed without validation, which would copy the value into a text that shows itself.
    return ItemField.model_construct(
        id=secrets.token_hex(13), title=one["label"], field_type=kind, value=Hidden(one["value"])
    )
