"""IAM as the engine needs it: reads every page, sends a creation exactly once, retries after throttling.

Permissions: each method names the IAM action it calls; ``PERMISSIONS`` lists them all.
"""

from __future__ import annotations

import random
import sys
import threading
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from twokey.aws.credentials import UnknownKey, session_without_mfa
from twokey.aws.errors import after_lost_response, call
from twokey.aws.pace import Pacer
from twokey.aws.simulator import verdict
from twokey.core.errors import Ambiguous, BadCredentials, NotFound, ServiceError, Throttled, Unreachable
from twokey.core.model import AccessKey, Deactivation, LastUse, MachineUser
from twokey.core.secret import Credential
from twokey.http import paging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from twokey.aws.clients import Clients
    from twokey.aws.clock import ServiceClock

PERMISSIONS = {
    "look": ("iam:ListUsers", "iam:GetUser", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"),
    "rotate": ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey"),
    "account": ("iam:GetAccountAuthorizationDetails",),
    "sessions": ("iam:PutUserPolicy", "iam:PutRolePolicy", "iam:DeleteUserPolicy", "iam:DeleteRolePolicy"),
    "report": ("iam:GenerateCredentialReport", "iam:GetCredentialReport"),
    "preflight (optional)": ("iam:SimulatePrincipalPolicy", "iam:GetRole"),
}

_CHANGES = ("rotate", "sessions")
_READS = frozenset(action for name, actions in PERMISSIONS.items() if name not in _CHANGES for action in actions)

_TEMPORARY = "ASIA"
"""How the ids of temporary keys begin ("IAM identifiers", IAM User Guide)."""
PATIENCE = 120.0
"""Seconds for which a request is sent again while AWS throttles it."""
CREATE_PATIENCE = 20.0
"""The same for CreateAccessKey: an intent in the journal explains a key for a short time only."""
PAUSES = (0.4, 0.8, 1.6)
"""Seconds between the attempts of a request that gets no response; there is one attempt more than pauses."""


def _nothing() -> None:
    """Do nothing: the default action before a request."""


class _AlreadyDone(NotFound):
    """The response to a change was lost, and its retry found nothing to change."""


class Iam:
    """The IAM calls for one account. Raises the errors of ``twokey.core.errors`` only."""

    def __init__(self, clients: Clients, account_name: str = "") -> None:
        self._clients = clients
        self._account_name = account_name
        self._clock = clients.clock
        self._pacer = Pacer(clients.clock)
        self._may_create: dict[str, bool | None] = {}
        self._simulating = threading.Lock()

    def users(self, path: str) -> Iterator[MachineUser]:
        """List the users below a path prefix, every page (iam:ListUsers)."""
        for page in self._pages("list_users", "iam:ListUsers", path, PathPrefix=path, MaxItems=1000):
            yield from (_machine_user(user, self._account_name) for user in page["Users"])

    def user(self, name: str) -> MachineUser:
        """Read one user (iam:GetUser); raises ``NotFound``."""
        return _machine_user(self._repeat("get_user", "iam:GetUser", name, UserName=name)["User"], self._account_name)

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        """List a user's keys, every page (iam:ListAccessKeys). Quotas lag: there may be more than two."""
        pages = self._pages("list_access_keys", "iam:ListAccessKeys", user, UserName=user)
        return tuple(_access_key(key) for page in pages for key in page["AccessKeyMetadata"])

    def last_use(self, key_id: str) -> LastUse:
        """Return when a key was last used (iam:GetAccessKeyLastUsed), which lags by an undocumented time."""
        response = self._repeat("get_access_key_last_used", "iam:GetAccessKeyLastUsed", key_id, AccessKeyId=key_id)
        used = response.get("AccessKeyLastUsed", {})
        at: datetime | None = used.get("LastUsedDate")
        return LastUse(at, used.get("ServiceName", ""), used.get("Region", "")) if at else LastUse(None)

    def owner(self, key_id: str) -> str | None:
        """Return the user that a key of this account belongs to (iam:GetAccessKeyLastUsed); None if there is none.

        IAM denies this for a key that does not exist, and does not say whether that is why.
        """
        operation = "get_access_key_last_used"
        try:
            response = self._repeat(operation, "iam:GetAccessKeyLastUsed", key_id, AccessKeyId=key_id)
        except NotFound:
            return None
        return str(response["UserName"]) if response.get("UserName") else None

    @property
    def clock(self) -> ServiceClock:
        """The clock of the run."""
        return self._clock

    def authorization_details(self) -> Iterator[Any]:
        """Yield every page of all users, groups, roles and policies (iam:GetAccountAuthorizationDetails)."""
        kinds = ["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"]
        operation = "get_account_authorization_details"
        yield from self._pages(
            operation, "iam:GetAccountAuthorizationDetails", "the account", Filter=kinds, MaxItems=1000
        )

    def generate_report(self) -> str:
        """Begin a credential report, if none is recent, and return its state (iam:GenerateCredentialReport)."""
        return str(
            self._repeat("generate_credential_report", "iam:GenerateCredentialReport", "the account").get("State", "")
        )

    def report(self) -> tuple[str, datetime]:
        """Return the credential report as CSV, and when it was made (iam:GetCredentialReport)."""
        response = self._repeat("get_credential_report", "iam:GetCredentialReport", "the account")
        content: bytes = response["Content"]
        return content.decode("utf-8"), response["GeneratedTime"]

    def create_key(self, user: str, just_before: Callable[[], None] = _nothing) -> tuple[AccessKey, Credential]:
        """Create a key (iam:CreateAccessKey).

        The call is not idempotent and has no client token, so it is sent once. It is sent again only after throttling,
        which proves that nothing was created. ``just_before`` is called immediately before each attempt, after the wait
        for the pace; an error that it raises ends the creation, and is passed on unchanged.
        """
        response = self._patiently(
            lambda: self._once("create_access_key", "iam:CreateAccessKey", user, UserName=user),
            CREATE_PATIENCE,
            just_before,
        )
        key = response["AccessKey"]
        return _access_key(key), Credential(key["AccessKeyId"], key["SecretAccessKey"])

    def deactivate_key(self, user: str, key_id: str) -> Deactivation:
        """Make a key Inactive (iam:UpdateAccessKey); a key that was deleted meanwhile is no error."""
        parameters = {"UserName": user, "AccessKeyId": key_id, "Status": "Inactive"}
        try:
            response = self._repeat("update_access_key", "iam:UpdateAccessKey", user, **parameters)
        except _AlreadyDone:
            return Deactivation(self._clock.now())
        return Deactivation(self._clock.now(), str(response["ResponseMetadata"]["RequestId"]))

    def delete_key(self, user: str, key_id: str) -> bool:
        """Delete a key (iam:DeleteAccessKey); return False if IAM says that the key does not exist.

        NoSuchEntity does not prove that the key is deleted: IAM is eventually consistent ("Troubleshoot IAM", IAM User
        Guide), so one of its servers may not know a new key yet. It may also mean that the user is deleted, or that an
        earlier attempt deleted the key and its response was lost.
        """
        try:
            self._repeat("delete_access_key", "iam:DeleteAccessKey", user, UserName=user, AccessKeyId=key_id)
        except NotFound:
            return False
        return True

    def put_inline_policy(self, kind: Literal["user", "role"], name: str, policy: str, document: str) -> None:
        """Put an inline policy on a user or role (iam:PutUserPolicy, iam:PutRolePolicy), replacing one of its name."""
        whose = {f"{kind.title()}Name": name, "PolicyName": policy, "PolicyDocument": document}
        self._repeat(f"put_{kind}_policy", f"iam:Put{kind.title()}Policy", f"the {kind} {name}", **whose)

    def delete_inline_policy(self, kind: Literal["user", "role"], name: str, policy: str) -> bool:
        """Delete an inline policy (iam:DeleteUserPolicy, iam:DeleteRolePolicy); return False if there is none."""
        whose = {f"{kind.title()}Name": name, "PolicyName": policy}
        try:
            self._repeat(f"delete_{kind}_policy", f"iam:Delete{kind.title()}Policy", f"the {kind} {name}", **whose)
        except NotFound:
            return False
        return True

    def may_create(self, user: MachineUser) -> bool | None:
        """Return whether this principal may create a key for the user; None if that cannot be determined.

        Uses IAM's policy simulator (iam:SimulatePrincipalPolicy), once for each path in a run. It needs a permission
        that the rotator may lack, and it does not know everything that IAM knows (``simulator.verdict``). So an allow
        is a hint, a deny counts only if it rests on the policies alone, and without a result the run continues.
        """
        with self._simulating:
            if user.path not in self._may_create:
                self._may_create[user.path] = self._simulate(user)
            # A deny may apply to the first user only, so the next user is simulated again.
            allowed = self._may_create[user.path]
            if allowed is False:
                del self._may_create[user.path]
            return allowed

    def _simulate(self, user: MachineUser) -> bool | None:
        try:
            source = self._principal()
            if source is None:
                return None
            response = self._once(
                "simulate_principal_policy",
                "iam:SimulatePrincipalPolicy",
                source,
                PolicySourceArn=source,
                ActionNames=["iam:CreateAccessKey"],
                ResourceArns=[user.arn],
            )
            return verdict(response["EvaluationResults"])
        except (ServiceError, KeyError):
            return None

    def _principal(self) -> str | None:
        sts = self._clients.client("sts")
        arn: str = call("sts:GetCallerIdentity", "", sts.get_caller_identity, mutates=False)["Arn"]
        if ":assumed-role/" in arn:
            name = arn.split("/")[1]
            role: str = self._once("get_role", "iam:GetRole", name, RoleName=name)["Role"]["Arn"]
            return role
        return arn if ":user/" in arn else None

    def _pages(self, operation: str, action: str, resource: str, **parameters: object) -> Iterator[Any]:
        return paging.of_aws(partial(self._repeat, operation, action, resource, **parameters), "Marker")

    def _repeat(self, operation: str, action: str, resource: str, **parameters: object) -> Any:
        """Send an idempotent request, again until there is a response.

        For a change, every error except ``Ambiguous`` proves that no attempt took effect. The exceptions are
        ``NotFound``, which describes the present state, and ``_AlreadyDone``, after a response was lost.
        """
        mutates, ambiguous = action not in _READS, False
        for pause in (*PAUSES, None):
            try:
                return self._patiently(lambda: self._once(operation, action, resource, **parameters), PATIENCE)
            except ServiceError as error:
                failure = error
            ambiguous = mutates and (ambiguous or isinstance(failure, Ambiguous))
            if pause is None or not isinstance(failure, (Ambiguous, Unreachable)):
                break
            # Random, so that concurrent requests do not return at the same moment.
            self._clock.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311  no secret
        if ambiguous and isinstance(failure, NotFound):
            raise _AlreadyDone(failure.message)
        raise after_lost_response(failure) if ambiguous else failure

    def _patiently(self, send: Callable[[], Any], patience: float, just_before: Callable[[], None] = _nothing) -> Any:
        """Send at the learned pace, and again after each throttled attempt, for ``patience`` seconds."""
        start = self._clock.monotonic()
        while True:
            self._pacer.wait()
            # Outside the try: what the caller raises is not a response of IAM.
            just_before()
            try:
                response = send()
            except Throttled:
                self._pacer.throttled()
                if self._clock.monotonic() - start > patience:
                    raise
            except (Ambiguous, Unreachable):
                raise
            except ServiceError:
                self._pacer.let_through()
                raise
            else:
                self._pacer.let_through()
                return response

    def _once(self, operation: str, action: str, resource: str, **parameters: object) -> Any:
        def send() -> Any:
            names = self._clients.client("iam", once=True).meta.method_to_api_mapping
            return self._clients.send("iam", names[operation], parameters)

        try:
            return call(action, resource, send, mutates=action not in _READS)
        except UnknownKey as error:
            failure = self._why_unknown() or error
        raise failure

    def _why_unknown(self) -> BadCredentials | None:
        """Return why IAM alone does not accept the own session; None if STS does not either, or for a long-term key."""
        try:
            if not self._clients.own_key().startswith(_TEMPORARY):
                return None
            sts = self._clients.client("sts")
            arn: str = call("sts:GetCallerIdentity", "", sts.get_caller_identity, mutates=False)["Arn"]
        except ServiceError:
            return None
        return session_without_mfa(arn)


def _machine_user(user: Any, account_name: str) -> MachineUser:
    # A run over many accounts keeps thousands of users: they share what is the same for all of an account.
    account, path = sys.intern(user["Arn"].split(":")[4]), sys.intern(user["Path"])
    return MachineUser(user["UserName"], path, user["UserId"], account, user["Arn"], account_name)


def _access_key(key: Any) -> AccessKey:
    # The SDK's time has a time zone of its own, which takes half a kilobyte.
    return AccessKey(key["AccessKeyId"], key["Status"] == "Active", key["CreateDate"].astimezone(UTC))
