"""IAM as the engine needs it: every page read, creation sent exactly once, throttling waited out.

Permissions: each method names the IAM action it calls; ``PERMISSIONS`` lists them all.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

from twokey.aws.errors import call, in_doubt
from twokey.aws.pace import Pacer
from twokey.aws.simulator import verdict
from twokey.core.errors import Ambiguous, NotFound, ServiceError, Throttled, Unreachable
from twokey.core.model import AccessKey, LastUse, MachineUser
from twokey.core.secret import Credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from twokey.aws.clients import Clients

PERMISSIONS = {
    "look": ("iam:ListUsers", "iam:GetUser", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"),
    "rotate": ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey"),
    "preflight (optional)": ("iam:SimulatePrincipalPolicy", "iam:GetRole"),
}

_READS = frozenset((*PERMISSIONS["look"], *PERMISSIONS["preflight (optional)"]))

PATIENCE = 120.0
"""Seconds for which a request that may be repeated is repeated while AWS throttles it."""
CREATE_PATIENCE = 20.0
"""The same for CreateAccessKey: the intent in the journal speaks for a short time only."""
PAUSES = (0.4, 0.8, 1.6)
"""Seconds between the attempts of a request that may be repeated and goes unanswered: one more than pauses."""


def _nothing() -> None:
    """Do nothing: what happens before a request unless its caller wants more."""


class _GoneMeanwhile(NotFound):
    """The answer to a change was lost, and its repetition found nothing to change."""


class Iam:
    """The IAM calls for one account. Raises the errors of ``twokey.core.errors`` only."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._clock = clients.clock
        self._pacer = Pacer(clients.clock)
        self._may_create: dict[str, bool | None] = {}
        self._asking = threading.Lock()

    def users(self, path: str) -> Iterator[MachineUser]:
        """List the users below a path prefix, every page (iam:ListUsers)."""
        for page in self._pages("list_users", "iam:ListUsers", path, PathPrefix=path, MaxItems=1000):
            yield from (_machine_user(user) for user in page["Users"])

    def user(self, name: str) -> MachineUser:
        """Read one user (iam:GetUser); raises ``NotFound``."""
        return _machine_user(self._repeat("get_user", "iam:GetUser", name, UserName=name)["User"])

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        """List a user's keys, every page (iam:ListAccessKeys). Quotas lag: there may be more than two."""
        pages = self._pages("list_access_keys", "iam:ListAccessKeys", user, UserName=user)
        return tuple(_access_key(key) for page in pages for key in page["AccessKeyMetadata"])

    def last_use(self, key_id: str) -> LastUse:
        """Say when a key was last used (iam:GetAccessKeyLastUsed): it lags, by an undocumented time."""
        answer = self._repeat("get_access_key_last_used", "iam:GetAccessKeyLastUsed", key_id, AccessKeyId=key_id)
        used = answer.get("AccessKeyLastUsed", {})
        at: datetime | None = used.get("LastUsedDate")
        return LastUse(at, used.get("ServiceName", ""), used.get("Region", "")) if at else LastUse(None)

    def create_key(self, user: str, just_before: Callable[[], None] = _nothing) -> tuple[AccessKey, Credential]:
        """Create a key (iam:CreateAccessKey).

        The call is not idempotent and has no client token, so it is sent once and never repeated, but for
        throttling, which proves that nothing was made. ``just_before`` is called before each time that it is sent,
        after the wait for its turn; what it raises stops the creation, and comes out as it is.
        """
        answer = self._patiently(
            lambda: self._once("create_access_key", "iam:CreateAccessKey", user, UserName=user),
            CREATE_PATIENCE,
            just_before,
        )
        key = answer["AccessKey"]
        return _access_key(key), Credential(key["AccessKeyId"], key["SecretAccessKey"])

    def deactivate_key(self, user: str, key_id: str) -> None:
        """Make a key Inactive (iam:UpdateAccessKey); one that goes away meanwhile is fine."""
        wanted = {"UserName": user, "AccessKeyId": key_id, "Status": "Inactive"}
        try:
            self._repeat("update_access_key", "iam:UpdateAccessKey", user, **wanted)
        except _GoneMeanwhile:
            return

    def delete_key(self, user: str, key_id: str) -> bool:
        """Delete a key (iam:DeleteAccessKey); return False where IAM says that there is no such key.

        NoSuchEntity does not prove that the key is gone: IAM is eventually consistent (IAM User Guide, "Troubleshoot
        IAM"), so one of its servers may not know a key yet that was made a moment ago. It may also mean that the
        user is gone. And it follows where an earlier attempt deleted the key and its answer was lost.
        """
        try:
            self._repeat("delete_access_key", "iam:DeleteAccessKey", user, UserName=user, AccessKeyId=key_id)
        except NotFound:
            return False
        return True

    def may_create(self, user: MachineUser) -> bool | None:
        """Say whether this principal may create a key for the user; None where nobody can tell.

        Asks IAM's policy simulator (iam:SimulatePrincipalPolicy), once for each path in a run. It needs a right
        that a rotator may well lack, and it does not know all that IAM knows (``simulator.verdict``): an allow is a
        good sign, a deny that rests on the policies alone is believed, no answer is no obstacle.
        """
        with self._asking:
            if user.path not in self._may_create:
                self._may_create[user.path] = self._simulate(user)
            # A deny may be meant for the first user only; it is not believed of another unasked.
            answer = self._may_create[user.path]
            if answer is False:
                del self._may_create[user.path]
            return answer

    def _simulate(self, user: MachineUser) -> bool | None:
        try:
            source = self._principal()
            if source is None:
                return None
            answer = self._once(
                "simulate_principal_policy",
                "iam:SimulatePrincipalPolicy",
                source,
                PolicySourceArn=source,
                ActionNames=["iam:CreateAccessKey"],
                ResourceArns=[user.arn],
            )
            return verdict(answer["EvaluationResults"])
        except (ServiceError, KeyError):
            return None

    def _principal(self) -> str | None:
        sts = self._clients.client("sts")
        arn: str = call("sts:GetCallerIdentity", "", sts.get_caller_identity, effect=False)["Arn"]
        if ":assumed-role/" in arn:
            name = arn.split("/")[1]
            role: str = self._once("get_role", "iam:GetRole", name, RoleName=name)["Role"]["Arn"]
            return role
        return arn if ":user/" in arn else None

    def _pages(self, operation: str, action: str, resource: str, **parameters: object) -> Iterator[Any]:
        while True:
            page = self._repeat(operation, action, resource, **parameters)
            yield page
            if not page.get("IsTruncated"):
                return
            parameters["Marker"] = page["Marker"]

    def _repeat(self, operation: str, action: str, resource: str, **parameters: object) -> Any:
        """Send a request whose repetition does no harm, until it is answered.

        Of a change, every error but ``Ambiguous`` proves that no attempt had an effect; but for ``NotFound``, which
        is IAM's word about the present, and ``_GoneMeanwhile`` after an answer was lost.
        """
        effect, doubtful = action not in _READS, False
        for pause in (*PAUSES, None):
            try:
                return self._patiently(lambda: self._once(operation, action, resource, **parameters), PATIENCE)
            except ServiceError as error:
                failure = error
            doubtful = effect and (doubtful or isinstance(failure, Ambiguous))
            if pause is None or not isinstance(failure, (Ambiguous, Unreachable)):
                break
            # Spread apart what would otherwise come back at the same moment.
            self._clock.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311  no secret
        if doubtful and isinstance(failure, NotFound):
            raise _GoneMeanwhile(failure.message)
        raise in_doubt(failure) if doubtful else failure

    def _patiently(self, send: Callable[[], Any], patience: float, just_before: Callable[[], None] = _nothing) -> Any:
        """Send at the learned pace, and again after each throttling answer, for ``patience`` seconds."""
        start = self._clock.monotonic()
        while True:
            self._pacer.wait()
            # Outside the try: what the caller raises is no answer of IAM's.
            just_before()
            try:
                answer = send()
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
                return answer

    def _once(self, operation: str, action: str, resource: str, **parameters: object) -> Any:
        def send() -> Any:
            return getattr(self._clients.client("iam", once=True), operation)(**parameters)

        return call(action, resource, send, effect=action not in _READS)


def _machine_user(user: Any) -> MachineUser:
    account = user["Arn"].split(":")[4]
    return MachineUser(user["UserName"], user["Path"], user["UserId"], account, user["Arn"])


def _access_key(key: Any) -> AccessKey:
    return AccessKey(key["AccessKeyId"], key["Status"] == "Active", key["CreateDate"])
