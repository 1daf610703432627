"""Errors that nothing foresaw: a defect of twokey, and where to report it; or a fault of the system that it runs on."""

from __future__ import annotations

import errno
import os
import traceback

from twokey.cli.streams import what_remains
from twokey.cli.terminal import show_error, show_interrupted, tell
from twokey.core.errors import ExitCode, Failed, TwokeyError, UsageError

_OF_THE_SYSTEM = {
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG),
}
"""Errors that a working program gets where a limit of the system is reached or a disk fails."""
_ISSUES = ("issues", "bug tracker", "tracker", "bugs")
_REPOSITORY = ("repository", "source", "source code", "homepage")
"""Labels of project URLs ("Well-known project URLs", Python Packaging User Guide), in lowercase."""


def show(error: Exception) -> ExitCode:
    """Print what an unforeseen exception means, and nothing of what it holds: that may be a secret."""
    foreseen = _of_the_system(error)
    if foreseen is None:
        _show_defect(error)
        return ExitCode.FAILED
    show_error(foreseen)
    return foreseen.exit_code


def _of_the_system(error: Exception) -> TwokeyError | None:
    if isinstance(error, FileNotFoundError) and not _has_directory():
        return UsageError("The working directory does not exist any more.", remedy="Run twokey in one that exists.")
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        return Failed(
            f"The system refused what twokey needs: {os.strerror(error.errno)}.",
            state=what_remains(),
            remedy="Check the limits of this process (ulimit -a), its memory, and the disks.",
        )
    return None


def _has_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  only whether there is one
    except OSError:
        return False
    return True


def _show_defect(error: BaseException) -> None:
    tell(
        f"Error: a defect in twokey ({type(error).__name__}). "
        "Completed changes remain; the next run continues from there."
    )
    for frame in traceback.extract_tb(error.__traceback__)[-4:]:
        tell(f"  at {frame.name}, line {frame.lineno} of {os.path.basename(frame.filename)}")  # noqa: PTH119
    tell(f"  {_version()}. Please report these lines {_where_to_report()}; they hold no secret.")


def _version() -> str:
    import platform

    from twokey import __version__

    return f"twokey {__version__}, Python {platform.python_version()}"


def _where_to_report() -> str:
    """Return where to report a defect: as the metadata of the installed package says, or by the repository's form."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = [url.partition(", ") for url in metadata("twokey").get_all("Project-URL") or ()]
    except PackageNotFoundError:
        urls = []
    by_label = {label.lower(): url for label, _, url in urls}
    for label in (*_ISSUES, *_REPOSITORY):
        if label in by_label:
            return f"at {by_label[label]}"
    return 'with the form "Bug report", under Issues in the repository that twokey was installed from'


def show_uncaught(error: BaseException) -> None:
    """Print what an uncaught exception means."""
    if isinstance(error, KeyboardInterrupt):
        show_interrupted()
    elif isinstance(error, Exception):
        show(error)
    else:
        _show_defect(error)
