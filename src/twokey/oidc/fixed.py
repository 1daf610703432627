"""Identity tokens that exist before twokey starts: in an environment variable of the job, or in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.oidc.claims import unusable
from twokey.system import environment

if TYPE_CHECKING:
    from twokey.core.ports import Clock

LONGEST = 64 << 10
GITLAB_VARIABLE = "TWOKEY_ID_TOKEN"
"""GitLab has no standard name: the job's definition names the variable."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that the operator names. ``wanted``: the audience that its token is to have."""

    variable: str
    wanted: str = ""

    def __post_init__(self) -> None:
        if not environment.variable(self.variable):
            raise UsageError(
                f"The environment variable {self.variable} is not set: it has to contain an identity token.",
                remedy=self.remedy(self.wanted),
            )

    @property
    def name(self) -> str:
        """How messages name the source."""
        return f"the environment variable {self.variable}"

    def fetch(self, audience: str, clock: Clock) -> Hidden:  # noqa: ARG002  the token exists already
        """Return the token."""
        return checked(Hidden(environment.variable(self.variable)), self.name, self.remedy(audience))

    def remedy(self, audience: str) -> str:
        """Return what to change so that the variable contains a token for this audience."""
        return f"Set {self.variable} to a token{_for(audience)}, or name another variable."


@dataclass(frozen=True, slots=True)
class File:
    """A file that another program replaces before its token ends, such as a projected volume of Kubernetes."""

    path: str

    def __post_init__(self) -> None:
        if not Path(self.path).is_file():
            raise UsageError(
                f"There is no file {self.path}: it has to contain an identity token.", remedy=self.remedy("")
            )

    @property
    def name(self) -> str:
        """How messages name the source."""
        return f"the file {self.path}"

    def fetch(self, audience: str, clock: Clock) -> Hidden:  # noqa: ARG002  the token exists already
        """Read the token, each time again; raises ``BadCredentials``."""
        try:
            with Path(self.path).open(encoding="utf-8") as stream:
                text = Hidden(stream.read(LONGEST))
        except OSError as error:
            why = error.strerror or "it cannot be read"
        except UnicodeDecodeError:
            why = "it is not text"
        else:
            return checked(text, self.name, self.remedy(audience))
        raise unusable(self.name, why, self.remedy(audience))

    def remedy(self, audience: str) -> str:
        """Return what to change so that the file contains a token for this audience."""
        return f"Let the program that writes {self.path} request a token{_for(audience)}, or name another file."


class GitLab(Variable):
    """GitLab CI/CD: ``id_tokens`` in the job's definition sets a variable for each audience."""

    def __init__(self, wanted: str = "") -> None:
        super().__init__(GITLAB_VARIABLE, wanted)

    def remedy(self, audience: str) -> str:
        """Return what to write into .gitlab-ci.yml."""
        return (
            f"Add id_tokens: {{{self.variable}: {{aud: {audience or 'AUDIENCE'}}}}} to the job in .gitlab-ci.yml. "
            "A connection of twokey.yaml can name another variable (`env`)."
        )


class Bitbucket(Variable):
    """Bitbucket Pipelines: one token for each step, for all audiences that the step's definition lists."""

    def __init__(self, wanted: str = "") -> None:
        super().__init__("BITBUCKET_STEP_OIDC_TOKEN", wanted)

    def remedy(self, audience: str) -> str:
        """Return what to write into bitbucket-pipelines.yml."""
        return f"Add oidc: {{audiences: [{audience or 'AUDIENCE'}]}} to the step in bitbucket-pipelines.yml."


class HcpTerraform(Variable):
    """HCP Terraform: one token for each run, for the audience that a variable of the workspace names."""

    def __init__(self, wanted: str = "") -> None:
        super().__init__("TFC_WORKLOAD_IDENTITY_TOKEN", wanted)

    def remedy(self, audience: str) -> str:
        """Return which variable the workspace needs."""
        return (
            f"Set the environment variable TFC_WORKLOAD_IDENTITY_AUDIENCE of the workspace to {audience or 'AUDIENCE'}."
        )


def checked(text: Hidden, name: str, remedy: str) -> Hidden:
    """Return a token without the white space around it; raises ``BadCredentials`` for text that cannot be one."""
    token = Hidden(text.strip())
    if not token:
        raise unusable(name, "it is empty", remedy)
    if any(not 32 < ord(character) < 127 for character in token):
        raise unusable(name, "it contains a character that a token cannot have, such as a line break", remedy)
    return token


def _for(audience: str) -> str:
    return f" for the audience {audience}" if audience else ""
