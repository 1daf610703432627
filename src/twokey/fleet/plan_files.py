"""The files of plans: ``plan --out`` writes one, ``rotate --plan`` reads one."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.commands import plan_command
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

    from twokey.fleet.planned import Following, Recorder
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.planning.plan import Overrides
    from twokey.rotation.look import Decide
    from twokey.rotation.preview import Preview
    from twokey.system.report_files import ReportFile
    from twokey.system.signatures import Signer

MAX_AGE = "3d"
"""How old a plan may be by default: one that is made on a Friday can be approved on a Monday."""


class Writing:
    """A plan that is written to a file once it is made."""

    _run: Run
    _recorder: Recorder

    def __init__(self, file: ReportFile, name: str, signer: Signer | None) -> None:
        self._file, self._name, self._signer = file, name, signer

    def begin(self, run: Run) -> Callable[[Job], Decide] | None:
        """Return what makes each user's decision and remembers it; None without a file."""
        from twokey.fleet.planned import Recorder

        self._run, self._recorder = run, Recorder()
        return self._recorder.decide

    def write(self, previews: Sequence[Preview], requested: Overrides) -> str:
        """Write the file; return what an approver compares. Raises ``Failed`` where it cannot be written any more."""
        from twokey.reports.plan_file import text_of

        text = text_of(self._recorder.plan(previews, self._run, requested), self._signer.sign if self._signer else None)
        self._file.write(text)
        signed = "signed" if self._signer else "not signed"
        return f"Plan: {self._name}, {signed}; its SHA-256 is {hashlib.sha256(text.encode()).hexdigest()}."


class _NoFile(Writing):
    """A plan that is only shown."""

    def __init__(self) -> None:
        pass

    def begin(self, *_: object) -> None:
        pass

    def write(self, *_: object) -> str:
        return ""


@contextmanager
def writing(out: str | PathLike[str] | None, sign_with: str | PathLike[str] | None) -> Iterator[Writing]:
    """Prepare the file before anything is called; raises ``UsageError`` where it or the key cannot be used."""
    if out is None:
        if sign_with is not None:
            raise UsageError("--sign-with signs the file of --out.", remedy="Add --out FILE.")
        yield _NoFile()
        return
    from twokey.system.report_files import ReportFile
    from twokey.system.signatures import Signer

    signer = None if sign_with is None else Signer(Path(sign_with), "--sign-with")
    with ReportFile(Path(out), "--out", private=True) as file:
        yield Writing(file, str(out), signer)


def refuse_without_plan(signed_by: object, max_age: str | None) -> None:
    """Raise ``UsageError`` for an option about a plan in a run without one: its check would not take place."""
    for name, value in (("--signed-by", signed_by), ("--plan-max-age", max_age)):
        if value is not None:
            raise UsageError(f"{name} is about the file of --plan.", remedy="Add --plan FILE.")


def refuse_with_plan(requested: Overrides) -> None:
    """Raise ``UsageError`` for an option that is part of the plan."""
    options = {"--force": requested.force, "--ignore-last-use": requested.ignore_last_use, "--retire": requested.retire}
    for name, value in options.items():
        if value:
            raise UsageError(
                f"{name} cannot be combined with --plan.", remedy=f"Make the plan with it: {plan_command(name)}."
            )


def following(
    file: str | PathLike[str], names: Sequence[str], signed_by: str | PathLike[str] | None, max_age: str | None
) -> Following:
    """Return a run that performs the plan in a file.

    Raises ``UsageError`` for what cannot be read, and ``Refused`` for a file that is no plan or not signed as expected.
    """
    from twokey.core import durations
    from twokey.fleet.planned import Following
    from twokey.reports.plan_file import MOST_BYTES, plan_of
    from twokey.system.signatures import Verifier

    age = durations.parse(max_age or MAX_AGE, "--plan-max-age")
    verifier = None if signed_by is None else Verifier(Path(signed_by), "--signed-by")
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MOST_BYTES)
    except OSError as error:
        raise UsageError(
            f"--plan: {file} cannot be read: {error.strerror}.",
            state="Nothing was called.",
            remedy="Name the file that twokey plan --out has written.",
        ) from None
    return Following(plan_of(data, str(file), verifier.accepts if verifier else None), age, names)
