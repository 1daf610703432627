"""What stands behind each destination besides its fake: the one table that README, pages and tests are held to.

A page that is not named here has a fake alone, or files and programs of this machine.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
REQUIREMENTS = TESTS.parent / "requirements" / "clients"
LOCAL = {"credentials-file", "dotenv", "exec", "file", "json"}
"""Pages without a service behind them."""


@dataclass(frozen=True)
class Client:
    """A client of a service, by the name of its package.

    ``program`` uses it, in ``tests/clients/programs`` (empty: the tests start the client itself). ``imports`` is what
    the program has to import. ``of``: whose own client it is, if it is the service's. ``compares``: its requests are
    compared with twokey's; otherwise it reads what twokey wrote.
    """

    package: str
    program: str
    imports: str
    pages: tuple[str, ...]
    of: str = ""
    compares: bool = True
    npm: bool = False

    @property
    def shown(self) -> str:
        """Return the name and the version that a page shows."""
        version = ".".join(locked(self).split(".")[:2])
        named = f"npm's `{self.package}`" if self.npm and "/" not in self.package else f"`{self.package}`"
        return f"{named} {version}" + (f" by {self.of}" if self.of else "")


CLIENTS = (
    Client("@octokit/rest", "octokit.mjs", "@octokit/rest", ("github",), of="GitHub", npm=True),
    Client("pygithub", "pygithub", "github", ("github",)),
    Client("python-gitlab", "python_gitlab", "gitlab", ("gitlab",)),
    Client("atlassian-python-api", "atlassian", "atlassian.bitbucket", ("bitbucket",)),
    Client("azure-devops", "azure_devops", "azure.devops", ("azure-devops",), of="Microsoft"),
    Client("pytfe", "pytfe_client", "pytfe", ("hcp-terraform",), of="HashiCorp"),
    Client("api4jenkins", "api4jenkins_client", "api4jenkins", ("jenkins",)),
    Client("azure-keyvault-secrets", "azure_keyvault", "azure.keyvault.secrets", ("azure-keyvault",), of="Microsoft"),
    Client("azure-identity", "azure_keyvault", "azure.identity", ("azure-keyvault",), of="Microsoft"),
    Client(
        "google-cloud-secret-manager",
        "google_secret_manager",
        "google.cloud.secretmanager_v1",
        ("gcp-secretmanager",),
        of="Google",
    ),
    Client("google-auth", "google_auth", "google.auth", ("gcp-secretmanager",), of="Google"),
    Client("kubernetes", "kubernetes_client", "kubernetes.client", ("kubernetes",), of="Kubernetes"),
    Client("onepasswordconnectsdk", "onepassword", "onepasswordconnectsdk", ("onepassword",), of="1Password"),
    Client("doppler-sdk", "doppler", "dopplersdk", ("doppler",), of="Doppler"),
    Client("hvac", "hvac_client", "hvac", ("vault",)),
    Client("pycircleci", "circleci", "pycircleci.api", ("circleci",)),
    Client("@netlify/api", "netlify.mjs", "@netlify/api", ("netlify",), of="Netlify", npm=True),
    Client("gitea-js", "gitea.mjs", "gitea-js", ("gitea",), npm=True),
    Client("standardwebhooks", "local", "standardwebhooks", ("webhook",), of="Standard Webhooks", compares=False),
    Client("python-dotenv", "local", "dotenv", ("dotenv",), compares=False),
    Client("dotenv", "local.mjs", "dotenv", ("dotenv",), compares=False, npm=True),
    Client(
        "standardwebhooks",
        "local.mjs",
        "standardwebhooks",
        ("webhook",),
        of="Standard Webhooks",
        compares=False,
        npm=True,
    ),
    Client("awscli", "", "", ("credentials-file", "secretsmanager", "ssm"), of="AWS", compares=False),
    Client(
        "@aws-sdk/client-sts",
        "sts.mjs",
        "@aws-sdk/client-sts",
        ("credentials-file",),
        of="AWS",
        compares=False,
        npm=True,
    ),
)
DESCRIPTIONS = {
    "github": ("GitHub's own", "api/test_github.py"),
    "netlify": ("Netlify's own", "api/test_netlify.py"),
    "kubernetes": ("Kubernetes' own schemas of its objects", "api/test_kubernetes.py"),
    "gitlab": ("this project's, written from what GitLab publishes", "api/test_gitlab.py"),
    "vault": ("this project's, written from what HashiCorp publishes", "api/test_vault.py"),
    "secretsmanager": ("AWS's own, from which botocore makes each request", "emulator/test_secrets_manager.py"),
    "ssm": ("AWS's own, from which botocore makes each request", "emulator/test_ssm.py"),
}
"""By page: what Prism (of AWS: botocore) holds requests and the fake's responses to, and the tests that do so."""
SERVERS = {"vault": ("OpenBao", "destinations/stores/test_openbao.py")}
"""By page: a real server of the service, and the tests that run against it."""


def locked(client: Client) -> str:
    """Return the version of a client that the lock names."""
    if client.npm:
        packages = json.loads((REQUIREMENTS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        return str(packages[f"node_modules/{client.package}"]["version"])
    found = re.search(
        rf"^{client.package}==(\S+)", (REQUIREMENTS / "python.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found, client.package
    return found[1]


def clients_of(page: str) -> list[Client]:
    """Return the clients behind a page."""
    return [one for one in CLIENTS if page in one.pages]


def server_of(page: str) -> str:
    """Return the real server behind a page, or nothing."""
    return SERVERS.get(page, ("",))[0]


def sentence(page: str) -> str:
    """Return what a destination's page says about it."""
    server = server_of(page) or ("there is no service" if page in LOCAL else "none")
    comparing, reading = (
        ", ".join(one.shown for one in clients_of(page) if one.compares == compares) for compares in (True, False)
    )
    clients = [f"**Clients that others wrote**, compared request by request on the same fake: {comparing}."]
    if not comparing:
        clients = [f"**Clients that others wrote**, which read the result: {reading}."] if reading else []
    if not clients:
        clients = ["**Clients that others wrote:** none."]
    described = [] if page in LOCAL else [f"**API description:** {DESCRIPTIONS.get(page, ('none',))[0]}."]
    return " ".join([f"**Real server:** {server}.", *clients, *described])


def rows() -> list[str]:
    """Return the table of README: the pages that have more than a fake or the machine's own files behind them."""
    pages = sorted({page for one in CLIENTS for page in one.pages} | DESCRIPTIONS.keys() | SERVERS.keys())
    return [
        f"| [`{page}`](docs/reference/destinations/{page}.md) | {server_of(page) or 'none'} "
        f"| {', '.join(one.shown for one in clients_of(page)) or 'none'} | {DESCRIPTIONS.get(page, ('none',))[0]} |"
        for page in pages
    ]
