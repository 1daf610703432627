"""Keeps what libraries log about twokey's own requests out of every log, and changes nothing for other code.

DEBUG logs of botocore contain request and response bodies, and those of urllib3 contain URLs, whose path may be a
secret. A program that uses ``twokey.api`` may have its own logs of them: no level, no handler and no switch of the
process is set here. A filter at each of their loggers drops the records that twokey causes, in whatever thread; no
setting of a logger, made before or after, shows them.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_OURS = "twokey."


def hide(*libraries: str, above: int = logging.DEBUG) -> None:
    """Drop what these libraries log up to the level ``above`` when twokey calls them, by loggers that exist by now."""
    hiding = _FILTERS.setdefault(above, _NotOfTwokey(above))
    for name, logger in list(logging.getLogger().manager.loggerDict.items()):
        if name.startswith(libraries) and isinstance(logger, logging.Logger) and name.partition(".")[0] in libraries:
            logger.addFilter(hiding)


class _NotOfTwokey(logging.Filter):
    """Passes what is above a level, and what other code than twokey causes."""

    def __init__(self, above: int) -> None:
        super().__init__()
        self._above = above

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record may be logged."""
        return record.levelno > self._above or not _is_twokey_calling()


_FILTERS: dict[int, _NotOfTwokey] = {}


def _is_twokey_calling() -> bool:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  ``inspect`` costs an import, and reads source files
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(_OURS) and name != __name__:
            return True
        frame = frame.f_back
    return False
