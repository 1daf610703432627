"""Where identity tokens come from: the CI system that twokey runs in, an environment variable, a file.

``token`` is all that a caller needs: it finds the CI system and returns a token for an audience. ``find`` finds the
source alone and calls nothing, so that a configuration can be checked early. Some systems grant a token for any
audience on request. Others put one token into a variable before the job starts: then only its own audiences can be had,
and the error says what to write into the job's definition.

Sources: "OpenID Connect reference" (GitHub Docs), "OpenID Connect (OIDC) Authentication Using ID Tokens" (GitLab Docs),
"OIDC tokens with custom claims" (CircleCI Docs), "buildkite-agent oidc" (Buildkite Documentation), "Integrate Pipelines
with resource servers using OIDC" (Atlassian Support), "Bitbucket Pipelines OIDC now supports multiple audiences"
(Atlassian), the class AzurePipelinesCredential of the PyPI package azure-identity, "Manually Generating Workload
Identity Tokens" (HCP Terraform).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twokey.core.errors import UsageError
from twokey.oidc import fixed, programs, requests
from twokey.oidc.claims import refuse_unsuitable
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden


class TokenSource(Protocol):
    """A source of identity tokens."""

    @property
    def name(self) -> str:
        """How messages name it: ``GitHub Actions``, ``the file /var/run/token``."""
        ...

    def fetch(self, audience: str, clock: Clock) -> Hidden:
        """Return a token, if possible for this audience; raises a ``ServiceError``."""
        ...

    def remedy(self, audience: str) -> str:
        """Return what to change so that this source has a token for this audience."""
        ...


SYSTEMS: tuple[tuple[str, Callable[[str], TokenSource]], ...] = (
    ("GITHUB_ACTIONS", lambda _: requests.GitHubActions()),
    ("GITLAB_CI", fixed.GitLab),
    ("CIRCLECI", lambda _: programs.CircleCI()),
    ("BUILDKITE", lambda _: programs.Buildkite()),
    ("BITBUCKET_BUILD_NUMBER", fixed.Bitbucket),
    ("TF_BUILD", lambda _: requests.AzurePipelines()),
    ("TFC_RUN_ID", fixed.HcpTerraform),
    ("TFC_WORKLOAD_IDENTITY_TOKEN", fixed.HcpTerraform),
)
"""The environment variables by which a job recognizes its CI system, and what each system's tokens come
from for an audience."""


def find(audience: str = "", *, variable: str = "", file: str = "") -> TokenSource:
    """Return the named source, or the CI system that this runs in; raises ``UsageError``. Nothing is called.

    ``audience``: for which a token will be fetched, for the message about a job whose definition requests none.
    """
    if variable:
        return fixed.Variable(variable)
    if file:
        return fixed.File(file)
    for sign, system in SYSTEMS:
        if environment.variable(sign):
            return system(audience)
    raise UsageError(
        "No source of identity tokens was found: this does not run in a job of a CI system that twokey knows.",
        remedy="Name the file that contains the token: --web-identity FILE, or for a connection `file` (or `env`, the "
        "environment variable) beside `oidc`. twokey knows GitHub Actions, GitLab CI/CD, CircleCI, Buildkite, "
        "Bitbucket Pipelines, Azure Pipelines and HCP Terraform.",
    )


def token(audience: str, clock: Clock, *, variable: str = "", file: str = "") -> Hidden:
    """Return a valid identity token for an audience, from the named source or the CI system that this runs in.

    Raises ``UsageError`` if there is no source or it is not set up, and a ``ServiceError`` (``BadCredentials`` above
    all) if it grants no token, or one that has ended or is for another audience.
    """
    return token_from(find(audience, variable=variable, file=file), audience, clock)


def token_from(source: TokenSource, audience: str, clock: Clock) -> Hidden:
    """Return a valid token of a source that ``find`` returned; raises as ``token`` does."""
    found = source.fetch(audience, clock)
    refuse_unsuitable(found, audience, clock, source.name, source.remedy(audience))
    return found
