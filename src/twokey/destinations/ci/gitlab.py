"""GitLab CI/CD variables: ``gitlab:GROUP/PROJECT`` and ``gitlab-group:GROUP``, with subgroups as they are, or an id.

Options: ``scope=ENVIRONMENT`` picks the variable of that environment scope. The others apply only when a variable is
created: ``type=env_var|file``, ``masked=``, ``hidden=``, ``protected=``, ``raw=`` (each ``true`` or ``false``). An
existing variable keeps its settings, and a description that the operator wrote.

GitLab shows the values of variables, except hidden ones. A variable of type ``file`` holds the pair as one value: its
job finds the file's path in it, which is what AWS's tools expect of ``AWS_SHARED_CREDENTIALS_FILE``.

Sources: "Project-level CI/CD variables API", "Group-level Variables API", "GitLab CI/CD variables" (names, lengths,
masking, numbers), "REST API authentication", "GitLab.com rate limits", "Personal access tokens API", GitLab Docs; for
messages, GitLab's own ``lib/api/ci/variables.rb``, ``lib/api/helpers/variables_helpers.rb``, ``lib/api/helpers.rb``,
``app/models/concerns/ci/maskable.rb`` and ``limitable.rb``.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import AccessDenied, Ambiguous, Failed, NotFound, ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.address import without_fields
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import is_note
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://gitlab.com"
LIMITS = (Limit(2000, 60, writes_only=False),)
"""Authenticated API traffic of one user ("GitLab.com rate limits"). Your own server reports its limits by 429."""
LONGEST = 10_000
"""Characters of a value ("GitLab CI/CD variables")."""
GROUP, INSTANCE = "gitlab-group", "gitlab-instance"
SWITCHES = ("masked", "hidden", "protected", "raw")
TYPES = ("env_var", "file")
FILE = replace(formats.ENVIRONMENT, name="AWS_SHARED_CREDENTIALS_FILE")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"
_PATH = re.compile(rf"{_PART}(/{_PART})*", re.ASCII)
_PROJECT_PATH = "GROUP/PROJECT, with any subgroups between them, or the project's ID"
_SCOPE = re.compile(r"[A-Za-z0-9_/$.* -]{1,255}", re.ASCII)
_MASKED = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}", re.ASCII)
_MASKED_AND_RAW = re.compile(r"\S{8,}")
_SEVERAL = ("pair", "ses-smtp")
_OF_LINES = ("json", "env", "credentials-file")
_TOO_MANY = re.compile(r"Maximum number of [a-z ]+ \(\d+\) exceeded")


def _permissions(resource: str, role: str) -> tuple[Permission, ...]:
    return (
        Permission(service="GitLab", name="api", resource=resource, type="scope"),
        Permission(service="GitLab", name=role, resource=resource, type="role"),
    )


PERMISSIONS = {
    "gitlab": _permissions("project", "Maintainer"),
    GROUP: _permissions("group", "Owner"),
    INSTANCE: (
        *_permissions("instance", "Administrator"),
        Permission(
            service="GitLab", name="admin_mode", resource="instance", type="scope", condition="if it has Admin Mode"
        ),
    ),
}
"""By scheme."""


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How GitLab is reached: gitlab.com, or your own server (``url: https://HOST``)."""

    token: Source
    oauth: Annotated[bool, msgspec.Meta(description="Whether the token is one of OAuth 2.0, sent as Bearer.")] = False


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that GitLab allows no project, group, scope or variable."""
    plain = address.plain
    if not _PATH.fullmatch(plain) or plain.endswith((".git", ".atom", ".")):
        expected = "GROUP, with its parent groups before it" if address.scheme == GROUP else _PROJECT_PATH
        raise address.error(f"expected {expected}.")
    if address.scheme != GROUP and "/" not in plain and not plain.isdecimal():
        raise address.error(f"expected {_PROJECT_PATH}.", "For the variables of a group, write gitlab-group:GROUP.")
    address.allow(("connection", "scope", "type", *SWITCHES, *formats.OPTIONS))
    if not _SCOPE.fullmatch(without_fields(address.options.get("scope", "*"))):
        raise address.error("scope= takes letters, digits, spaces and the characters _/$.*- only.")
    check_value(address)


def check_value(address: Address) -> None:
    """Raise ``UsageError`` for settings or a format of the variable that GitLab does not allow."""
    for switch in SWITCHES:
        address.one_of(switch, ("false", "true"))
    value_format = _format(address)
    if address.one_of("type", TYPES) == "file" and value_format.name in _SEVERAL:
        raise address.error(
            f"type=file holds one value, and format={value_format.name} has two.", "Use format=credentials-file."
        )
    _check_mask(address, value_format)


def _check_mask(address: Address, value_format: Format) -> None:
    """Refuse a mask that GitLab would refuse: a masked value is one line without spaces."""
    switches = {switch: address.options.get(switch) for switch in ("masked", "hidden")}
    if switches == {"masked": "false", "hidden": "true"}:
        raise address.error("a hidden variable is masked too.", "Remove masked=false.")
    texts = [value for name, value in address.options.items() if name == "template" or name.startswith("extra.")]
    if "true" in switches.values() and (
        value_format.name in _OF_LINES or any(re.search(r"\s", text) for text in texts)
    ):
        raise address.error(
            "only a value without spaces and line ends can be masked, and this format has some.",
            "Remove masked=true and hidden=true, or use another format=.",
        )


def _format(address: Address) -> Format:
    default = "credentials-file" if address.options.get("type") == "file" else "pair"
    credentials_file = address.options.get("format", default) == "credentials-file"
    return formats.format_of(address.options, default=default, names=FILE if credentials_file else formats.ENVIRONMENT)


def _open(address: Address, context: DestinationContext) -> CiVariables:
    """Return the variables of a project or a group."""
    return CiVariables(address, context.connection(address, CONNECTION), context.claims)


class GitLab:
    """One GitLab, as one token sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)

        def headers() -> dict[str, str]:
            if settings.oauth:
                return {"Authorization": f"Bearer {secret.value()}"}
            return {"PRIVATE-TOKEN": secret.value()}

        self.http = Http(
            "GitLab",
            _api(settings.url or PUBLIC),
            context.clock,
            headers=headers,
            renew=secret.renew,
            limits=LIMITS,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            explain=_explain,
            token=f"a valid access token (in {secret}); the token of a CI job is not enough",
        )
        # GitLab tells the scopes of an access token; those of an OAuth token show when it is refused.
        self._scopes: list[str] | None = [] if settings.oauth else None
        self._lock = threading.Lock()

    def refuse_reader(self, request: Request) -> None:
        """Raise ``AccessDenied`` if the token's own scopes only read; requested once in a run."""
        with self._lock:
            if self._scopes is None:
                path = "/personal_access_tokens/self"
                found = self.http.send(Request("GET", path, "see what the token may do", mutates=False)).json()
                self._scopes = list(found.get("scopes") or []) if isinstance(found, dict) else []
            if "read_api" in self._scopes and "api" not in self._scopes:
                raise AccessDenied(
                    request.description, "GitLab", remedy=f"The token needs {request.permission}; it has read_api."
                )


