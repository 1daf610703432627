"""What a file contains after a delivery, and what is reported where it cannot be read."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from twokey.aws.clients import Clients
from twokey.core import waiting
from twokey.core.errors import Ambiguous, Refused, ServiceRejected, UsageError
from twokey.core.model import CannotTell
from twokey.core.reasons import Reason
from twokey.destinations.local.file import Revision
from twokey.destinations.registry import Services, open_destination, open_store, parse
from twokey.system.safe_files import Directory
from twokey.testing.stores import fresh_credential

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER = "another program's"


@pytest.fixture
def services() -> Services:
    return Services(Clients("file"))


def test_a_file_that_cannot_be_read_back_keeps_the_stamp_of_its_delivery_until_another_program_writes_it(
    tmp_path: Path, services: Services
) -> None:
    """Which key it holds is concluded from that alone."""
    path = tmp_path / "smtp"
    destination = open_destination(f"file:{path}?format=template&region=eu-west-1&template=$SmtpPassword", services)
    credential = fresh_credential()
    first, again = (destination.deliver(credential) for _ in range(2))
    holding = destination.held()
    assert isinstance(holding, CannotTell)
    assert (first.written, again.written) == (True, False)
    assert first.stamp == again.stamp == holding.stamp != ""
    path.write_text(OTHER)
    assert isinstance(changed := destination.held(), CannotTell)
    assert changed.stamp != first.stamp


def test_a_file_that_another_program_removes_at_once_is_in_doubt(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is replaced at once: it may have been read in between."""
    replaced = Directory.replace

    def overtaken(directory: Directory, name: str, data: memoryview) -> None:
        replaced(directory, name, data)
        (tmp_path / name).unlink()

    monkeypatch.setattr(Directory, "replace", overtaken)
    with pytest.raises(Ambiguous, match="reads back with another content"):
        open_destination(f"file:{tmp_path}/ci.json", services).deliver(fresh_credential())


def test_no_file_is_written_once_the_run_may_not_write_any_more(tmp_path: Path, services: Services) -> None:
    def refuse() -> None:
        raise Refused(Reason.LEASE_LOST, "Another run has the lease.")

    store = open_store(f"file:{tmp_path}/ci.json", services)
    record = store.load()
    writes: tuple[Callable[[], object], ...] = (
        lambda: store.save_journal(record.journal, record.revision),
        lambda: store.put(fresh_credential(), record.revision),
        lambda: store.fence(record.revision),
        lambda: store.deliver(fresh_credential()),
    )
    for write in writes:
        with waiting.also_before_effect(refuse), pytest.raises(Refused):
            write()
    assert not list(tmp_path.iterdir())


def test_a_format_that_does_not_exist_is_refused_when_the_url_is_read() -> None:
    with pytest.raises(UsageError, match="There is no format 'xml'"):
        parse("file:/x/ci.json?format=xml")


def test_a_file_ends_with_one_line_break(tmp_path: Path, services: Services) -> None:
    path = tmp_path / "ci.json"
    open_store(f"file:{path}", services).deliver(fresh_credential())
    assert path.read_text().endswith('"}\n')


def test_an_error_names_the_file_that_cannot_be_read(tmp_path: Path, services: Services) -> None:
    path = tmp_path / "ci.json"
    path.write_text(OTHER)
    store = open_store(f"file:{path}", services)
    with pytest.raises(ServiceRejected, match=re.escape(f"file:{path} contains no credential")):
        store.credential()
    (tmp_path / "ci.json.twokey-journal").write_text(OTHER)
    revision = Revision(*[hashlib.sha256(OTHER.encode()).hexdigest()] * 2)
    reads: tuple[Callable[[], object], ...] = (store.load, lambda: store.fence(revision))
    for read in reads:
        with pytest.raises(ServiceRejected, match=re.escape(f"The journal of file:{path} cannot be read")):
            read()
