"""Gives the product's limits of time to tests so long that no load of the machine reaches them.

twokey gives up on a locked file after some seconds, and on a program after half a minute. On a machine that does twenty
other things, a test with 24 threads on one file, or with a program in Python, may need longer without any fault. A test
that is about the limit itself sets the one that it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.destinations.hooks.child import Ended

LIMITS = (
    ("twokey.system.safe_files", "LOCK_PATIENCE"),
    ("twokey.audit_log.log", "LOCK_PATIENCE"),
    ("twokey.oidc.programs", "LONGEST"),
    ("twokey.destinations.logins.kubernetes_plugin", "LONGEST"),
    ("twokey.destinations.logins.onepassword_service", "LONGEST"),
)
"""Modules, and the names in them that hold seconds."""
FACTOR = 30
SHORTEST = 20.0
"""Seconds: the time of a program that is shorter belongs to a test that waits for its end."""


def be_patient() -> None:
    """Raise the limits in this process, and so in all that are forked from it."""
    for module, name in LIMITS:
        found = vars(importlib.import_module(module))
        found[name] *= FACTOR
    child = importlib.import_module("twokey.destinations.hooks.child")
    run = child.run

    def run_patiently(
        command: Sequence[str], environment: Mapping[str, str], message: memoryview, seconds: float
    ) -> Ended:
        ended: Ended = run(command, environment, message, seconds * FACTOR if seconds >= SHORTEST else seconds)
        return ended

    vars(child)["run"] = run_patiently