@dataclass(frozen=True, slots=True)
class Found(Shown):
    """An existing variable."""

    type: str = TYPES[0]
    masked: bool = False


class CiVariables(NamedValues):
    """CI/CD variables of one project or group, in one environment scope."""

    def __init__(self, address: Address, gitlab: GitLab, claims: Claims) -> None:
        self._hidden = address.options.get("hidden") == "true"
        self.confirms = "nothing" if self._hidden else "value"
        super().__init__(address.url, _format(address))
        self._gitlab = gitlab
        self._claims = claims
        self._claimed = False
        self._http = gitlab.http
        self.pace = self._http.pace
        self._options = address.options
        self._target = address.rest
        self._scope = address.options.get("scope", "*")
        self._type = address.options.get("type", TYPES[0])
        self._kind = "group" if address.scheme == GROUP else "project"
        self._permission = f"{phrase(PERMISSIONS[address.scheme])} (an archived one takes no variables)"
        self._base = f"/{self._kind}s/{quote(address.rest, safe='')}"

    def preflight(self) -> None:
        """Raise if the project or group is missing, archived or renamed, or an existing variable is unsuitable."""
        found = self._details()
        if found.get("archived"):
            raise _refused(
                f"{self._target} is archived: GitLab takes no variables for it.",
                "Unarchive it in GitLab, or remove it from the destinations.",
            )
        path = str(found.get("path_with_namespace") or found.get("full_path") or self._target)
        if path.lower() != self._target.lower() and not self._target.isdecimal():
            raise _moved(self._target, path)
        shown = self._look()
        for name, one in shown.items():
            if name in self.format.names:
                self._refuse_kind(name, one)
        self.check_content(shown)
        self._gitlab.refuse_reader(self._request("PUT", self._base, f"write the variables of {self._target}"))

    def _details(self) -> dict[str, Any]:
        """Return what GitLab shows of the project or group, and refuse one that another URL of this run reaches."""
        path = f"{self._base}?with_projects=false" if self._base.startswith("/groups") else self._base
        found: dict[str, Any] = self._http.request(self._request("GET", path, f"see {self._target}")).json()
        present = found.get("path_with_namespace") or found.get("full_path") or self._target
        self._claim(str(present))
        return found

    def _claim(self, path: str) -> None:
        thing = f"{self._kind} {path.lower()}, scope {self._scope}"
        self._claims.claim(self.name, self._http.url, thing, self.value_names)
        self._claimed = True

    def _look(self) -> Mapping[str, Found]:
        if not self._claimed and self._target.isdecimal():
            self._details()
        elif not self._claimed:
            self._claim(self._target)  # GitLab writes nothing by a former path: it has to be the present one
        found = {name: self._see(name) for name in self.looked_for}
        return {name: one for name, one in found.items() if one is not None}

    def _see(self, name: str) -> Found | None:
        response = self._http.find(self._request("GET", self._path(name), f"see the variable {name} of {self._target}"))
        if response is None:
            return None
        one = response.json()
        return Found(
            value=None if one["value"] is None or one.get("hidden") else Hidden(one["value"]),
            note=one.get("description") or "",
            type=one.get("variable_type") or TYPES[0],
            masked=bool(one.get("masked")),
        )

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  the description is sent with its value
        """Raise if GitLab would not take one of them."""
        for name, value in values.items():
            if len(value) > LONGEST:
                raise _refused(
                    f"{name} would have {len(value)} characters; a GitLab variable has at most {LONGEST}.",
                    SHORTER,
                )
            one = before.get(name)
            if isinstance(one, Found):
                self._refuse_kind(name, one)

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        if before is None:
            before = self._create(name, value, note)
        if before is not None:
            described = {"description": note} if is_note(before.note) else {}
            description = f"write the variable {name} of {self._target}"
            self._http.request(self._request("PUT", self._path(name), description, body={"value": value, **described}))

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        self._http.find(self._request("DELETE", self._path(name), f"remove the variable {name} of {self._target}"))

    def _create(self, name: str, value: Hidden, note: str) -> Shown | None:
        """Create a variable. If the response was lost and the variable exists, return it: it is written again.

        GitLab creates no second one of the same name and scope, so sending the request again does no harm.
        """
        settings = self._settings(name, value)
        body = {"key": name, "value": value, "description": note, **settings}
        description = f"create the variable {name} of {self._target}"
        try:
            made = self._http.request(self._request("POST", f"{self._base}/variables", description, body=body)).json()
        except Ambiguous:
            there = self._see(name)
            if there is None:
                raise
            return there
        self._refuse_other_settings(name, made)
        return None

    def _settings(self, name: str, value: Hidden) -> dict[str, Any]:
        """Return the settings of a new variable. Id and secret are masked if GitLab can mask them."""
        raw = self._options.get("raw", "true") == "true"
        masked = self._options.get("masked")
        wanted = masked == "true" if masked else name in self.format.names[:2] and _maskable(value, raw=raw)
        return {
            "environment_scope": self._scope,
            "variable_type": self._type,
            "protected": self._options.get("protected") == "true",
            "raw": raw,
            "masked": wanted or self._hidden,
            **({"masked_and_hidden": True} if self._hidden else {}),
        }

    def _refuse_other_settings(self, name: str, made: Any) -> None:
        """Raise if GitLab ignored a setting: one that its version does not know, or that its plan does not have."""
        scope = made.get("environment_scope", self._scope)
        problem = option = ""
        if scope != self._scope:
            problem, option = f"for the environments {scope}: scopes of group variables need GitLab Premium", "scope"
        elif self._hidden and not made.get("hidden"):
            problem, option = "without hiding it: that needs GitLab 17.4", "hidden"
        if not problem:
            return
        raise Ambiguous(
            f"GitLab created the variable {name} of {self._target} {problem}.",
            state="The variable exists, and holds the key.",
            remedy=f"Delete the variable in GitLab, or remove {option}= from the destination.",
        )

    def _refuse_kind(self, name: str, one: Found) -> None:
        if one.type != self._type:
            raise _refused(
                f"{name} of {self._target} is a variable of type {one.type}; the destination has type={self._type}.",
                "Delete the variable, or change its type in GitLab: jobs read the two types in different ways.",
            )
        if one.masked and self.format.name in _OF_LINES:
            raise _not_maskable(f"{name} of {self._target}")

    def _path(self, name: str) -> str:
        scope = quote(self._scope, safe="")
        return f"{self._base}/variables/{name}?{quote('filter[environment_scope]', safe='')}={scope}"

    def _request(self, method: str, path: str, description: str, *, body: Any = None) -> Request:
        secret, mutates = "/variables" in path, method != "GET"
        return Request(
            method, path, description, body=body, mutates=mutates, secret=secret, permission=self._permission
        )


