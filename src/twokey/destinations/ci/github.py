"""GitHub secrets: ``github:OWNER/REPOSITORY`` and ``github:ORGANIZATION``.

Options: ``environment=NAME`` (of a repository), ``set=actions|dependabot|codespaces``; for an organization also
``visibility=private|all|selected`` and ``repositories=A,B``, which apply only when a secret is created: an existing
secret keeps its visibility.

GitHub never shows a secret again. What it shows is when each was written, which is the stamp of a delivery. A value is
sealed for GitHub before it leaves this process (a libsodium sealed box), so that nothing on the way can read it.

Sources: "REST API endpoints for GitHub Actions secrets", "… for Dependabot secrets", "… for Codespaces", "Using secrets
in GitHub Actions" (names, sizes), "Enterprise Managed Users" (the names of accounts), GitHub Docs.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twokey.core.errors import ServiceRejected
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import Kind, Permission, phrase
from twokey.destinations.logins.github import CONNECTION, archived
from twokey.http import paging
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.destinations.logins.github import GitHub

LONGEST = 48 * 1024
"""Bytes of a secret ("Using secrets in GitHub Actions", limits)."""
SETS = ("actions", "dependabot", "codespaces")
VISIBILITIES = ("private", "all", "selected")
NAMES = replace(formats.ENVIRONMENT, forbidden=("GITHUB_",), case_insensitive=True)
_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})"
"""Accounts of Enterprise Managed Users end in an underscore and the enterprise's short code."""
_TARGET = re.compile(rf"{_OWNER}(/[A-Za-z0-9._-]{{1,100}})?", re.ASCII)
_PAGE = 100
_CLASSIC, _FINE_GRAINED = "classic token", "fine-grained token or GitHub App"


def _permissions(resource: str, classic: str, names: Mapping[str, str]) -> tuple[Permission, ...]:
    """Return the scope of a classic token for a resource, and the permission that stands for it, by condition."""
    return (
        Permission(service="GitHub", name=classic, resource=resource, type="scope", grant=_CLASSIC),
        *(
            Permission(service="GitHub", name=f"{name}: write", resource=resource, grant=_FINE_GRAINED, condition=when)
            for when, name in names.items()
        ),
    )


PERMISSIONS = (
    *_permissions(
        "repository",
        "repo",
        {
            "set=actions": "Secrets",
            "set=dependabot": "Dependabot secrets",
            "set=codespaces": "Codespaces secrets",
        },
    ),
    *_permissions("environment", "repo", {"environment=": "Environments"}),
    *_permissions(
        "organization",
        "admin:org",
        {
            "set=actions": "Secrets",
            "set=dependabot": "Organization Dependabot secrets",
            "set=codespaces": "Organization Codespaces secrets",
        },
    ),
    *(
        Permission(service="GitHub", name="Metadata: read", resource=resource, uses=("read",), grant=_FINE_GRAINED)
        for resource in ("repository", "environment")
    ),
)


_NAMES_FOR_APPS = {
    ("repository", "Secrets"): "secrets",
    ("repository", "Dependabot secrets"): "dependabot_secrets",
    ("environment", "Environments"): "environments",
    ("organization", "Secrets"): "organization_secrets",
}
"""GitHub's API description lists these; for the others, only GitHub's own refusal says what is missing."""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that GitHub allows no repository, organization, environment or secret."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected OWNER/REPOSITORY or ORGANIZATION.")
    organization = "/" not in address.rest
    address.allow(("connection", "set", *formats.OPTIONS, *(_OF_ORGANIZATIONS if organization else ("environment",))))
    if address.one_of("set", SETS) != "actions" and "environment" in address.options:
        raise address.error("an environment has Actions secrets only.", "Remove set=, or environment=.")
    if (address.one_of("visibility", VISIBILITIES) == "selected") != ("repositories" in address.options):
        raise address.error("visibility=selected and repositories=A,B need each other.", "Set both, or neither.")
    _format(address)


