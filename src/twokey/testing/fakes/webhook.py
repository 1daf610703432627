"""A receiver of webhooks: it accepts signed requests only ("Standard Webhooks", 1.0.0), and none a second time.

A target is a path. POST takes a credential for it, GET returns the key that it holds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = 300.0
"""Seconds that a request may be old, or ahead."""


class Webhook(FakeService):
    """A receiver with one secret. ``receipts``: whether its response to a delivery is more than 204."""

    not_found = {"message": "No such path"}  # noqa: RUF012  never changed

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        secret: str = f"whsec_{base64.b64encode(b'the-signing-secret-of-tests').decode()}",
    ) -> None:
        super().__init__(monotonic)
        self.secret = secret
        self.receipts = True
        self.gone: set[str] = set()
        self._now = now
        self._held: dict[str, dict[str, str]] = {}
        self._stamps: dict[str, str] = {}
        self._newest: dict[str, tuple[int, str]] = {}
        self._done: set[tuple[str, str]] = set()

    def read(self, path: str) -> dict[str, str] | None:
        """Return the pair that jobs read there."""
        return self._held.get(path)

    def write(self, path: str, pair: dict[str, str]) -> None:
        """Write a pair as the operator would, past the receiver."""
        self._held[path] = pair
        self._stamps[path] = str(self.tick())

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the signature over id, time and body, and that the time is close to now."""
        headers = request.headers
        message_id, timestamp = headers.get("Webhook-Id", ""), headers.get("Webhook-Timestamp", "")
        if not message_id or not timestamp.isdigit():
            raise Refusal(401, {"message": "Not signed"})
        if abs(self._now() - int(timestamp)) > TOLERANCE:
            raise Refusal(401, {"message": "Too old, or ahead"})
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        content = b".".join((message_id.encode(), timestamp.encode(), request.data))
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        sent = [one.partition(",")[2] for one in headers.get("Webhook-Signature", "").split() if one[:3] == "v1,"]
        if not any(hmac.compare_digest(one, expected) for one in sent):
            raise Refusal(401, {"message": "Bad signature"})

    @route("GET", r"(/.*)")
    def held(self, _request: ReceivedRequest, path: str) -> Reply:
        """Return the key that a path holds."""
        self._refuse_gone(path)
        pair = self._held.get(path)
        return Reply(200, {"key_id": pair and pair["AccessKeyId"], "stamp": self._stamps.get(path, "")})

    @route("POST", r"(/.*)")
    def deliver(self, request: ReceivedRequest, path: str) -> Reply:
        """Take a credential."""
        self._refuse_gone(path)
        pair = _pair(request.json())
        self._refuse_replay(path, request.headers["Webhook-Id"], int(request.headers["Webhook-Timestamp"]))
        written = self._held.get(path) != pair
        if written:
            self.write(path, pair)
        if not self.receipts:
            return Reply(204)
        return Reply(200, {"key_id": pair["AccessKeyId"], "stamp": self._stamps[path], "written": written})

    def _refuse_gone(self, path: str) -> None:
        if path in self.gone:
            raise Refusal(404, self.not_found)

    def _refuse_replay(self, path: str, message_id: str, timestamp: int) -> None:
        """Refuse a delivery older than the newest one; of the same second, a repeat that another delivery followed."""
        newest, latest = self._newest.get(path, (0, ""))
        done_before = (path, message_id) in self._done and message_id != latest
        if timestamp < newest or (timestamp == newest and done_before):
            raise Refusal(409, {"message": "This was delivered before, and another key after it"})
        self._newest[path] = (timestamp, message_id)
        self._done.add((path, message_id))


def _pair(body: Any) -> dict[str, str]:
    """Return the pair of a message; refuses anything but a delivery of version 1."""
    pair = body.get("credential") if isinstance(body, dict) else None
    if not isinstance(pair, dict) or (body.get("version"), body.get("action")) != (1, "deliver"):
        raise Refusal(422, {"message": "Not a delivery that this receiver understands"})
    if set(pair) != {"AccessKeyId", "SecretAccessKey"} or body.get("key_id") != pair["AccessKeyId"]:
        raise Refusal(422, {"message": "Not a pair"})
    return {name: str(value) for name, value in pair.items()}
