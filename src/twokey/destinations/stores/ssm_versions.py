"""The versions of a parameter: AWS keeps 100, and refuses the next one while the oldest of them has a label.

"Working with parameter versions", Systems Manager User Guide: the error is ParameterMaxVersionLimitExceeded.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.core.errors import ServiceRejected
from twokey.http import paging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MOST_VERSIONS = 100
FULL = "ParameterMaxVersionLimitExceeded"


@dataclass(frozen=True, slots=True)
class History:
    """The versions of a parameter that AWS keeps, the oldest first."""

    parameter: str
    versions: Sequence[Any]

    @classmethod
    def of(cls, parameter: str, send: Callable[..., Any]) -> History:
        """Read every page; raises the errors of ``twokey.core.errors``. ``NotFound``: there is no such parameter."""
        found = sorted(_entries(parameter, send), key=lambda entry: int(entry["Version"]))
        return cls(parameter, found)

    @property
    def newest(self) -> Any:
        """The newest version, with the settings that the parameter has now."""
        return self.versions[-1] if self.versions else {}

    def refuse_without_room(self, writes: int) -> None:
        """Raise ``ServiceRejected`` where a label makes AWS refuse one of this many writes."""
        error = self.without_room(writes)
        if error is not None:
            raise error

    def without_room(self, writes: int) -> ServiceRejected | None:
        """Return the error for the first label that makes AWS refuse one of this many writes; None without one."""
        free = MOST_VERSIONS - len(self.versions)
        for later, entry in enumerate(self.versions):
            if entry.get("Labels") and free + later < writes:
                return self._labelled(int(entry["Version"]), entry["Labels"], free + later)
        return None

    def _labelled(self, version: int, labels: Iterable[str], possible: int) -> ServiceRejected:
        labels = sorted(labels)
        names, word = ", ".join(labels), "label" if len(labels) == 1 else "labels"
        more = f"after {possible} more, AWS refuses every write" if possible else "AWS refuses every further write"
        command = (
            f"aws ssm unlabel-parameter-version --name {shlex.quote(self.parameter)} --parameter-version {version} "
            f"--labels {shlex.join(labels)}"
        )
        return ServiceRejected(
            f"The parameter {self.parameter} has {len(self.versions)} of the {MOST_VERSIONS} versions that AWS keeps, "
            f"and AWS does not delete the old version {version}, because it has the {word} {names}: {more} ({FULL}).",
            state="Nothing was written.",
            remedy=f"If no program reads that version by its label, remove the {word}: {command}",
        )


def _entries(parameter: str, send: Callable[..., Any]) -> Iterator[Any]:
    for page in paging.of_aws(partial(send, "GetParameterHistory", parameter, mutates=False, Name=parameter)):
        yield from page["Parameters"]
