"""What botocore works out again for each client, worked out once: half of what a test of the AWS edge would cost."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

from botocore import compat, hooks
from botocore.loaders import create_loader
from botocore.retries import standard
from botocore.utils import EVENT_ALIASES

LOADER = create_loader()
"""Reads botocore's service models once for all tests: they are most of what a client costs."""
_NAMES: dict[str, str] = {}


def spare_them() -> None:
    """Keep what depends on botocore's own code only: what handlers accept, and the current names of events.

    Its pauses before it repeats a request pass at once: they are random, and no test is about them.
    """
    vars(hooks)["accepts_kwargs"] = _accepts_kwargs
    backoff: Any = standard.ExponentialBackoff
    backoff.delay_amount = lambda _self, _context: 0.0
    aliaser: Any = hooks.EventAliaser
    make = aliaser.__init__

    def made(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        make(self, event_emitter, event_aliases)
        if self._event_aliases == EVENT_ALIASES:
            self._alias_name_cache = _NAMES

    aliaser.__init__ = made


@cache
def _accepts(function: FunctionType) -> Any:
    return compat.accepts_kwargs(function)


def _accepts_kwargs(handler: Any) -> Any:
    function = getattr(handler, "__func__", handler)
    return _accepts(function) if isinstance(function, FunctionType) else compat.accepts_kwargs(handler)
