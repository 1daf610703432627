"""The evidence of a run of ``twokey revoke``: two files in a directory, and their hashes in the audit log.

The directory is checked before anything is called: a mistake in it must not show after the keys are Inactive.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey import __version__
from twokey.aws.sts import Sts
from twokey.core import timestamps
from twokey.core.commands import rotate_command
from twokey.core.errors import ServiceError, UsageError
from twokey.core.reasons import Revocation
from twokey.revocation import evidence
from twokey.revocation.evidence import Change, Delivery, EvidenceDocument, LeakedKey, Left, Session, UserRecord
from twokey.system.report_files import ReportFile
from twokey.system.safe_files import PRIVATE_DIRECTORY, remedy_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from twokey.aws.clients import Clients
    from twokey.fleet.auditing import Auditing
    from twokey.revocation.order import Power
    from twokey.revocation.results import RevokeResult

OPTION = "--evidence"
UNKNOWN = "unknown"


class Keeping:
    """Writes the evidence of one run; or does nothing where none is requested."""

    def __init__(self, clients: Clients, command: str, files: tuple[ReportFile, ReportFile] | None, name: str) -> None:
        self._clients, self._command, self._files, self._name = clients, command, files, name
        self._began = clients.clock.monotonic()
        self._requests = clients.record_requests() if files else None

    def write(
        self, audit: Auditing | None, results: Sequence[RevokeResult], powers: Mapping[str, Power]
    ) -> tuple[str, ...]:
        """Write both files, and their hashes into the audit log; return the files' names.

        ``powers``: what the keys of the users could do, by name, as far as that was read.

        Raises ``Failed`` where a file cannot be written any more, and ``AuditLogFailed``.
        """
        if self._files is None or self._requests is None:
            return ()
        users = [_record(one, str(powers.get(one.user.name, ""))) for one in results]
        document = self._document(users, [left for one in results for left in _left(one)])
        as_json = evidence.as_json(document)
        page = evidence.as_markdown(document, f"{self._name}.json", evidence.digest(as_json))
        for file, text in zip(self._files, (as_json, page), strict=True):
            file.write(text)
        names = (f"{self._name}.json", f"{self._name}.md")
        if audit is not None:
            audit.evidence({name: evidence.digest(text) for name, text in zip(names, (as_json, page), strict=True)})
        return names

    def _document(self, users: Sequence[UserRecord], left: Sequence[Left]) -> EvidenceDocument:
        account, caller = self._caller()
        clock = self._clients.clock
        # The clock is that of AWS only since its first response, which came after the beginning.
        now = clock.now()
        began = now - timedelta(seconds=clock.monotonic() - self._began)
        return EvidenceDocument(
            version=evidence.VERSION,
            command=self._command,
            run=self._clients.run,
            twokey=__version__,
            account=account,
            caller=caller,
            began=timestamps.whole_second(began),
            ended=timestamps.whole_second(now),
            users=list(users),
            left=list(left),
            changes=[
                Change(timestamps.whole_second(one.at), one.action, one.subject, one.request_id, one.status)
                for one in (self._requests.sent if self._requests else ())
            ],
        )

    def _caller(self) -> tuple[str, str]:
        try:
            return Sts(self._clients).caller()
        except ServiceError:
            return UNKNOWN, UNKNOWN


def _record(result: RevokeResult, power: str) -> UserRecord:
    rotation = result.rotation
    return UserRecord(
        account=result.user.account,
        user=result.user.name,
        path=result.user.path,
        power=power,
        leaked=[
            *(LeakedKey(one.key_id, timestamps.whole_second(one.at), one.request_id) for one in result.contained),
            *(LeakedKey(key_id, None, message="it may still be Active") for key_id in result.active),
        ],
        outcome=result.outcome.value,
        message=result.message,
        current=rotation.current if rotation else "",
        removed=list(rotation.removed) if rotation else [],
        destinations=[
            Delivery(one.destination, one.outcome, one.message) for one in (rotation.destinations if rotation else ())
        ],
        sessions=[Session(one.role, one.outcome, one.policy, one.message) for one in result.sessions],
    )


def _left(result: RevokeResult) -> Iterator[Left]:
    """Yield what could not be done for a user."""
    user = result.user.name
    if result.outcome is not Revocation.REVOKED:
        yield Left(user, result.message, result.continues)
    for one in result.rotation.destinations if result.rotation else ():
        if one.outcome == "failed":
            yield Left(user, f"{one.destination} does not have the new key: {one.message}", rotate_command(user))
    for session in result.sessions:
        # What the operator keeps has no policy; what is to be put on roles elsewhere has one.
        if session.outcome != "ended" and session.policy:
            yield Left(user, f"Sessions of {session.role} may still work: {session.message}", "")
    for warning in result.warnings:
        yield Left(user, warning, "")


@contextmanager
def keeping(folder: Path | None, clients: Clients, command: str) -> Iterator[Keeping]:
    """Prepare the files before anything is called, and remove what was prepared if they are not written.

    ``command`` is what the operator typed. Raises ``UsageError`` where the files cannot be written.
    """
    if folder is None:
        yield Keeping(clients, command, None, "")
        return
    name = f"revoke-{timestamps.compact(clients.clock.now())}-{clients.run[:8]}"
    _make(folder)
    with ExitStack() as stack:
        as_json, page = (stack.enter_context(ReportFile(folder / f"{name}.{end}", OPTION)) for end in ("json", "md"))
        yield Keeping(clients, command, (as_json, page), name)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{OPTION}: the directory {folder} cannot be created: {error.strerror}.",
            state="Nothing was read or changed.",
            remedy=remedy_of(error) or "Name a directory whose parent exists.",
        ) from None
