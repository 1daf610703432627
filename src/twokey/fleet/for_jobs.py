"""Composes the credentials of a job: the store of a machine user or what the AWS SDKs find, then the roles.

Little is imported, because each job waits for it: no botocore for a local file without a role.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.accounts import Account
from twokey.core.errors import AccessDenied, ServiceError, UsageError
from twokey.fleet import on_aws
from twokey.jobs import instance, session_options
from twokey.jobs.credentials import OwnSource, StoreSource
from twokey.jobs.role_chain import RoleChain
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twokey.aws.clients import Clients
    from twokey.config.account_settings import AccountSettings
    from twokey.config.settings import RoleSettings, Selection, Settings
    from twokey.core.model import MachineUser
    from twokey.core.ports import Clock, Roles
    from twokey.core.secret import Hidden
    from twokey.destinations.registry import Services
    from twokey.jobs.credentials import Source
    from twokey.jobs.session_options import Role, SessionOptions
    from twokey.oidc import sources as oidc


AUDIENCE = "sts.amazonaws.com"
"""What AWS asks OIDC tokens to be for by default; a provider in IAM may have others."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job requests: a user or a store, or neither; the roles in their order; and their sessions' options.

    ``web_identity``: the file with an OIDC token, the empty text for the CI system's own, None for no such token.
    """

    user: str
    store: str
    roles: tuple[str, ...]
    options: SessionOptions
    web_identity: str | None = None


@dataclass(frozen=True, slots=True)
class CiTokens:
    """The OIDC tokens of the CI system that this runs in, or of a file."""

    found: oidc.TokenSource
    clock: Clock

    def token(self) -> Hidden:
        """Return a token. One whose audience the job's definition sets may be for another; AWS decides about that."""
        from twokey.oidc.claims import audiences, claims_of, refuse_unsuitable

        token = self.found.fetch(AUDIENCE, self.clock)
        own = audiences(claims_of(token) or {})
        refuse_unsuitable(token, own[0] if own else AUDIENCE, self.clock, self.found.name, self.found.remedy(AUDIENCE))
        return token

    def claims(self, token: Hidden) -> str:
        """Return issuer, subject and audience of a token."""
        from twokey.oidc.claims import audiences, claims_of

        claims = claims_of(token) or {}
        return f"iss {claims.get('iss')}, sub {claims.get('sub')}, aud {', '.join(audiences(claims))}"