def _api(url: str) -> str:
    """Return the address of a server's API. As in ``glab``, the server may be a host name alone."""
    whole = url if "://" in url else f"https://{url}"
    return f"{whole.rstrip('/').removesuffix('/api/v4')}/api/v4"


def _maskable(value: str, *, raw: bool) -> bool:
    """Return whether GitLab can mask a value ("GitLab CI/CD variables", "Mask a CI/CD variable")."""
    return bool((_MASKED_AND_RAW if raw else _MASKED).fullmatch(value))


def _refused(message: str, remedy: str = "") -> ServiceRejected:
    return ServiceRejected(message, state="Nothing was written there.", remedy=remedy)


def _not_maskable(what: str) -> ServiceRejected:
    message = f"{what} is masked, and GitLab masks only one line without spaces, of eight characters or more."
    return _refused(message, "Unmask the variable in GitLab, or use another format=.")


def _moved(before: str, now: str = "another path") -> ServiceRejected:
    message = f"{before} has moved to {now}: GitLab takes no variables by its old path."
    return _refused(message, "Write its present path in the destination.")


def _explain(request: Request, response: Response) -> Failed | None:
    """Translate GitLab's errors. Its messages are never quoted: they may hold a value."""
    error_message = response.error_message()
    if response.status == 404 and "Variable Not Found" not in error_message:
        missing = "the project or group does not exist, or the token has no access to it"
        if request.path.startswith("/admin"):
            missing = "it has no variables of its own; GitLab has them since version 13.0"
        message = f"GitLab cannot {request.description}: {missing}."
        return NotFound(message, remedy=f"Check the name, and that the token has {request.permission}.")
    if response.status == 405 and "moved" in error_message:
        return _moved("The project")
    if response.status == 400 and "already been taken" in error_message:
        message = f"GitLab cannot {request.description}: another client created it at the same time."
        return _refused(message, "Run again.")
    if response.status == 400 and '"value": ["is invalid"]' in error_message:
        return _not_maskable(f"GitLab cannot {request.description}: it")
    if response.status == 400 and _TOO_MANY.search(error_message):
        remedy = "Delete variables that no job uses, or ask the administrator of GitLab to raise the limit."
        return _refused(f"GitLab cannot {request.description}: its limit of variables is reached.", remedy)
    return None


CONNECTION = ConnectionKind(
    name="gitlab",
    settings=Settings,
    connect=GitLab,
    environment={"token": ("GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN"), "url": ("GITLAB_HOST", "CI_SERVER_URL")},
)
KINDS = tuple(
    Kind(
        scheme=scheme,
        check=check,
        open=_open,
        connection=CONNECTION,
        case_insensitive=True,
        non_identifying_options=("type", *SWITCHES),
        default_options={"scope": "*"},
        permissions=permissions,
    )
    for scheme, permissions in PERMISSIONS.items()
    if scheme != INSTANCE
)
