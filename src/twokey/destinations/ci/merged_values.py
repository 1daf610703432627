"""Named values of a service whose write changes several at once, and leaves those alone that it does not name."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from twokey.destinations.ci.named_values import NamedValues, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden


class MergedValues(NamedValues):
    """A subclass implements ``_merge`` instead of ``_write`` and ``_remove``."""

    atomic_write = True

    @abstractmethod
    def _merge(self, values: Mapping[str, Hidden | None], note: str, before: Mapping[str, Shown]) -> None:
        """Write these values by one request; None removes a value. Sending it twice does no harm."""

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        self._merge({name: value}, note, {} if before is None else {name: before})

    def _write_all(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:
        self._merge(values, note, before)

    def _remove(self, name: str, shown: Shown) -> None:
        self._merge({name: None}, "", {name: shown})
