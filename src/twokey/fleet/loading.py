"""What the stores of many users hold, with as few requests as their services allow. For reading only."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from twokey.inventory.audit import concurrently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from twokey.core.model import Record
    from twokey.destinations.address import Address
    from twokey.destinations.kind import LoadMany
    from twokey.destinations.registry import Services


def load_many(urls: Iterable[str], services: Services, at_a_time: int) -> dict[str, Record]:
    """Return the records of those stores that can be read together. All others are to be loaded one by one.

    So is each whose request failed: another store may be the cause, and every store has its own error.
    """
    from twokey.destinations import registry

    kinds: dict[LoadMany, list[Address]] = {}
    for address in map(registry.parse, dict.fromkeys(urls)):
        load = registry.kind_of(address.scheme).load_many
        if load is not None and registry.can_be_store(address.scheme):
            kinds.setdefault(load, []).append(address)
    calls = [call for load, addresses in kinds.items() for call in _calls(load, addresses, services)]
    return {url: record for found in concurrently(_call, calls, at_a_time) for url, record in found.items()}


def _calls(
    load: LoadMany, addresses: Sequence[Address], services: Services
) -> list[Callable[[], Mapping[str, Record]]]:
    calls: list[Callable[[], Mapping[str, Record]]] = []
    # What goes wrong here goes wrong again, and is told, where the stores are loaded one by one.
    with suppress(Exception):
        calls.extend(load(addresses, services))
    return calls


def _call(call: Callable[[], Mapping[str, Record]]) -> Mapping[str, Record]:
    with suppress(Exception):
        return dict(call())
    return {}