_OF_ORGANIZATIONS = ("visibility", "repositories")


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of a repository, an environment or an organization."""
    return Secrets(address, context.connection(address, CONNECTION), context.claims)


class Secrets(NamedValues):
    """Secrets of one repository, environment or organization."""

    confirms = "timestamp"

    def __init__(self, address: Address, github: GitHub, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self.value_names = tuple(name.upper() for name in self.value_names)
        self._github = github
        self._http = github.http(address.rest)
        self.pace = self._http.pace
        self._options = address.options
        self._target = address.rest
        self._organization = "/" not in address.rest
        kind = address.options.get("set", "actions")
        environment = address.options.get("environment")
        resource = "organization" if self._organization else "repository" if environment is None else "environment"
        self._needed = _needed(kind, resource)
        self._permission = phrase(self._needed)
        self._base = f"/orgs/{address.rest}" if self._organization else f"/repos/{address.rest}"
        inner = f"environments/{quote(environment, safe='')}" if environment is not None else kind
        self._prefix = f"{self._base}/{inner}/secrets"
        self._claims = claims
        self._inner = inner
        self._seen_by: dict[str, dict[str, Any]] = {}

    def preflight(self) -> None:
        """Raise if the repository is missing or archived, an App lacks a permission, or the token sees no secrets."""
        self._github.refuse_lacking(self._target, _of_apps(self._needed), f"write the secrets of {self._target}")
        if not self._organization:
            found = self._http.request(self._request("GET", self._base, f"see {self._target}", mutates=False)).json()
            self._claim(str(found["full_name"]))
            if found.get("archived"):
                raise archived(self._target)
        self._github.public_key(self._http, self._prefix, self._permission)

    def _look(self) -> Mapping[str, Shown]:
        """Return when each was written. A repository has at most 100 secrets: one page; an organization has more."""
        if self._organization:
            requests = {
                name: self._request("GET", f"{self._prefix}/{name}", f"see {name}", mutates=False)
                for name in self.looked_for
            }
            found = {
                name: response.json() for name, request in requests.items() if (response := self._http.find(request))
            }
            if not found:
                # 404 is also the response if the organization does not exist, or the token may not see it.
                description = f"see the secrets of {self._target}"
                self._http.request(self._request("GET", f"{self._prefix}/public-key", description, mutates=False))
            return {name: Shown(stamp=str(one["updated_at"])) for name, one in found.items()}
        request = self._request(
            "GET", f"{self._prefix}?per_page={_PAGE}", f"list the secrets of {self._target}", mutates=False
        )
        response = self._http.request(request)
        self._claim(self._present_name() if response.moved_to else self._target)
        listed = {str(one["name"]): one for one in response.json()["secrets"]}
        # GitHub stores names in uppercase.
        return {
            name: Shown(stamp=str(listed[name.upper()]["updated_at"]))
            for name in self.looked_for
            if name.upper() in listed
        }

    def _present_name(self) -> str:
        """Return the present name of a repository that was renamed."""
        request = self._request("GET", self._base, f"see {self._target}", mutates=False)
        return str(self._http.request(request).json()["full_name"])

    def _claim(self, name: str) -> None:
        """Refuse a repository that another URL of this run reaches by another name."""
        self._claims.claim(self.name, self._http.url, f"{name.lower()} {self._inner}", self.value_names)

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        """Check the sizes; read the key to seal with, and who may see an organization's secrets."""
        for name, value in values.items():
            if len(value.encode()) > LONGEST:
                raise ServiceRejected(
                    f"{name} would have {len(value.encode())} bytes; a GitHub secret has at most {LONGEST}.",
                    state="Nothing was written there.",
                    remedy=SHORTER,
                )
        self._github.public_key(self._http, self._prefix, self._permission)
        self._seen_by = {name: self._visibility(name, before.get(name)) for name in values}

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no field for a note
        key_id, key = self._github.public_key(self._http, self._prefix, self._permission)
        body = {"encrypted_value": _sealed(value, key), "key_id": key_id, **self._seen_by[name]}
        request = self._request(
            "PUT", f"{self._prefix}/{name}", f"write the secret {name} of {self._target}", body=body
        )
        try:
            self._http.request(request)
        except ServiceRejected:
            self._github.forget_key(self._prefix)
            raise

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        self._http.find(
            self._request("DELETE", f"{self._prefix}/{name}", f"remove the secret {name} of {self._target}")
        )

    def _visibility(self, name: str, before: Shown | None) -> dict[str, Any]:
        """Return who may see an organization's secret: a write that leaves it out would change it."""
        if not self._organization:
            return {}
        if before is None:
            visibility = self._options.get("visibility", VISIBILITIES[0])
            chosen = self._options.get("repositories", "").split(",") if visibility == "selected" else []
            return {"visibility": visibility, **_selected([self._repository(one.strip()) for one in chosen])}
        request = self._request("GET", f"{self._prefix}/{name}", f"see {name}", mutates=False)
        visibility = self._http.request(request).json()["visibility"]
        return {"visibility": visibility, **_selected(self._repositories(name) if visibility == "selected" else [])}

    def _repositories(self, name: str) -> list[int]:
        """Return the IDs of all repositories that may see a secret."""

        total = 0

        def page(number: int) -> list[dict[str, Any]]:
            nonlocal total
            path = f"{self._prefix}/{name}/repositories?per_page={_PAGE}&page={number}"
            request = self._request("GET", path, f"list the repositories that see {name}", mutates=False)
            body = self._http.request(request).json()
            total = int(body["total_count"])
            found: list[dict[str, Any]] = body["repositories"]
            return found

        seen = list(dict.fromkeys(int(one["id"]) for one in paging.numbered(page, _PAGE)))
        if len(seen) != total:
            raise ServiceRejected(
                f"{total} repositories may see {name} of {self._target}, but GitHub shows {len(seen)} of them to "
                "twokey's token: a write would take the secret away from the others.",
                state="Nothing was written there.",
                remedy="Give the token, or the installation of the GitHub App, access to all repositories of "
                f"{self._target}.",
            )
        return seen

    def _repository(self, name: str) -> int:
        path = f"/repos/{self._target}/{name}"
        return int(
            self._http.request(self._request("GET", path, f"see {self._target}/{name}", mutates=False)).json()["id"]
        )

    def _request(self, method: str, path: str, description: str, *, body: Any = None, mutates: bool = True) -> Request:
        return Request(method, path, description, body=body, mutates=mutates, permission=self._permission)


def _sealed(value: Hidden, key: bytes) -> str:
    """Return the value in a libsodium sealed box, which only GitHub can open."""
    from nacl.public import PublicKey, SealedBox

    return base64.b64encode(SealedBox(PublicKey(key)).encrypt(value.encode())).decode()


def _selected(ids: list[int]) -> dict[str, Any]:
    return {"selected_repository_ids": ids} if ids else {}


def _needed(kind: str, resource: str) -> tuple[Permission, ...]:
    """Return the permissions that a token needs for one of ``SETS`` on a resource."""
    conditions = {"", "environment=", f"set={kind}"}
    return tuple(one for one in PERMISSIONS if one.resource == resource and one.condition in conditions)


def _of_apps(needed: tuple[Permission, ...]) -> dict[str, str]:
    """Return the permissions that an App needs to write, by the names that GitHub's API has for them."""
    named = {(one.resource, one.name.removesuffix(": write")): one for one in needed if one.name.endswith(": write")}
    return {_NAMES_FOR_APPS[key]: key[1] for key in named if key in _NAMES_FOR_APPS}


KIND = Kind(
    scheme="github",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    non_identifying_options=("visibility", "repositories"),
    default_options={"set": SETS[0]},
    permissions=PERMISSIONS,
)
