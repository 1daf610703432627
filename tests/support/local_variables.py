"""What a crash would show: the local variables of twokey's functions, at every line of what is done."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import twokey
from support.canaries import leaks

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(twokey.__file__).parent
SERVICES = tuple(f"{SOURCE / package}/" for package in ("testing", "emulator"))
"""The other end of a request, which may run in the same thread: see ``shortcut`` and ``shortcut_to_fakes``."""


@contextmanager
def watched(*secrets: str) -> Iterator[None]:
    """Fail where a variable shows one of the secrets, or a part of one, while the block runs."""
    shown: set[tuple[str, str, str]] = set()

    def look(frame: Any, _event: str, _argument: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(f"{SOURCE}/") or file.startswith(SERVICES):
            return None
        shown.update((frame.f_code.co_qualname, name, _repr(value)) for name, value in list(frame.f_locals.items()))
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)
    assert any("hidden" in text for _, _, text in shown), "nothing that holds a secret was seen at all"
    assert {(where, name) for where, name, text in shown if leaks(text, secrets)} == set()


def _repr(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object that is still being made
        return ""