class JobRuntime:
    """The edge of one job. Creating it calls nothing. ``settings`` are those of twokey.yaml, if there is one."""

    def __init__(self, settings: Settings | None) -> None:
        from twokey.aws.clients import Clients
        from twokey.destinations.connections import Connections
        from twokey.destinations.registry import Services

        self._settings = settings
        self.clients: Clients = Clients(uuid.uuid4().hex)
        self._services: Services = Services(self.clients, Connections(settings.connections if settings else {}))
        self._roles: Roles | None = None

    def source(self, request: JobRequest, notify: Callable[[str], None]) -> Source:
        """Return what provides the job's credentials.

        Raises ``UsageError`` where the request does not fit, and ``CredentialsUnavailable`` where AWS cannot be asked.
        """
        roles = self._chain(request.roles)
        if request.web_identity is not None and (tokens := self._tokens(request.web_identity)):
            return RoleChain(None, roles, request.options, self.sts(), notify, tokens)
        if request.user or request.store:
            source: StoreSource | OwnSource
            source, scheme = self._store(request)
            if here := self._service_beside(scheme):
                notify(f"This runs on {here}, which has a role of its own: no machine user is needed.")
        else:
            source = OwnSource(self.sts(), self.clients.clock)
            if here := on_aws.service_that_provides(self.clients):
                notify(f"This runs on {here}: its own role is used, and no machine user is needed.")
        return RoleChain(source, roles, request.options, self.sts(), notify) if roles else source

    def _service_beside(self, scheme: str) -> str:
        """Return the service of AWS that has a role for this job, whose key is in a store; empty for none.

        EC2 sets no variable. It shows where twokey's own credentials come from, which only stores of AWS need.
        """
        from twokey.destinations import registry

        if registry.kind_of(scheme).resources:
            return on_aws.service_that_provides(self.clients)
        return instance.service(environment.variable)

    def _tokens(self, file: str) -> CiTokens | None:
        """Return where the OIDC token comes from; None where the role of the instance takes its place."""
        from twokey.oidc import sources

        try:
            return CiTokens(sources.find(AUDIENCE, file=file), self.clients.clock)
        except UsageError:
            if on_aws.service_here(self.clients):
                return None
            raise

    def sts(self) -> Roles:
        """Return the edge to STS."""
        if self._roles is None:
            from twokey.aws.roles import Sessions

            self._roles = Sessions(self.clients)
        return self._roles

    def _chain(self, names: Sequence[str]) -> list[Role]:
        known: Mapping[str, RoleSettings] = self._settings.roles if self._settings else {}
        return [_configured(known[name]) if name in known else session_options.role(name) for name in names]

    def _store(self, request: JobRequest) -> tuple[StoreSource, str]:
        """Return the store and its scheme."""
        from twokey.destinations import registry

        url, user, grace = request.store, request.user, None
        if not url:
            selection, user = self._selection(request.user)
            url, grace = selection.store, selection.policy.grace
        scheme = registry.parse(url).scheme
        if request.store and not registry.can_be_store(scheme):
            raise UsageError(
                f"--store: `{url}` cannot be a store, because its credential cannot be read back.",
                remedy=f"Use one of {', '.join(registry.store_schemes())}.",
            )
        store = registry.open_store(self._filled(url, user), self._services)
        return StoreSource(store, self.clients.clock, user, grace), scheme

    def _filled(self, url: str, user: str) -> str:
        from twokey.destinations import address as addresses
        from twokey.destinations import registry

        if not user:
            if "{" in url.replace("${", ""):
                raise UsageError(
                    f"--store: {url} has a field, and no user is named.",
                    remedy="Name the user: twokey exec USER --store URL -- COMMAND. Or write the URL out.",
                )
            return url
        path, account = "/", "0" * 12
        if "{path}" in url:
            found = self._user(user, "the store's URL has {path}")
            path, account = found.path, found.account
        elif addresses.names_account(url):
            account = self.sts().account(self.sts().own())[0]
        name = self._settings.account_name(account) if self._settings else ""
        return registry.fill(url, user=user, path=path, account=account, account_name=name)

    def _selection(self, user: str) -> tuple[Selection, str]:
        """Return the entry that covers a user, and the user's name. IAM is asked only if several entries may."""
        from twokey.config.settings import same_name

        if self._settings is None:
            raise UsageError(
                f"The user {user} is named, but there is neither a twokey.yaml nor --store.",
                remedy="Add --store URL, or name the configuration file with --config.",
            )
        wanted = same_name(user)
        entries = [one for one in self._settings.selections if not one.leaves_out(user)]
        named = [(one, name) for one in entries for name in one.users if same_name(name) == wanted]
        if len(named) > 1 and self._settings.accounts:
            # Each is about another user of this name: that of the job is in the account of the job.
            here = self._here(self._settings.accounts)
            named = [(one, name) for one, name in named if one.is_for(here)]
            if len(named) != 1:
                raise self._not_one(user, several=bool(named))
        if named:
            return named[0]
        entries = [one for one in entries if not one.users]
        if len(entries) > 1:
            found = self._user(user, "several entries of twokey.yaml may cover it")
            entries = [one for one in entries if one.means(found)]
            user = found.name
        if len(entries) > 1 and self._settings.accounts:
            here = self._here(self._settings.accounts)
            entries = [one for one in entries if one.is_for(here)]
        if len(entries) == 1:
            return entries[0], user
        raise self._not_one(user, several=bool(entries))

    def _here(self, accounts: AccountSettings) -> Account:
        """Return the account that the job runs in, with what the file says of it; AWS Organizations is not asked."""
        account = self.sts().account(self.sts().own())[0]
        return next((one for one in accounts.listed if one.id == account), Account(account))

    def _not_one(self, user: str, *, several: bool) -> UsageError:
        assert self._settings is not None
        what = f"{'several entries cover' if several else 'no entry covers'} the user {user}"
        if not self._settings.accounts:
            remedy = "Name the user in `users` of one entry."
        else:
            what += " of the account that this job runs in"
            remedy = "Name the store with --store; or name the user in `users` of one entry, and its account by ID."
        return UsageError(f"{self._settings.source}: {what}.", remedy=remedy)

    def _user(self, user: str, why: str) -> MachineUser:
        from twokey.aws.iam import Iam

        try:
            return Iam(self.clients).user(user)
        except AccessDenied as error:
            raise AccessDenied(
                error.action,
                error.resource,
                remedy=f"IAM is asked for the path of {user} because {why}. Allow it, name {user} in `users` of one "
                "entry, or use --store.",
            ) from None
        except ServiceError as error:
            raise type(error)(
                f"The path of {user}, which is needed because {why}, cannot be read: {error.message}",
                state=error.state,
                remedy=error.remedy,
            ) from None


def _configured(entry: RoleSettings) -> Role:
    label = entry.label
    return session_options.role(
        entry.arn,
        label("arn"),
        session_options.external_id(entry.external_id, label("external_id")) if entry.external_id else "",
        session_options.duration(entry.duration, label("duration")) if entry.duration else None,
    )
