"""Netlify environment variables: ``netlify:TEAM/SITE_ID`` of a site, ``netlify:TEAM`` of all sites of a team.

Option: ``context=``, the deploy context whose value is written, by default ``production``. A variable has one value for
all contexts, or one for each: it is never changed from one form to the other, since that would take the value from
another context.

New variables are secret, except in the contexts ``all`` and ``dev``, which have no secrets; their values are shown. Of
a secret variable Netlify shows when it was last updated, which is the stamp of a delivery. An update is one request for
each variable and leaves its other contexts alone. Deployments keep the values that they were made with.

Netlify reserves the names of AWS Lambda, those of AWS's own variables among them, so the default names are others.

Sources: Netlify's own API description (``getEnvVars``, ``createEnvVars``, ``setEnvVarValue``, ``deleteEnvVarValue``);
"Environment variables overview", "Environment variables and functions", "Secrets Controller", "Get started with the
Netlify API" (rate limits), Netlify Docs; netlify/cli (``env:set``: contexts and scopes of secrets).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.ci.token_connection import TokenSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http.messages import Request
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

PUBLIC = "https://api.netlify.com"
LIMITS = (Limit(500, 60, writes_only=False),)
"""Requests of a token ("Get started with the Netlify API")."""
CONTEXTS = ("production", "deploy-preview", "branch-deploy", "dev", "all")
_OPEN = ("dev", "all")
"""The contexts that have no secret values."""
_SCOPES = ("builds", "functions", "runtime")
"""The scopes that a secret variable may have."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Za-z][A-Za-z0-9_]*",
    allowed="letters, digits and underscores, beginning with a letter",
    forbidden=("AWS_", "LAMBDA_"),
    id="MY_AWS_ACCESS_KEY_ID",
    secret="MY_AWS_SECRET_ACCESS_KEY",  # noqa: S106  the name of a variable
    name="MY_AWS_CREDENTIALS",
)
PERMISSIONS = (
    Permission(service="Netlify", name="Developer", resource="team", type="role", grant="personal access token"),
)
_NEEDED = phrase(PERMISSIONS)
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TARGET = re.compile(rf"[a-z0-9][a-z0-9_-]*(/{_UUID})?", re.ASCII)


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Netlify allows no team, site, context or variable."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected TEAM/SITE_ID or TEAM.", "The ID of a site is a UUID, in its settings.")
    address.allow(("connection", "context", *formats.OPTIONS))
    address.one_of("context", CONTEXTS)
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Variables:
    """Return the variables of a site or a team."""
    return Variables(address, context.connection(address, CONNECTION), context.claims)


class _Value(msgspec.Struct):
    id: str
    context: str
    value: str = ""


class _Variable(msgspec.Struct):
    key: str
    values: list[_Value] = msgspec.field(default_factory=list)
    is_secret: bool = False
    updated_at: str = ""


class Variables(NamedValues):
    """Variables of one site or team, in one deploy context."""

    confirms = "timestamp"

    def __init__(self, address: Address, http: Http, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self._claims = claims
        self.pace = http.pace
        self._target = address.rest
        self._context = address.options.get("context", CONTEXTS[0])
        team, _, site = address.rest.partition("/")
        self._base = f"/api/v1/accounts/{team}/env"
        self._site = f"?site_id={site}" if site else ""
        self._existing: frozenset[str] = frozenset()

    def preflight(self) -> None:
        """Raise if the site is missing, or a variable has its values in the other form."""
        self.check_content(self._look())

    def _look(self) -> Mapping[str, Shown]:
        ours = [one for one in self._listed() if one.key in self.looked_for]
        for one in ours:
            self._refuse_other_form(one)
            for value in one.values:
                if value.context == self._context:
                    # A team has a slug and an ID; a value has its ID alone.
                    self._claims.claim(self.name, self._http.url, f"the value {value.id}", (one.key,))
        self._existing = frozenset(one.key for one in ours)
        return {
            one.key: Shown(
                value=None if one.is_secret else Hidden(value.value), stamp=one.updated_at or "", id=value.id
            )
            for one in ours
            for value in one.values
            if value.context == self._context
        }

    def _listed(self) -> list[_Variable]:
        # The response holds the values of variables that are not secret.
        request = self._request("GET", "", f"list the variables of {self._target}")
        return self._http.read(request, list[_Variable])

    def _refuse_other_form(self, one: _Variable) -> None:
        contexts = {value.context for value in one.values}
        if not contexts or ("all" in contexts) == (self._context == "all"):
            return
        has = "one value for all contexts" if "all" in contexts else f"values for {', '.join(sorted(contexts))}"
        raise ServiceRejected(
            f"{one.key} of {self._target} has {has}, and the destination writes context={self._context}.",
            state="Nothing was written there.",
            remedy="Set context= to what the variable has, or change the variable in Netlify.",
        )

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no field for a note
        if name in self._existing:
            self._set(name, value)
            return
        secret = self._context not in _OPEN
        made = {"key": name, "is_secret": secret, "values": [{"context": self._context, "value": value}]}
        body = [{**made, "scopes": list(_SCOPES)} if secret else made]
        try:
            self._http.request(self._request("POST", "", f"create {name} of {self._target}", body, idempotent=False))
        except Ambiguous:
            if name not in self._look():
                raise
            self._set(name, value)

    def _set(self, name: str, value: Hidden) -> None:
        """Write the value of this context; the others, and whether it is secret, stay."""
        body = {"context": self._context, "value": value}
        self._http.request(self._request("PATCH", f"/{name}", f"write {name} of {self._target}", body))

    def _remove(self, name: str, shown: Shown) -> None:
        path = f"/{name}/value/{quote(shown.id, safe='')}"
        self._http.find(self._request("DELETE", path, f"remove {name} of {self._target}"))

    def _request(
        self, method: str, path: str, description: str, body: Any = None, *, idempotent: bool = True
    ) -> Request:
        return Request(
            method,
            f"{self._base}{path}{self._site}",
            description,
            body=body,
            mutates=method != "GET",
            idempotent=idempotent,
            secret=True,
            permission=_NEEDED,
        )


CONNECTION = ConnectionKind(
    name="netlify",
    settings=TokenSettings,
    connect=connector("Netlify", PUBLIC, limits=LIMITS, expected="a valid personal access token"),
    environment={"token": ("NETLIFY_AUTH_TOKEN", "NETLIFY_API_TOKEN")},
)
KIND = Kind(
    scheme="netlify",
    check=check,
    open=_open,
    connection=CONNECTION,
    default_options={"context": CONTEXTS[0]},
    permissions=PERMISSIONS,
)
