"""Runs twokey's commands in this process, as the shell would see them."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from twokey.cli.main import cli, guarded


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)

    @property
    def outcomes(self) -> dict[str, str]:
        """Each user's outcome."""
        return {one["user"]: one["outcome"] for one in self.document["results"]}


def twokey(*arguments: str) -> Ran:
    """Run ``twokey`` with these arguments."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = guarded(lambda standalone_mode: cli.main(list(arguments), "twokey", standalone_mode=standalone_mode))
    return Ran(code, out.getvalue(), err.getvalue())
