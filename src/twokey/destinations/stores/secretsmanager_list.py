"""The labels of many secrets, with one request for a hundred of them.

Source: "ListSecrets" (Secrets Manager API Reference). The list may lack the changes of the last five minutes, and
leaves out secrets that are marked for deletion: what is missing from it is unknown, not absent.
"""

from __future__ import annotations

from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from twokey.aws.sending import Sender
from twokey.destinations.stores.secretsmanager_versions import Labels
from twokey.http import paging

if TYPE_CHECKING:
    from collections.abc import Collection

    from twokey.aws.clients import Clients

PAGE = 100
"""Secrets of one response, at most."""
WORTH = 10
"""Pages are read as long as they are at most one for this many secrets that are wanted, and one more."""


def listed(clients: Clients, region: str | None, secret_ids: Collection[str]) -> dict[str, Labels]:
    """Return the labels of those of the secrets that the list has, by name or ARN, as they are named.

    Other secrets with the same beginning of their names may fill the list: reading it ends where that would cost more
    than it saves. Raises a ``ServiceError``.
    """
    if len(secret_ids) < 2:
        return {}
    sender, wanted = Sender(clients, "secretsmanager", region), frozenset(secret_ids)
    request: dict[str, Any] = {"MaxResults": PAGE}
    start = _common_start(wanted)
    # A beginning with an exclamation mark would mean all others; no name has one. An ARN is not a name.
    if start and not start.startswith("arn:"):
        request["Filters"] = [{"Key": "name", "Values": [start]}]
    found: dict[str, Labels] = {}
    send = partial(sender.send, "ListSecrets", "*", mutates=False, **request)
    for page in islice(paging.of_aws(send), 1 + len(wanted) // WORTH):
        for entry in page["SecretList"]:
            labels = Labels(stages=entry.get("SecretVersionsToStages", {}))
            found |= {name: labels for name in (entry["Name"], entry["ARN"]) if name in wanted}
        if len(found) == len(wanted):
            break
    return found


def _common_start(names: Collection[str]) -> str:
    """Return how all of the names begin: as the first and the last of them in alphabetical order do."""
    first, last = min(names), max(names)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(one for one, _ in same)
