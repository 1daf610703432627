"""Identity tokens that a program of the CI system prints: CircleCI's command line, and Buildkite's agent.

Neither program gets a secret from twokey: the job's environment has what they need. The token comes through a pipe.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.oidc.claims import audiences, claims_of, unusable
from twokey.oidc.fixed import checked
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden

LONGEST = 30.0
"""Seconds that a program may take; the lease of a rotation must outlast it."""


class Buildkite:
    """Buildkite: the agent, which every job has on its PATH, requests a token for any audience."""

    name = "Buildkite"

    def __init__(self) -> None:
        if shutil.which("buildkite-agent") is None:
            raise UsageError(
                "This is a job of Buildkite, but the program buildkite-agent, which requests identity tokens, is not "
                "on the PATH.",
                remedy=self.remedy(""),
            )

    def fetch(self, audience: str, clock: Clock) -> Hidden:  # noqa: ARG002  the agent knows the time
        """Return a token for an audience; raises ``BadCredentials``."""
        return printed_by(
            ("buildkite-agent", "oidc", "request-token", "--audience", audience), self.name, self.remedy(audience)
        )

    def remedy(self, audience: str) -> str:  # noqa: ARG002  the agent accepts any
        """Return what to change so that the agent grants tokens."""
        return (
            "Run twokey where the agent's program and the job's BUILDKITE_* variables are: in a container, the plugin "
            "that starts it has to pass both on (docker: mount-buildkite-agent: true)."
        )


class CircleCI:
    """CircleCI: the token of the job if its audience suits, otherwise one that its command line requests."""

    name = "CircleCI"
    _variable = "CIRCLE_OIDC_TOKEN_V2"

    def __init__(self) -> None:
        if not environment.variable(self._variable) and shutil.which("circleci") is None:
            raise UsageError(
                f"This is a job of CircleCI, but it has neither {self._variable} nor the program circleci, which "
                "requests identity tokens.",
                remedy=self.remedy(""),
            )

    def fetch(self, audience: str, clock: Clock) -> Hidden:  # noqa: ARG002  the program knows the time
        """Return a token, for this audience if the program is there; raises ``BadCredentials``."""
        if text := environment.variable(self._variable):
            token = checked(text, self.name, self.remedy(audience))
            if audience in audiences(claims_of(token) or {}) or shutil.which("circleci") is None:
                return token
        claims = json.dumps({"aud": audience})
        return printed_by(("circleci", "run", "oidc", "get", "--claims", claims), self.name, self.remedy(audience))

    def remedy(self, audience: str) -> str:  # noqa: ARG002  the program accepts any
        """Return what to change so that the job can get tokens."""
        return (
            "Run twokey in a job with the program circleci on its PATH (`circleci run oidc get` requests a token for "
            "any audience), or let the service accept the audience of the job's own token, the organization's ID."
        )


def printed_by(command: Sequence[str], name: str, remedy: str) -> Hidden:
    """Run a program and return the token that it prints; raises ``BadCredentials``. Its stderr is discarded."""
    program = shutil.which(command[0])
    if program is None:
        raise unusable(name, f"there is no program {command[0]} on the PATH", remedy)
    try:
        completed = subprocess.run(  # noqa: S603  the CI system's own program
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"{command[0]} took longer than {LONGEST:.0f} s"
    except OSError as error:
        why = f"{command[0]}: {error.strerror or 'it cannot be run'}"
    else:
        if not completed.returncode:
            return checked(completed.stdout.decode(errors="replace"), name, remedy)
        why = f"{command[0]} ended with exit code {completed.returncode}"
    raise unusable(name, why, remedy)
