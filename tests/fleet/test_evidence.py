"""The evidence files: refused before anything is called, private, whole, and chained into the audit log."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING

import pytest

from twokey.audit_log.verification import verify
from twokey.config.settings import AuditFile
from twokey.core.errors import UsageError
from twokey.core.model import MachineUser
from twokey.core.reasons import Reason, Revocation
from twokey.fleet.auditing import auditing
from twokey.fleet.evidence import keeping
from twokey.fleet.runtime import Runtime
from twokey.revocation.contain import Contained
from twokey.revocation.results import RevokeResult

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig


def result(runtime: Runtime, key_id: str) -> RevokeResult:
    contained = (Contained(key_id, runtime.clients.clock.now(), "request-1"),)
    user = MachineUser("ci", "/", "AIDA", "123456789012", "arn:aws:iam::123456789012:user/ci")
    return RevokeResult(user, Revocation.CONTAINED, Reason.LEAKED, "No new key.", contained)


def test_the_files_hold_the_requests_and_their_hashes_are_in_the_audit_log(rig: Rig, tmp_path: Path) -> None:
    [key] = rig.aws.make_user("ci", keys=1)
    folder, log = tmp_path / "evidence", tmp_path / "audit.log"
    runtime = Runtime()
    with (
        keeping(folder, runtime.clients, "twokey revoke ci") as evidence,
        auditing(AuditFile(log), runtime, lambda _: None) as audit,
    ):
        runtime.iam.deactivate_key("ci", key.access_key_id)
        names = evidence.write(audit, [result(runtime, key.access_key_id)], {})
    files = {path.name: path for path in folder.iterdir()}
    assert sorted(files) == sorted(names)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    document = json.loads(files[names[0]].read_text(encoding="utf-8"))
    [change] = document["changes"]
    assert (change["action"], change["subject"]) == ("iam:UpdateAccessKey", f"ci {key.access_key_id} Inactive")
    assert change["request_id"] in files[names[1]].read_text(encoding="utf-8")
    assert document["caller"].startswith("arn:aws:iam::123456789012:")
    assert document["began"] <= change["at"] <= document["ended"]
    assert document["left"] == [{"user": "ci", "what": "No new key.", "command": f"twokey revoke {key.access_key_id}"}]
    line = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    assert line["what"] == "evidence"
    assert line["files"] == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert verify(log).good


def test_a_directory_that_cannot_be_used_is_refused_before_anything_is_called(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing" / "evidence", tmp_path / "file"):
        with pytest.raises(UsageError, match=r"--evidence: "), keeping(folder, Runtime().clients, "twokey revoke ci"):
            pytest.fail("it began")
    assert rig.aws.requests == []


def test_a_run_that_ends_before_it_writes_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    with pytest.raises(KeyboardInterrupt), keeping(folder, Runtime().clients, "twokey revoke ci"):
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


def test_without_the_option_nothing_is_written(tmp_path: Path) -> None:
    runtime = Runtime()
    with (
        keeping(None, runtime.clients, "twokey revoke ci") as evidence,
        auditing(None, runtime, lambda _: None) as audit,
    ):
        assert evidence.write(audit, [], {}) == ()
    assert list(tmp_path.iterdir()) == []
