"""Files that hold several credentials: one part is changed, all else stays, while other programs write."""

from __future__ import annotations

import errno
import json
import os
import shlex
import stat
import subprocess
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.configloader import raw_config_parse

from support import forked
from support.local_variables import watched
from twokey.aws.clients import Clients
from twokey.core.errors import Ambiguous, ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.local import edited_files
from twokey.destinations.registry import STORES, Services, open_destination, open_store, parse
from twokey.testing.stores import assert_silent, fresh_credential, outcome, pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
STRANGER = 12345
NEIGHBOUR = "NeighboursSecret/0123456789+abcdefghijkl"


class Profiles:
    """A shared credentials file, read by botocore."""

    scheme = "credentials-file"
    neighbours = f"# their own\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = {NEIGHBOUR}\nregion=x\n"
    broken = f"[{{user}}]\naws_access_key_id = AKIAX\n[{{user}}]\naws_secret_access_key = {NEIGHBOUR}\n"
    half = "[{user}]\naws_access_key_id = AKIAX\n"

    @staticmethod
    def options(user: str) -> str:
        return f"profile={user}"

    @staticmethod
    def read(path: Path, user: str) -> dict[str, str] | None:
        found = raw_config_parse(str(path)).get(user, {})
        if not found:
            return None
        return {"AccessKeyId": found["aws_access_key_id"], "SecretAccessKey": found["aws_secret_access_key"]}


class Lines:
    """A dotenv file, read by ``sh``."""

    scheme = "dotenv"
    neighbours = f"# their own\nexport OTHER='{NEIGHBOUR}' # theirs\nPEM='-----\nAWS=1\n-----'\n"
    broken = f"OTHER='{NEIGHBOUR}\n"
    half = "{user}_ID=AKIAX\n"

    @staticmethod
    def options(user: str) -> str:
        return f"id={user}_ID&secret={user}_SECRET"

    @staticmethod
    def read(path: Path, user: str) -> dict[str, str] | None:
        script = f'. {shlex.quote(str(path))}; printf "%s\\n" "${user}_ID" "${user}_SECRET"'
        ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={})
        key_id, secret = ran.stdout.splitlines()
        return {"AccessKeyId": key_id, "SecretAccessKey": secret} if key_id else None


class Members:
    """A JSON file."""

    scheme = "json"
    neighbours = f'{{\n    "other": {{"key": "AKIAOTHER", "secret": "{NEIGHBOUR}"}},\n    "n": [1, 2.50]\n}}\n'
    broken = f'{{"other": "{NEIGHBOUR}", '
    half = '{{"{user}": {{"key": "AKIAX"}}}}'

    @staticmethod
    def options(user: str) -> str:
        return f"id={user}.key&secret={user}.secret"

    @staticmethod
    def read(path: Path, user: str) -> dict[str, str] | None:
        found = json.loads(path.read_text()).get(user)
        return found and {"AccessKeyId": found["key"], "SecretAccessKey": found["secret"]}


KINDS: list[Any] = [Profiles, Lines, Members]


