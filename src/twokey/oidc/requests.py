"""Identity tokens that a service of the CI system grants on request: GitHub Actions and Azure Pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from twokey.core.errors import BadCredentials, UsageError
from twokey.core.secret import Hidden
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.oidc.claims import unusable
from twokey.oidc.fixed import checked
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.ports import Clock

_PATIENCE = 60.0


class GitHubActions:
    """GitHub Actions: a job with the permission ``id-token: write`` requests a token for any audience."""

    name = "GitHub Actions"
    url_variable, token_variable = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

    def __init__(self) -> None:
        missing = [name for name in (self.url_variable, self.token_variable) if not environment.variable(name)]
        if missing:
            raise UsageError(
                f"This is a job of GitHub Actions, but it may not request identity tokens: {' and '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set.",
                remedy=self.remedy(""),
            )

    def fetch(self, audience: str, clock: Clock) -> Hidden:
        """Return a token for an audience; raises a ``ServiceError``."""
        path = _path(self.url_variable, {"audience": audience})
        request = Request("GET", path, "grant an identity token", mutates=False, secret=True)
        return _requested(self, request, "value", clock, self.remedy(audience))

    def remedy(self, audience: str) -> str:  # noqa: ARG002  any audience is granted
        """Return what to write into the workflow."""
        return (
            "Add permissions: {id-token: write} to the job; in a reusable workflow also to the job that calls it. "
            "Jobs of pull requests from forks get no identity tokens."
        )


class AzurePipelines:
    """Azure Pipelines: a job requests a token in the name of a service connection, for Entra's audience."""

    name = "Azure Pipelines"
    url_variable, token_variable = "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"
    _connection = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"

    def __init__(self) -> None:
        missing = [
            name
            for name in (self.url_variable, self.token_variable, self._connection)
            if not environment.variable(name)
        ]
        if missing:
            raise UsageError(
                f"This is a job of Azure Pipelines, but it may not request identity tokens: {' and '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set.",
                remedy=self.remedy(""),
            )

    def fetch(self, audience: str, clock: Clock) -> Hidden:
        """Return a token for Entra's audience; raises a ``ServiceError``."""
        query = {"api-version": "7.1", "serviceConnectionId": environment.variable(self._connection)}
        request = Request(
            "POST",
            _path(self.url_variable, query),
            "grant an identity token",
            headers={"Content-Type": "application/json", "X-TFS-FedAuthRedirect": "Suppress"},
            mutates=False,
            secret=True,
        )
        return _requested(self, request, "oidcToken", clock, self.remedy(audience))

    def remedy(self, audience: str) -> str:
        """Return what to write into the pipeline."""
        other = "" if audience in ("", ENTRA) else f" Tokens of Azure Pipelines are for the audience {ENTRA} only."
        return (
            f"Run twokey in a task with an Azure service connection (AzureCLI@2), which sets {self._connection}, and "
            f"map the token into its environment: env: {{{self.token_variable}: $(System.AccessToken)}}.{other}"
        )


ENTRA = "api://AzureADTokenExchange"
"""The audience of a token that Microsoft Entra accepts from another identity provider."""


def _path(variable: str, query: Mapping[str, str]) -> str:
    """Return the path of the URL in a variable, its query extended."""
    parts = urlsplit(environment.variable(variable))
    return f"{parts.path}?{urlencode([*parse_qsl(parts.query), *query.items()])}"


def _requested(
    system: GitHubActions | AzurePipelines, request: Request, member: str, clock: Clock, remedy: str
) -> Hidden:
    """Send a request for a token, and return the member of the response that is the token."""
    parts = urlsplit(environment.variable(system.url_variable))
    secret = Hidden(environment.variable(system.token_variable))
    http = Http(
        system.name,
        f"{parts.scheme}://{parts.netloc}",
        clock,
        headers=lambda: {"Authorization": f"Bearer {secret}"},
        patience=_PATIENCE,
    )
    response = http.send(request)
    if response.status in {400, 401, 403, 404}:
        raise BadCredentials(
            f"{system.name} grants no identity token ({response.status}).", state="Nothing was sent.", remedy=remedy
        )
    if not response.good:
        raise http.verdicts.error_of(request, response)
    found = response.json()
    text = found.get(member) if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise unusable(system.name, f"its response has no {member}", remedy)
    return checked(text, system.name, remedy)
