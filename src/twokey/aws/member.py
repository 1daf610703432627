"""An account of many: the clients of the run, with requests signed by a role in that account.

No account has clients of its own. Each call of an operation selects the credentials that sign it, so a thousand
accounts cost what their credentials take. A session lasts an hour, which is also the most that AWS allows a role that
is assumed with another role's credentials ("AssumeRole", STS API Reference), and is renewed before it ends.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from twokey.aws.clients import Clients, signed_by
from twokey.core.errors import ServiceError
from twokey.core.model import RoleRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import botocore.credentials
    import botocore.session

    from twokey.aws.request_log import RequestLog
    from twokey.core.accounts import Account
    from twokey.core.ports import Roles
    from twokey.core.secret import Credential, SessionCredential

SESSION = 3600
"""Seconds that a session lasts."""
RENEWED = 900
"""A session with fewer seconds left is renewed, as botocore renews its own; a failure counts once it has ended."""


class MemberClients(Clients):
    """The clients of a run as an account uses them. Creating it calls nothing."""

    def __init__(self, shared: Clients, account: Account, sts: Roles, partition: Callable[[], str]) -> None:
        self.run = shared.run
        self.clock = shared.clock
        self._shared = shared
        self._account = account
        self._sts = sts
        self._partition = partition
        self._held: SessionCredential | None = None
        self._signer: botocore.credentials.Credentials | None = None
        self._renewing = threading.Lock()

    def client(self, service: str, region: str | None = None, *, once: bool = False, keyless: bool = False) -> Any:
        """Return the client for a service and region, whose requests are signed for this account."""
        found = self._shared.client(service, region or self._account.region or None, once=once, keyless=keyless)
        return found if keyless else _Signed(found, self._credentials)

    def send(self, service: str, operation: str, parameters: Mapping[str, Any], region: str | None = None) -> Any:
        """Send a request exactly one time, signed for this account unless the caller has chosen other credentials."""
        with signed_by(self._credentials):
            return self._shared.send(service, operation, parameters, region or self._account.region or None)

    @property
    def region(self) -> str:
        """The region of the account's stores."""
        return self._account.region or self._shared.region

    @property
    def session(self) -> botocore.session.Session:
        """Return the botocore session of the run."""
        return self._shared.session

    def own_key(self) -> str:
        """Return the id of the session's key; raises what keeps the role from being assumed."""
        return self._current().access_key_id

    def own_credential(self) -> Credential:
        """Return the session, if necessary renewed."""
        return self._current()

    def credentials_left(self) -> float:
        """Return for how many seconds the session is valid, if possible renewed."""
        return self._left(self._current())

    def own_source(self) -> str:
        """Return how twokey has these credentials."""
        return "assume-role"

    def profile(self) -> Mapping[str, Any]:
        """Return the settings of the profile in use."""
        return self._shared.profile()

    def record_requests(self) -> RequestLog:
        """Collect the changes that are requested of AWS from now on, in all accounts."""
        return self._shared.record_requests()

    def _credentials(self) -> botocore.credentials.Credentials:
        self._current()
        assert self._signer is not None
        return self._signer

    def _current(self) -> SessionCredential:
        """Return a session that has not ended; one thread renews it for all.

        A failed renewal counts only once the session has ended, for it begins a quarter of an hour before that. A
        ``RenewableToken`` raises the failure at once: it renews its one text in the last minute, for a single service.
        """
        held = self._held
        if held is not None and self._left(held) > RENEWED:
            return held
        with self._renewing:
            held = self._held
            if held is not None and self._left(held) > RENEWED:
                return held
            try:
                self._hold(self._assume())
            except ServiceError:
                if held is None or self._left(held) <= 0:
                    raise
            assert self._held is not None
            return self._held

    def _hold(self, session: SessionCredential) -> None:
        from botocore.credentials import Credentials

        from twokey.core.secret import token_of

        self._signer = Credentials(session.access_key_id, session.reveal(), token_of(session))
        self._held = session

    def _assume(self) -> SessionCredential:
        held: Credential = self._shared.own_credential()
        session: SessionCredential | None = None
        for role in self._account.roles:
            request = RoleRequest(
                arn=role.arn(self._account.id, self._partition()),
                session_name=f"twokey-{self.run}",
                seconds=SESSION,
                external_id=role.external_id,
                tags=role.tags,
                external_id_setting="`external_id` below accounts: in twokey.yaml",
            )
            held = session = self._sts.assume(request, held)
        assert session is not None
        return session

    def _left(self, session: SessionCredential) -> float:
        return (session.expires - self.clock.now()).total_seconds() if session.expires else SESSION


class _Signed:
    """A client whose operations are signed with an account's credentials, unless the caller has chosen others."""

    __slots__ = ("_client", "_credentials")

    def __init__(self, client: Any, credentials: Callable[[], botocore.credentials.Credentials]) -> None:
        self._client = client
        self._credentials = credentials

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def send(*args: Any, **parameters: Any) -> Any:
            with signed_by(self._credentials):
                return found(*args, **parameters)

        return send
