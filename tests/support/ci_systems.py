"""The CI systems of the tests: what a job of each finds in its environment, and where it asks for identity tokens."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIGNS = (
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "CIRCLECI",
    "BUILDKITE",
    "BITBUCKET_BUILD_NUMBER",
    "TF_BUILD",
    "TFC_RUN_ID",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
)
REQUEST_TOKEN = "request-token-of-the-job"
ENTRA = "api://AzureADTokenExchange"


def jwt(audience: str | list[str], end: float | None = None, **claims: object) -> str:
    """Return a JSON Web Token whose signature is not valid."""
    found = {"aud": audience, **({} if end is None else {"exp": end}), **claims}
    parts = (json.dumps({"alg": "RS256"}), json.dumps(found), "signature")
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


class TokenService(FakeService):
    """What grants the identity tokens of GitHub Actions and of Azure Pipelines. ``granted`` are those it granted.

    GitHub grants a token for the audience of the query, in ``value``; Azure one for Entra, in ``oidcToken``, in the
    name of a service connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self.granted: list[str] = []
        self.claims: dict[str, Any] = {}

    def authorize(self, request: ReceivedRequest) -> None:
        if request.headers.get("Authorization", "").lower() != f"bearer {REQUEST_TOKEN}":
            raise Refusal(401, {"message": f"{request.headers.get('Authorization')} is unknown"})

    @route("GET", r"/actions/idtoken")
    def github(self, request: ReceivedRequest) -> Reply:
        if request.query.get("api-version") != "2.0":
            raise Refusal(400, {"message": "no api-version"})
        return Reply(200, {"count": 1, "value": self._grant(request.query.get("audience", "https://github.com/acme"))})

    @route("POST", r"/acme/_apis/oidctoken")
    def azure(self, request: ReceivedRequest) -> Reply:
        if request.query.get("serviceConnectionId") != "5d5a" or "api-version" not in request.query:
            raise Refusal(400, {"message": "no service connection"})
        return Reply(200, {"oidcToken": self._grant(ENTRA)})

    def _grant(self, audience: str) -> str:
        self.granted.append(jwt(audience, number=len(self.granted), **self.claims))
        return self.granted[-1]

    def github_job(self) -> dict[str, str]:
        """Return what a job of GitHub Actions with ``id-token: write`` finds in its environment."""
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/actions/idtoken?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }

    def azure_job(self) -> dict[str, str]:
        """Return what a task of Azure Pipelines with a service connection finds in its environment."""
        return {
            "TF_BUILD": "True",
            "SYSTEM_OIDCREQUESTURI": f"{self.url}/acme/_apis/oidctoken",
            "SYSTEM_ACCESSTOKEN": REQUEST_TOKEN,
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "5d5a",
        }


def become(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Be a job with these variables, and with those of no other CI system."""
    for name in SIGNS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def program(folder: Path, name: str, body: str) -> None:
    """Make a program that runs a body in Python, its arguments in ``args``."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -S\nimport sys\nargs = sys.argv[1:]\n{body}\n", encoding="utf-8")
    path.chmod(0o700)
