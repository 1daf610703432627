"""The catalogues of controls that findings name, by the prefix of a control."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CATALOGUES = {
    "CIS-": "CIS Amazon Web Services Foundations Benchmark 3.0.0",
    "prowler:": "Prowler",
    "SecurityHub:": "AWS Security Hub",
}


def standards(controls: Iterable[str]) -> list[str]:
    """Return the names of the catalogues that these controls are from, each once."""
    found = (name for control in controls for prefix, name in CATALOGUES.items() if control.startswith(prefix))
    return list(dict.fromkeys(found))
