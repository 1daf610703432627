"""The effects of the drop-in: for each user make room, create a key once, save it, prove it.

Keys are deleted and created for one user after the other, as the original tool does it. All users are read
beforehand, and each new key is proved while the next users are processed.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twokey.core.errors import AccessDenied, Ambiguous, Failed, ServiceError, TwokeyError, UsageError
from twokey.drop_in.decision import decide, to_remove

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.aws.iam import Iam
    from twokey.core.model import AccessKey, LastUse, MachineUser
    from twokey.core.ports import Clock, Sts
    from twokey.core.secret import Credential
    from twokey.drop_in.output import Output

Look = tuple["tuple[AccessKey, ...]", "LastUse | None"]
_NOT_PROVED = "A new key was not proved to work, since the run was stopped. It is in the output; try it first."
SUCCESSES = 3
INTERVAL = 0.5
TIMEOUT = 60.0
"""Seconds after which a new key counts as not working; 3 to 15 s are reported (aws-vault#170, aws-sdk-js#559)."""
WORKERS = 32
"""How many users are read, and how many new keys are proved, at a time."""


def selected(iam: Iam, path: str, max_users: int) -> list[MachineUser]:
    """List the users below the path; raises ``UsageError`` for none, and for more than ``max_users``."""
    users = list(iam.users(path))
    if not users:
        raise UsageError(f"No IAM user was found below {path}.", state="Nothing changed.", remedy="Check the path.")
    if len(users) > max_users:
        raise UsageError(
            f"{len(users)} IAM users were found below {path}, and at most {max_users} may be changed in one run.",
            state="Nothing changed.",
            remedy="Give a longer path, or allow more with --max-users.",
        )
    return users


@dataclass
class Rotation:
    """One run: what it needs, what it has created, and whether all succeeded.

    ``say`` prints a message, ``mask`` hides a new credential from a CI system's log, ``stop`` ends the run early.
    """

    iam: Iam
    sts: Sts
    clock: Clock
    own_key: str
    output: Output
    say: Callable[[str], None]
    mask: Callable[[Credential], None]
    stop: threading.Event = field(default_factory=threading.Event)
    made: dict[str, Credential] = field(default_factory=dict)
    failed: bool = False
    _denied: str = ""
    _use_unknown: bool = False
    _once: threading.Lock = field(default_factory=threading.Lock)

    def run(self, users: Sequence[MachineUser]) -> None:
        """Rotate the users one after the other; a failure of one is printed and does not stop the others.

        A key that cannot be proved is reported, and still output.
        """
        with ThreadPoolExecutor(WORKERS) as pool:
            looks = [pool.submit(self._look, user) for user in users]
            proofs: list[Future[str]] = []
            for number, (user, look) in enumerate(zip(users, looks, strict=True)):
                if self.stop.is_set():
                    pool.shutdown(wait=False, cancel_futures=True)
                    left = ", ".join(user.name for user in users[number:])
                    self._fail(f"The run was stopped; nothing was changed for {left}.")
                    break
                self._attempt(user, look)
                if user.name in self.made:
                    proofs.append(pool.submit(self._doubt, user, self.made[user.name]))
            for proof in proofs:
                doubt = _NOT_PROVED if proof.cancelled() else proof.result()
                if doubt:
                    self._fail(doubt)

    def _attempt(self, user: MachineUser, look: Future[Look]) -> None:
        try:
            self._rotate(user, *look.result())
        except ServiceError as error:
            # What failed after the first change comes as another error: see _remove and _create.
            self._fail(f"{user.name}: {error.message} Nothing was changed for it.{_remedy(error)}")
        except TwokeyError as error:
            self._fail(f"{user.name}: {error}")
        except Exception as error:  # noqa: BLE001  the credentials created so far must be output whatever happens
            self._fail(f"{user.name}: {_unforeseen(error)}")

    def _look(self, user: MachineUser) -> Look:
        keys = self.iam.keys(user.name)
        return keys, self._last_use(to_remove(keys))

    def _rotate(self, user: MachineUser, keys: tuple[AccessKey, ...], last_use: LastUse | None) -> None:
        decision = decide(user.name, keys, last_use=last_use, own_key=self.own_key, now=self.clock.now())
        if decision.refusal:
            self._fail(decision.refusal)
            return
        if decision.remove and not self._may_create(user):
            return
        for warning in decision.warnings:
            self.say(f"Warning: {warning}")
        if decision.remove:
            self._remove(user, decision.remove)
        self._create(user, decision.remove)

    def _last_use(self, key: AccessKey | None) -> LastUse | None:
        """Read when the key was last used. The original tool does not, so a denial is only a warning."""
        if key is None or self._use_unknown:
            return None
        try:
            return self.iam.last_use(key.id)
        except ServiceError as error:
            with self._once:
                if not self._use_unknown:
                    self._use_unknown = True
                    self.say(f"Warning: it is unknown whether the keys that are removed were used recently. {error}")
            return None

    def _may_create(self, user: MachineUser) -> bool:
        """Check before a key is deleted whether another may be created; an earlier success proves it."""
        if self._denied:
            self._fail(f"{user.name}: nothing was changed for it, since {self._denied}.")
            return False
        if not self.made and self.iam.may_create(user) is False:
            self._fail(
                f"{user.name}: IAM's policies do not let this principal create a key for it. "
                "Nothing was changed for it. Allow iam:CreateAccessKey, then run again."
            )
            return False
        return True

    def _remove(self, user: MachineUser, key: AccessKey) -> None:
        try:
            self.iam.delete_key(user.name, key.id)
        except Ambiguous as error:
            raise Failed(
                f"it is unknown whether its key {key.id} was deleted: {error.message}",
                state="No key was created; its other key is untouched.",
                remedy="Run again.",
            ) from None

    def _create(self, user: MachineUser, removed: AccessKey | None) -> None:
        before = f"Its older key {removed.id} was deleted; " if removed else "Nothing was deleted; "
        try:
            _, credential = self.iam.create_key(user.name)
        except Ambiguous as error:
            raise Failed(
                f"a key may have been created whose secret is lost: {error.message}",
                state=f"{before}any other key is untouched.",
                remedy=f"Look with `aws iam list-access-keys --user-name {user.name}`, and delete a key that was "
                f"created at {self.clock.now():%H:%M} UTC, before you run again: the next run would assume "
                "that it is in use.",
            ) from None
        except TwokeyError as error:
            if isinstance(error, AccessDenied):
                self._denied = f"creating a key was denied for {user.name}"
            raise Failed(
                f"no key was created: {error.message}",
                state=f"{before}any other key is untouched.",
                remedy=error.remedy or "Run again.",
            ) from None
        self.made[user.name] = credential
        # Before anything can show it.
        self.mask(credential)
        self._keep()

    def _keep(self) -> None:
        try:
            self.output.keep(self.made)
        except Failed as error:
            self._fail(f"{error} The run stops here, and outputs the credentials that it has created.")
            self.stop.set()

    def _doubt(self, user: MachineUser, credential: Credential) -> str:
        """Return why a key could not be proved, or nothing."""
        subject = f"{user.name}: the new key {credential.access_key_id}"
        end = self.clock.monotonic() + TIMEOUT
        row = 0
        while row < SUCCESSES:
            who = self._identity(credential)
            if who is not None and who != (user.account, user.arn):
                return f"{subject} authenticates as {who[1]} instead of {user.arn}. It is in the output; do not use it."
            row = row + 1 if who else 0
            if row < SUCCESSES and (self.clock.monotonic() >= end or self.stop.wait(INTERVAL)):
                return f"{subject} was not proved to work. It is in the output; try it before you rely on it."
        return ""

    def _identity(self, credential: Credential) -> tuple[str, str] | None:
        try:
            return self.sts.identity_of(credential)
        except ServiceError:
            return None

    def _fail(self, message: str) -> None:
        self.failed = True
        self.say(f"Error: {message}")


def _remedy(error: ServiceError) -> str:
    return " Run again." if isinstance(error, Ambiguous) or not error.remedy else f" {error.remedy}"


def _unforeseen(error: Exception) -> str:
    return (
        f"an unforeseen error occurred ({type(error).__name__}). List its keys before you run again: "
        "one may have been created whose secret is lost."
    )
