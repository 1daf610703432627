"""What the tests of stores see of one, and the contents that they plant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Protocol

from twokey.core.journal import Delivery, Intent, Journal, Lease
from twokey.testing.contract import SECRET

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
FULL = Journal(
    epoch=7,
    user="AIDAEXAMPLE",
    current="AKIAEXAMPLE000000001",
    last="AKIAEXAMPLE000000000",
    committed=AT,
    lease=Lease(run="r1", host="h", process=42, start="boot/1", until=AT),
    intent=Intent(known=("AKIAEXAMPLE000000001",), at=AT),
    delivered={"github:acme/site": Delivery(key="AKIAEXAMPLE000000001", at=AT)},
)


UNMANAGED_TEXTS = (
    "something else",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
    json.dumps([SECRET]),
    f'"{SECRET}"',
    "DB_PASSWORD=x\n",
    "[database]\npassword = x\n",
    f"AKIAIOSFODNN7EXAMPLE:{SECRET}",
)
"""Values of others, in a store whose format is a JSON object."""
OTHERS = (
    '{"z": 1.10, "big": 123456789012345678901234567890, "tiny": 1e-400, "one": 1.0, "SecretAccessKey" :"'
    + SECRET
    + '",\n  "name": "J\u00fcrgen \\u00fc \\/ \\ud83d\\ude00", "twice": 1, "twice": 2,\t'
    '"in": {"AccessKeyId": "not this", "deep": [1.50, {"a": null}]}, "AccessKeyId":  "%s", "": false , "last": [ ] }\n'
)
"""A JSON object with a pair, and everything that a program may lose when it decodes and encodes one."""


class StoreBackend(Protocol):
    """The service behind a store, as its readers and its administrators see it."""

    url: str

    def text(self) -> str | None:
        """Return what a job reads there, or None."""

    def plant_text(self, text: str) -> None:
        """Write there as an operator would, with the service's own tools."""

    def plant_journal(self, text: str) -> None:
        """Write a text to where the journal is stored."""

    def picture(self) -> Any:
        """Return everything that is stored there, to be compared with a later picture."""


class NamedValuesBackend(Protocol):
    """The service behind a store of named values."""

    url: str
    tokens: tuple[str, ...]
    """The names of session tokens beside the pair."""

    def read(self) -> dict[str, str] | None:
        """Return the pair that a job reads here, as ``AccessKeyId`` and ``SecretAccessKey``; None without one."""

    def plant_value(self, name: str, text: str) -> None:
        """Write a value as an operator would, with the service's own tools."""

    def value(self, name: str) -> str | None:
        """Return a value that a job reads here, or None."""


def with_option(url: str, option: str) -> str:
    """Return a URL with a further option."""
    return f"{url}{'&' if '?' in url else '?'}{option}"
