"""How the items of the Distributed Map ended, from the files that its ResultWriter has written.

Source: "ResultWriter (Map)" (AWS Step Functions Developer Guide): a manifest names files for each status; each holds
the child executions with their input, and with error and cause where they failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from twokey.serverless import events
from twokey.serverless.events import Item

if TYPE_CHECKING:
    from twokey.serverless.objects import Bucket

MANIFEST = "manifest.json"
NOT_BEGUN = "Its turn did not come: Step Functions stopped before it, or ended its function."
LONGEST_CAUSE = 500


class _File(msgspec.Struct, rename="pascal"):
    key: str


class _Files(msgspec.Struct):
    failed: list[_File] = msgspec.field(default_factory=list, name="FAILED")


class _Manifest(msgspec.Struct, rename="pascal"):
    result_files: _Files


class _Child(msgspec.Struct, rename="pascal"):
    input: str
    error: str = ""
    cause: str = ""


def ends(bucket: Bucket, prefix: str) -> dict[str, str]:
    """Return a sentence about each account whose child execution failed."""
    found: dict[str, str] = {}
    for key in list(bucket.keys(prefix)):
        if key.endswith(f"/{MANIFEST}"):
            manifest: _Manifest = events.parse(bucket.read(key), key, _Manifest)
            for file in manifest.result_files.failed:
                children: list[_Child] = events.parse(bucket.read(file.key), file.key, list[_Child])
                found.update(_end(child, file.key) for child in children)
    return found


def _end(child: _Child, key: str) -> tuple[str, str]:
    item: Item = events.parse(child.input.encode(), key, Item)
    cause = f" ({child.cause[:LONGEST_CAUSE]})" if child.cause else ""
    return item.account, f"Its account's part of the execution failed: {child.error or 'no error is named'}{cause}."