@pytest.fixture(params=KINDS, ids=[kind.scheme for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def services() -> Services:
    return Services(Clients("file"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "keys"


@pytest.fixture
def url(kind: Any, path: Path) -> str:
    return f"{kind.scheme}:{path}?{kind.options('ci')}"


@pytest.fixture
def destination(url: str, services: Services) -> Destination:
    return open_destination(url, services)


@pytest.fixture
def file(path: Path, kind: Any) -> Path:
    """The file, with content of other tools in it."""
    path.parent.mkdir()
    path.write_text(kind.neighbours)
    path.chmod(0o600)
    return path


def picture(path: Path) -> list[Any]:
    return [
        (entry.name, entry.lstat().st_mode, entry.lstat().st_ino, entry.read_bytes() if entry.is_file() else None)
        for entry in sorted(path.parent.parent.rglob("*"))
    ]


def refusals(destination: Destination) -> list[Callable[[], object]]:
    return [destination.preflight, lambda: destination.deliver(fresh_credential())]


class TestTheContract:
    def test_its_name_is_the_url(self, destination: Destination, url: str) -> None:
        assert destination.name == url

    def test_it_is_one_value_and_confirmed_by_reading(self, destination: Destination) -> None:
        assert (destination.traits.atomic, destination.traits.confirms) == (True, "value")

    def test_a_file_that_is_missing_holds_no_key_and_looking_does_not_make_it(
        self, destination: Destination, path: Path
    ) -> None:
        assert destination.held() == NotHeld()
        destination.preflight()
        assert not path.parent.exists()

    def test_a_delivery_makes_what_is_missing_and_private(
        self, destination: Destination, path: Path, kind: Any
    ) -> None:
        credential = fresh_credential()
        receipt = destination.deliver(credential)
        assert (receipt.key_id, receipt.written) == (credential.access_key_id, True)
        assert kind.read(path, "ci") == pair(credential)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_an_empty_file_is_filled(self, destination: Destination, path: Path, kind: Any) -> None:
        path.parent.mkdir()
        path.write_text("")
        assert destination.held() == NotHeld()
        credential = fresh_credential()
        destination.deliver(credential)
        assert kind.read(path, "ci") == pair(credential)

    def test_a_delivery_keeps_what_belongs_to_others(self, destination: Destination, file: Path, kind: Any) -> None:
        assert destination.held() == NotHeld()
        first, second = fresh_credential(), fresh_credential()
        for credential in (first, second):
            destination.deliver(credential)
            assert destination.held() == Held(credential.access_key_id)
            assert kind.read(file, "ci") == pair(credential)
        if kind is Members:
            assert json.loads(file.read_text()).items() >= json.loads(kind.neighbours).items()
            assert file.read_text().startswith(kind.neighbours.removesuffix("\n}\n"))
        else:
            assert file.read_text().startswith(kind.neighbours)

    def test_only_the_two_values_change_from_key_to_key(self, destination: Destination, file: Path) -> None:
        first, second = fresh_credential(), fresh_credential()
        destination.deliver(first)
        before = file.read_text()
        destination.deliver(second)
        changed = before.replace(first.access_key_id, second.access_key_id).replace(first.reveal(), second.reveal())
        assert file.read_text() == changed

    def test_delivering_twice_writes_once(
        self, destination: Destination, url: str, services: Services, file: Path
    ) -> None:
        credential = fresh_credential()
        first = destination.deliver(credential)
        before = picture(file)
        second = open_destination(url, services).deliver(credential)
        assert not second.written
        assert second.stamp == first.stamp
        assert picture(file) == before

    def test_preflight_changes_nothing(self, destination: Destination, file: Path) -> None:
        destination.deliver(fresh_credential())
        before = picture(file)
        destination.preflight()
        assert picture(file) == before

    def test_half_a_pair_is_unknown_and_made_whole_by_a_delivery(
        self, destination: Destination, file: Path, kind: Any
    ) -> None:
        file.write_text(kind.half.format(user="ci"))
        assert isinstance(destination.held(), CannotTell)
        credential = fresh_credential()
        assert destination.deliver(credential).written
        assert kind.read(file, "ci") == pair(credential)

    def test_it_is_no_store(self, url: str, services: Services, kind: Any) -> None:
        assert kind.scheme not in STORES
        with pytest.raises(UsageError, match="cannot be a store"):
            open_store(url, services)


class TestSeveralUsers:
    def test_have_their_own_parts_of_one_file(self, kind: Any, file: Path, services: Services) -> None:
        users = {user: fresh_credential() for user in ("ci", "web", "batch")}
        for _ in range(2):
            for user, credential in users.items():
                open_destination(f"{kind.scheme}:{file}?{kind.options(user)}", services).deliver(credential)
        assert {user: kind.read(file, user) for user in users} == {user: pair(key) for user, key in users.items()}

    def test_are_delivered_at_the_same_time_without_losing_one(self, kind: Any, file: Path, services: Services) -> None:
        users = {f"u{number}": fresh_credential() for number in range(24)}
        errors: list[BaseException] = []

        def deliver(user: str, credential: Credential) -> None:
            try:
                open_destination(f"{kind.scheme}:{file}?{kind.options(user)}", services).deliver(credential)
            except BaseException as error:  # noqa: BLE001  shown by the test
                errors.append(error)

        threads = [threading.Thread(target=deliver, args=entry) for entry in users.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert {user: kind.read(file, user) for user in users} == {user: pair(key) for user, key in users.items()}

    def test_are_delivered_by_several_processes_without_losing_one(self, kind: Any, file: Path) -> None:
        program = textwrap.dedent(
            """
            import sys
            from twokey.aws.clients import Clients
            from twokey.destinations.registry import Services, open_destination
            from twokey.core.secret import Credential
            services = Services(Clients("file"))
            for number in range(6):
                url = sys.argv[1].replace("USER", f"{sys.argv[2]}{number}")
                credential = Credential(f"AKIAEXAMPLE00{sys.argv[2].upper()}{number}", f"s{number}")
                open_destination(url, services).deliver(credential)
            """
        )
        url = f"{kind.scheme}:{file}?{kind.options('USER')}"
        runs = [
            forked.start(url, f"p{number}x", cwd=file.parent, env=os.environ, program=program) for number in range(3)
        ]
        assert [(run.communicate(), run.returncode) for run in runs] == [(("", ""), 0)] * 3
        for process in range(3):
            for number in range(6):
                found = kind.read(file, f"p{process}x{number}")
                assert found == {"AccessKeyId": f"AKIAEXAMPLE00P{process}X{number}", "SecretAccessKey": f"s{number}"}


class TestAnotherToolThatWritesMeanwhile:
    def when_synced(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], *, times: int) -> None:
        """Let the other tool write just after the new file was forced to disk, before it gets its name."""
        left = [times]
        real = os.fsync

        def sync(fd: int) -> None:
            real(fd)
            if left[0] and stat.S_ISREG(os.fstat(fd).st_mode):
                left[0] -= 1
                act()

        monkeypatch.setattr(os, "fsync", sync)

    def test_loses_nothing(
        self, destination: Destination, file: Path, kind: Any, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        theirs = kind.neighbours.replace(NEIGHBOUR, NEIGHBOUR[::-1])
        self.when_synced(monkeypatch, lambda: file.write_text(theirs), times=1)
        credential = fresh_credential()
        destination.deliver(credential)
        assert kind.read(file, "ci") == pair(credential)
        assert NEIGHBOUR[::-1] in file.read_text()
        assert NEIGHBOUR not in file.read_text()

    def test_may_make_the_file_that_was_missing(
        self, destination: Destination, path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path.parent.mkdir()
        self.when_synced(monkeypatch, lambda: path.write_text(kind.neighbours), times=1)
        credential = fresh_credential()
        destination.deliver(credential)
        assert kind.read(path, "ci") == pair(credential)
        assert NEIGHBOUR in path.read_text()

    def test_and_never_stops_is_told_and_nothing_of_ours_is_left(
        self, destination: Destination, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.when_synced(monkeypatch, lambda: file.write_text(file.read_text() + "\n"), times=99)
        credential = fresh_credential()
        with pytest.raises(ServiceRejected, match=r"Another program changed .* each time") as raised:
            destination.deliver(credential)
        assert_silent(raised.value, credential)
        assert credential.access_key_id not in file.read_text()
        assert [entry.name for entry in file.parent.iterdir()] == [file.name]

    def test_right_after_us_makes_the_delivery_doubtful(
        self, destination: Destination, file: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.rename

        def rename(*arguments: Any, **where: Any) -> None:
            real(*arguments, **where)
            file.write_text(kind.neighbours)

        monkeypatch.setattr(os, "rename", rename)
        credential = fresh_credential()
        with pytest.raises(Ambiguous, match="now has another content") as raised:
            destination.deliver(credential)
        assert_silent(raised.value, credential)


class TestRights:
    @pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o640, 0o600), (0o600, 0o600), (0o400, 0o400)])
    def test_are_kept_but_never_wider_than_the_owners(
        self, destination: Destination, file: Path, before: int, after: int
    ) -> None:
        file.chmod(before)
        credential = fresh_credential()
        assert destination.deliver(credential).written
        assert stat.S_IMODE(file.stat().st_mode) == after

    def test_that_are_too_wide_are_taken_away_although_the_key_is_there(
        self, destination: Destination, file: Path
    ) -> None:
        credential = fresh_credential()
        destination.deliver(credential)
        file.chmod(0o644)
        assert destination.deliver(credential).written
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


class TestTraps:
    def test_a_symbolic_link_is_not_followed(self, destination: Destination, path: Path, kind: Any) -> None:
        target = path.parent.parent / "target"
        target.write_text(kind.neighbours)
        path.parent.mkdir()
        path.symlink_to(target)
        for act in (destination.held, *refusals(destination)):
            with pytest.raises(ServiceRejected, match="symbolic link"):
                act()
        assert target.read_text() == kind.neighbours

    @needs_root
    def test_a_file_of_another_user_is_refused(self, destination: Destination, file: Path, kind: Any) -> None:
        os.chown(file, STRANGER, -1)
        for act in (destination.held, *refusals(destination)):
            with pytest.raises(ServiceRejected, match="another user"):
                act()
        assert file.read_text() == kind.neighbours

    def test_a_directory_that_every_user_may_write_in_is_refused(self, destination: Destination, file: Path) -> None:
        file.parent.chmod(0o777)
        for act in (destination.held, *refusals(destination)):
            with pytest.raises(ServiceRejected, match="Every user"):
                act()

    def test_a_full_disk_leaves_the_file_as_it_was(
        self, destination: Destination, file: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        credential = fresh_credential()
        with pytest.raises(ServiceRejected, match="No space left") as raised:
            destination.deliver(credential)
        assert_silent(raised.value, credential)
        assert file.read_text() == kind.neighbours
        assert [entry.name for entry in file.parent.iterdir()] == [file.name]

    def test_what_a_killed_run_left_is_removed(self, destination: Destination, file: Path) -> None:
        (file.parent / f".{file.name}.twokey-new").write_text("half")
        destination.deliver(fresh_credential())
        assert [entry.name for entry in file.parent.iterdir()] == [file.name]

    def test_the_line_ends_of_windows_stay(self, destination: Destination, file: Path, kind: Any) -> None:
        file.write_bytes(kind.neighbours.replace("\n", "\r\n").encode())
        credential = fresh_credential()
        destination.deliver(credential)
        assert destination.held() == Held(credential.access_key_id)
        lines = file.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"\r\n") for line in lines)

    @pytest.mark.parametrize("content", ["bom", "latin1"])
    def test_what_readers_take_for_something_else_is_unknown_and_refused(
        self, destination: Destination, file: Path, kind: Any, content: str
    ) -> None:
        data = b"\xef\xbb\xbf" + kind.neighbours.encode() if content == "bom" else b"# M\xfcller\n" + b"A=1\n"
        file.write_bytes(data)
        assert isinstance(destination.held(), CannotTell)
        for act in refusals(destination):
            with pytest.raises(ServiceRejected, match=r"byte order mark|not text in UTF-8"):
                act()
        assert file.read_bytes() == data

    def test_what_cannot_be_changed_safely_is_found_in_the_preflight(
        self, destination: Destination, file: Path, kind: Any
    ) -> None:
        broken = kind.broken.format(user="ci") if kind is Profiles else kind.broken
        file.write_text(broken)
        assert not isinstance(destination.held(), Held)
        for act in refusals(destination):
            with pytest.raises(ServiceRejected) as raised:
                act()
            assert raised.value.remedy
            assert NEIGHBOUR not in str(raised.value)
        assert file.read_text() == broken

    def test_a_part_that_readers_would_not_find_again_is_not_written(self, path: Path, services: Services) -> None:
        """A lone carriage return ends a line for some readers only."""
        destination = open_destination(f"dotenv:{path}?id=ID&secret=SECRET", services)
        path.parent.mkdir()
        path.write_bytes(b"SECRET=\r")
        for act in refusals(destination):
            with pytest.raises(ServiceRejected, match="so that all its readers would find the key"):
                act()
        assert path.read_bytes() == b"SECRET=\r"

    def test_a_name_that_leads_elsewhere_is_refused(self, kind: Any) -> None:
        for rest in ("../keys", "~/keys", "out/", "/srv/../keys"):
            with pytest.raises(UsageError):
                parse(f"{kind.scheme}:{rest}?{kind.options('ci')}")

    def test_an_unknown_option_is_refused_with_the_nearest(self, kind: Any, url: str) -> None:
        with pytest.raises(UsageError, match=r"there is no option '(formt|profil)' here; did you mean"):
            parse(f"{url}&{'profil' if kind is Profiles else 'formt'}=x")


class TestSecrets:
    def test_ours_and_others_show_in_no_variable(self, destination: Destination, file: Path) -> None:
        first, second = fresh_credential(), fresh_credential()
        with watched(first.reveal(), second.reveal(), NEIGHBOUR):
            destination.deliver(first)
            destination.held()
            destination.preflight()
            destination.deliver(second)
            destination.deliver(second)

    def test_show_in_no_error(self, destination: Destination, file: Path, kind: Any) -> None:
        file.write_text(kind.broken.replace("{user}", "ci"))
        credential = fresh_credential()
        error = outcome(lambda: destination.deliver(credential))
        assert isinstance(error, ServiceRejected)
        assert_silent(error, credential)
        assert NEIGHBOUR not in repr(vars(error)) + repr(destination.held())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("credentials-file:/x/credentials", r"expected a profile. Add \?profile=NAME"),
        ("credentials-file:/x/credentials?profile=a b", "cannot be a name here"),
        ("credentials-file:/x/credentials?profile=a&id=b", "no option 'id'"),
        ("credentials-file:/x/credentials?profile=a&format=env", "no option 'format'"),
        ("dotenv:/x/.env?id=1ST", "cannot be a name here"),
        ("dotenv:/x/.env?format=env", "format=env is unknown"),
        ("dotenv:/x/.env?format=template&template=$AccessKeyId", "is unknown"),
        ("dotenv:/x/.env?id=A&secret=A", "the name of two values"),
        ("json:/x/a.json?format=json", "format=json is unknown"),
        ("json:/x/a.json?name=a", "no option 'name'"),
        ("json:/x/a.json?id=aws..key", "expected a name before and after each dot"),
        ("json:/x/a.json?id=aws&secret=aws.secret", "'aws' is a text, so it cannot contain 'aws.secret'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_called(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(url)


@pytest.mark.parametrize("kind", [Lines, Members], indirect=True)
def test_smtp_credentials_can_be_kept_beside_others(kind: Any, file: Path, services: Services) -> None:
    url = f"{kind.scheme}:{file}?format=ses-smtp&region=eu-central-1"
    destination = open_destination(url, services)
    credential = fresh_credential()
    assert destination.deliver(credential).written
    assert not destination.deliver(credential).written
    assert destination.held() == Held(credential.access_key_id)
    other = open_destination(url.replace("eu-central-1", "eu-west-1"), services)
    assert other.deliver(credential).written


def test_a_file_that_changes_is_begun_with_again_a_few_times_only() -> None:
    assert 2 <= edited_files.ATTEMPTS <= 10
