"""Cloudflare secrets: ``cloudflare-worker:ACCOUNT_ID/SCRIPT`` and ``cloudflare-pages:ACCOUNT_ID/PROJECT``.

Option of a Pages project: ``environment=production|preview``, by default ``production``.

Cloudflare shows the names of secrets and nothing else, so nothing confirms a delivery. One request changes any number
of secrets and leaves the others as they are (JSON Merge Patch, RFC 7396): id and secret change together, and a session
token is removed by another. A new version of a Worker is deployed at once; a deployment of Pages keeps the secrets that
it was made with.

A change of a Pages project that leaves out the hash of Wrangler's configuration removes it, so it is sent back.

Sources: Cloudflare's own TypeScript SDK, generated from its API description (``workers.scripts.secrets``: ``list``,
``bulkUpdate``; ``pages.projects``: ``get``, ``edit``); cloudflare/workers-sdk (``secret``, ``pages secret``: error
codes, what is sent back); "Limits", "Secrets", "API token permissions", "Rate limits", Cloudflare Docs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import Failed, ServiceRejected
from twokey.destinations.ci.merged_values import MergedValues
from twokey.destinations.ci.named_values import SHORTER, Shown
from twokey.destinations.ci.token_connection import TokenSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http.messages import Request
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http
    from twokey.http.messages import Response

PUBLIC = "https://api.cloudflare.com"
LIMITS = (Limit(1200, 300, writes_only=False),)
"""Requests of a user ("Rate limits")."""
LONGEST = 5 * 1024
"""Bytes of a secret ("Limits", Workers)."""
WORKER, PAGES = "cloudflare-worker", "cloudflare-pages"
ENVIRONMENTS = ("production", "preview")
PERMISSIONS = {
    WORKER: (Permission(service="Cloudflare", name="Workers Scripts: Edit", resource="account", grant="API token"),),
    PAGES: (Permission(service="Cloudflare", name="Cloudflare Pages: Edit", resource="account", grant="API token"),),
}
"""By scheme."""
_TARGET = re.compile(r"[0-9a-f]{32}/[A-Za-z0-9][A-Za-z0-9_-]{0,254}", re.ASCII)
_NOT_DEPLOYED = 10215
_BAD_TOKEN = {1000, 6003, 10001}
_DENIED_OR_BAD = 9109
"""Its message says which: "Invalid access token", or what the token may not do."""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Cloudflare allows no account, Worker, project or secret."""
    if not _TARGET.fullmatch(address.plain):
        what = "SCRIPT" if address.scheme == WORKER else "PROJECT"
        raise address.error(f"expected ACCOUNT_ID/{what}.", "The ID of an account is 32 hexadecimal digits.")
    address.allow(("connection", *formats.OPTIONS, *(("environment",) if address.scheme == PAGES else ())))
    address.one_of("environment", ENVIRONMENTS)
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.ENVIRONMENT)


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of a Worker or of a Pages project."""
    http = context.connection(address, CONNECTION)
    return Worker(address, http) if address.scheme == WORKER else Pages(address, http)


class _Named(msgspec.Struct):
    name: str


class _Listed(msgspec.Struct):
    result: list[_Named] | None = None


class _Environment(msgspec.Struct):
    """An environment of a Pages project. The values of its variables are not read."""

    env_vars: dict[str, Any] | None = None
    wrangler_config_hash: str | None = None


class _Project(msgspec.Struct):
    deployment_configs: dict[str, _Environment]


class _Found(msgspec.Struct):
    result: _Project


class Secrets(MergedValues):
    """Secrets of a Worker or of a Pages project."""

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self.pace = http.pace
        self._account, _, self._name = address.rest.partition("/")
        self._permission = phrase(PERMISSIONS[address.scheme])

    def preflight(self) -> None:
        """Raise if the Worker or project is missing, or the token may not see its secrets."""
        self._look()

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        for name, value in values.items():
            if len(value.encode()) > LONGEST:
                raise ServiceRejected(
                    f"{name} would have {len(value.encode())} bytes; a secret of Cloudflare has at most {LONGEST}.",
                    state="Nothing was written there.",
                    remedy=SHORTER,
                )

    def _request(self, method: str, path: str, description: str, body: Any = None) -> Request:
        """Return a request. Its response may hold the values of variables that are not secret."""
        return Request(
            method,
            f"/client/v4/accounts/{self._account}/{path}",
            description,
            body=body,
            mutates=body is not None,
            secret=True,
            permission=self._permission,
        )


class Worker(Secrets):
    """Secrets of a Worker."""

    def _look(self) -> Mapping[str, Shown]:
        request = self._request(
            "GET", f"workers/scripts/{self._name}/secrets", f"list the secrets of the Worker {self._name}"
        )
        listed = self._http.read(request, _Listed).result or []
        return {one.name: Shown() for one in listed if one.name in self.looked_for}

    def _merge(self, values: Mapping[str, Hidden | None], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        secrets = {
            name: None if value is None else {"name": name, "text": value, "type": "secret_text"}
            for name, value in values.items()
        }
        description = f"write {' and '.join(values)} of the Worker {self._name}"
        path = f"workers/scripts/{self._name}/secrets-bulk"
        self._http.request(self._request("PATCH", path, description, {"secrets": secrets}))


class Pages(Secrets):
    """Secrets of a Pages project, in one environment."""

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address, http)
        self._environment = address.options.get("environment", ENVIRONMENTS[0])
        self._path = f"pages/projects/{self._name}"

    def _look(self) -> Mapping[str, Shown]:
        return {name: Shown() for name in self._read().env_vars or {} if name in self.looked_for}

    def _read(self) -> _Environment:
        request = self._request("GET", self._path, f"read the Pages project {self._name}")
        found = self._http.read(request, _Found).result.deployment_configs
        return found.get(self._environment, _Environment())

    def _merge(self, values: Mapping[str, Hidden | None], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        config: dict[str, Any] = {
            "env_vars": {
                name: None if value is None else {"type": "secret_text", "value": value}
                for name, value in values.items()
            }
        }
        present = self._read().wrangler_config_hash
        if present is not None:
            config["wrangler_config_hash"] = present
        description = f"write {' and '.join(values)} of the Pages project {self._name}"
        self._http.request(
            self._request("PATCH", self._path, description, {"deployment_configs": {self._environment: config}})
        )


def _errors(response: Response) -> dict[int, str]:
    """Return the messages of a response by the code of their error."""
    found = response.json()
    errors = found.get("errors") if isinstance(found, dict) else None
    listed = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    return {one["code"]: str(one.get("message")) for one in listed if isinstance(one.get("code"), int)}


def _refuses_token(response: Response) -> bool:
    """Return whether a token was refused: 400, 401 or 403, with a code of its own."""
    errors = _errors(response)
    bad = bool(_BAD_TOKEN & {*errors}) or "Invalid access token" in errors.get(_DENIED_OR_BAD, "")
    return response.status in {400, 401, 403} and bad


def _explain(request: Request, response: Response) -> Failed | None:
    if _NOT_DEPLOYED in _errors(response):
        return ServiceRejected(
            f"Cloudflare cannot {request.description}: the latest version of the Worker is not deployed, and a new "
            "version with the secrets would be made from it.",
            state="Nothing was written there.",
            remedy="Deploy the latest version to all traffic, then run again.",
        )
    return None


CONNECTION = ConnectionKind(
    name="cloudflare",
    settings=TokenSettings,
    connect=connector("Cloudflare", PUBLIC, limits=LIMITS, explain=_explain, refuses_token=_refuses_token),
    environment={"token": ("CLOUDFLARE_API_TOKEN", "CF_API_TOKEN")},
)
KINDS = tuple(
    Kind(
        scheme=scheme,
        check=check,
        open=_open,
        connection=CONNECTION,
        default_options={"environment": ENVIRONMENTS[0]},
        permissions=permissions,
    )
    for scheme, permissions in PERMISSIONS.items()
)
