"""``exec:`` real programs that deliver: what they get, what their responses mean, and how they are ended."""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from docs import pages
from support.canaries import leaks
from support.local_variables import watched
from twokey.aws.clients import Clients
from twokey.core.errors import Ambiguous, ServiceError, ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.address import with_options
from twokey.destinations.hooks import child
from twokey.destinations.registry import Services, open_destination, parse
from twokey.testing.contract import (
    SECRET,
    BackendView,
    EveryDestinationContract,
    assert_silent,
    fresh_credential,
    outcome,
)

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.core.destination import Destination

PYTHON = f"#!{sys.executable} -ISB\n"
SH = "#!/bin/sh\n"

KEEPER = """\
import json, os, pathlib, sys
message = json.load(sys.stdin)
place = pathlib.Path(sys.argv[1])
found = json.loads(place.read_text()) if place.exists() else None
if message["action"] == "deliver":
    written = found != message["credential"]
    if written:
        place.write_text(json.dumps(message["credential"]))
    print(json.dumps({"key_id": message["key_id"], "written": written}))
elif message["action"] == "held":
    print(json.dumps({"key_id": found and found["AccessKeyId"]}))
elif not os.access(place.parent, os.W_OK):
    sys.exit(3)
"""
"""A program as the page asks for: it keeps the pair in a file, and knows every action."""


@dataclass
class Folder:
    """Programs in a directory of the test's own."""

    path: Path

    def url(self, source: str, head: str = PYTHON, **options: str) -> str:
        """Write a program; return the destination that runs it."""
        file = self.path / "deliver"
        file.write_text(head + textwrap.dedent(source))
        file.chmod(0o700)
        return with_options(f"exec:{file}", {name.replace("_", "."): value for name, value in options.items()})

    def program(self, source: str, head: str = PYTHON, **options: str) -> Destination:
        """Write a program; return it as a destination."""
        return opened(self.url(source, head, **options))

    def keeper(self) -> Destination:
        """Return a program that knows everything."""
        return self.program(KEEPER, arg_1=str(self.path / "kept.json"), actions="held,preflight")

    def read(self, name: str = "kept.json") -> Any:
        """Return what a program wrote."""
        file = self.path / name
        return json.loads(file.read_text()) if file.exists() else None


def without_aws() -> Services:
    """Return what a destination is opened with; a program of one's own needs no AWS."""
    return Services(Clients("exec"))


def opened(url: str) -> Destination:
    return open_destination(url, without_aws())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def pair(credential: Credential) -> dict[str, str]:
    return {"AccessKeyId": credential.access_key_id, "SecretAccessKey": str(credential.reveal())}


def failure(destination: Destination, credential: Credential) -> ServiceError:
    error = outcome(lambda: destination.deliver(credential))
    assert isinstance(error, ServiceError)
    assert_silent(error, credential)
    assert leaks(str(error), [credential.reveal()]) == []
    return error


class Kept:
    """What the keeper keeps, seen from outside."""

    def __init__(self, folder: Folder) -> None:
        self.url = folder.keeper().name
        self._file = folder.path / "kept.json"

    def read(self) -> dict[str, str] | None:
        found: dict[str, str] | None = json.loads(self._file.read_text()) if self._file.exists() else None
        return found

    def plant(self, credential: Credential) -> None:
        self._file.write_text(json.dumps(pair(credential)))

    def written(self) -> object:
        return self._file.stat().st_mtime_ns if self._file.exists() else None


class TestAProgramThatKnowsEveryAction(EveryDestinationContract):
    @pytest.fixture
    def backend(self, folder: Folder) -> BackendView:
        return Kept(folder)

    @pytest.fixture
    def services(self) -> Services:
        return without_aws()

    @pytest.fixture
    def destination(self, backend: BackendView) -> Destination:
        return opened(backend.url)

    @pytest.fixture
    def second(self, backend: BackendView) -> Destination:
        return opened(backend.url)

    def test_it_can_refuse_before_anything_is_created(self, folder: Folder) -> None:
        program = folder.program("echo 'the vault is sealed' >&2; exit 3", SH, actions="preflight")
        with pytest.raises(
            ServiceRejected, match=r"refused to prove that a delivery would succeed.*the vault is sealed"
        ):
            program.preflight()


class TestAProgramThatOnlyDelivers:
    COUNTING = 'echo "$TWOKEY_ACTION" >> "$1"; cat > "$1.message"'

    def test_is_asked_nothing_else(self, folder: Folder) -> None:
        """It would take a question for a delivery, and there is no secret in one."""
        program = folder.program(self.COUNTING, SH, arg_1=str(folder.path / "log"))
        assert isinstance(program.held(), CannotTell)
        program.preflight()
        assert not (folder.path / "log").exists()
        program.deliver(fresh_credential())
        assert (folder.path / "log").read_text() == "deliver\n"

    def test_cannot_tell_and_that_is_no_failure(self, folder: Folder) -> None:
        holding = folder.program("", SH).held()
        assert isinstance(holding, CannotTell)
        assert not holding.failed
        assert "actions=held" in holding.why

    def test_a_stamp_that_is_never_shown_again_by_it_is_left_out(self, folder: Folder) -> None:
        assert folder.program("""echo '{"stamp": "v1"}'""", SH).deliver(fresh_credential()).stamp == ""

    def test_is_written_again_each_time(self, folder: Folder) -> None:
        program, credential = folder.program("cat >/dev/null", SH), fresh_credential()
        assert program.deliver(credential).written
        assert program.deliver(credential).written


TELLS = """\
import json, os, pathlib, sys
about = {
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "message": json.load(sys.stdin),
    "files": sorted(os.listdir("/proc/self/fd")),
    "directory": os.getcwd(),
    "umask": os.umask(0),
    "group": os.getpgrp() == os.getpid() == os.getsid(0),
}
pathlib.Path(__file__).with_name("received.json").write_text(json.dumps(about))
"""


class TestWhatAProgramGets:
    def received(self, folder: Folder, credential: Credential, **options: str) -> Any:
        folder.program(TELLS, **options).deliver(credential)
        return folder.read("received.json")

    def test_the_credential_on_standard_input(self, folder: Folder) -> None:
        credential = fresh_credential()
        message = self.received(folder, credential)["message"]
        assert message == {
            "version": 1,
            "action": "deliver",
            "destination": f"exec:{folder.path}/deliver",
            "key_id": credential.access_key_id,
            "credential": pair(credential),
        }

    def test_no_secret_with_a_question(self, folder: Folder) -> None:
        for action, request in (("held", "held"), ("preflight", "preflight")):
            getattr(folder.program(TELLS, actions="held,preflight"), request)()
            received = folder.read("received.json")
            assert received["message"] == {
                "version": 1,
                "action": action,
                "destination": received["message"]["destination"],
            }
            assert received["environment"]["TWOKEY_ACTION"] == action
            assert "TWOKEY_ACCESS_KEY_ID" not in received["environment"]

    def test_ids_in_the_environment_and_no_secret_there_or_in_an_argument(self, folder: Folder) -> None:
        credential = fresh_credential()
        received = self.received(folder, credential, arg_1="--to", arg_2="a b", arg_10="ten", **{
            f"arg_{number}": str(number) for number in range(3, 10)
        })  # fmt: skip
        assert received["arguments"] == ["--to", "a b", *map(str, range(3, 10)), "ten"]
        environment = received["environment"]
        assert environment["TWOKEY_ACTION"] == "deliver"
        assert environment["TWOKEY_ACCESS_KEY_ID"] == credential.access_key_id
        assert environment["TWOKEY_DESTINATION"].startswith("exec:/")
        del received["message"]
        assert leaks(json.dumps(received), [credential.reveal()]) == []

    def test_no_variable_of_twokeys_own_but_what_is_named(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "HTTPS_PROXY", "LD_PRELOAD_"):
            monkeypatch.setenv(name, "of twokey")
        monkeypatch.setenv("VAULT_ADDR", "https://vault.acme.test")
        monkeypatch.setenv("LC_CTYPE", "C.UTF-8")
        environment = self.received(folder, fresh_credential(), env="VAULT_ADDR")["environment"]
        assert environment["VAULT_ADDR"] == "https://vault.acme.test"
        assert "of twokey" not in environment.values()
        allowed = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VAULT_ADDR"}
        assert {name for name in environment if not name.startswith("TWOKEY_")} <= allowed

    def test_no_file_of_twokeys_own(self, folder: Folder) -> None:
        secret = folder.path / "held open"
        secret.touch()
        descriptor = os.open(secret, os.O_RDONLY)
        os.set_inheritable(descriptor, True)
        try:
            files = self.received(folder, fresh_credential())["files"]
        finally:
            os.close(descriptor)
        assert files == ["0", "1", "2", "3"]  # the last one is the listing itself

    def test_a_place_of_its_own(self, folder: Folder) -> None:
        received = self.received(folder, fresh_credential())
        assert (received["directory"], received["umask"], received["group"]) == ("/", 0o077, True)

    def test_no_shell(self, folder: Folder) -> None:
        received = self.received(folder, fresh_credential(), arg_1="$(touch pwned); `id` && * ~")
        assert received["arguments"] == ["$(touch pwned); `id` && * ~"]


class TestExitStatus:
    def test_three_proves_that_nothing_was_written(self, folder: Folder) -> None:
        error = failure(folder.program("echo 'no such vault' >&2; exit 3", SH), fresh_credential())
        assert isinstance(error, ServiceRejected)
        assert "no such vault" in error.message
        assert "Nothing was written" in error.state

    @pytest.mark.parametrize("code", [1, 2, 4, 64, 75, 126, 127, 255])
    def test_any_other_proves_nothing(self, folder: Folder, code: int) -> None:
        error = failure(folder.program(f"echo 'went wrong' >&2; exit {code}", SH), fresh_credential())
        assert isinstance(error, Ambiguous)
        assert f"exit status is {code}" in error.message
        assert "went wrong" in error.message
        assert "may have taken effect" in error.state

    def test_a_signal_proves_nothing(self, folder: Folder) -> None:
        error = failure(folder.program("kill -SEGV $$", SH), fresh_credential())
        assert isinstance(error, Ambiguous)
        assert "SIGSEGV" in error.message

    def test_a_question_that_fails_changes_nothing(self, folder: Folder) -> None:
        program = folder.program("exit 1", SH, actions="held,preflight")
        for request in (program.held, program.preflight):
            error = outcome(request)
            assert isinstance(error, Ambiguous)
            assert "changes nothing" in error.state

    def test_a_program_that_reads_nothing_may_still_be_done(self, folder: Folder) -> None:
        assert folder.program("exec 0<&-; exit 0", SH).deliver(fresh_credential()).written


class TestAnswers:
    def answering(self, folder: Folder, response: str, **options: str) -> Destination:
        return folder.program(f"cat <<'__END__'\n{response}\n__END__", SH, **options)

    @pytest.mark.parametrize(
        ("response", "holding"),
        [
            ('{"key_id": "AKIAIOSFODNN7EXAMPLE"}', Held("AKIAIOSFODNN7EXAMPLE")),
            ('{"key_id": null}', NotHeld()),
            ('{"key_id": "AKIAIOSFODNN7EXAMPLE", "more": [1]}', Held("AKIAIOSFODNN7EXAMPLE")),
        ],
    )
    def test_say_which_key_is_there(self, folder: Folder, response: str, holding: object) -> None:
        assert self.answering(folder, response, actions="held").held() == holding

    @pytest.mark.parametrize("response", ["{}", "", '{"stamp": "v7"}'])
    def test_may_leave_it_open(self, folder: Folder, response: str) -> None:
        holding = self.answering(folder, response, actions="held").held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp == ("v7" if "v7" in response else "")

    @pytest.mark.parametrize(
        "response",
        [
            '{"key_id": ""}',
            '{"key_id": "no such key"}',
            '{"key_id": 5}',
            '{"key_id": "AKIAIOSFODNN7EXAMPLE"',
            '{"stamp": 5}',
            '{"stamp": "a\\nb"}',
            '{"stamp": "' + "x" * 201 + '"}',
            '["AKIAIOSFODNN7EXAMPLE"]',
            "null",
            "not there",
            '{} {"key_id": null}',
        ],
    )
    def test_that_are_none_are_never_taken_for_an_empty_destination(self, folder: Folder, response: str) -> None:
        error = outcome(self.answering(folder, response, actions="held").held)
        assert isinstance(error, Ambiguous)
        assert "cannot be read" in error.message

    def test_without_end_are_none(self, folder: Folder) -> None:
        program = folder.program("import os\nos.write(1, b'{' + b' ' * 70_000 + b'}')", actions="held")
        assert isinstance(outcome(program.held), Ambiguous)

    def test_to_a_delivery_that_cannot_be_read_leave_it_in_doubt(self, folder: Folder) -> None:
        assert isinstance(failure(self.answering(folder, "done!"), fresh_credential()), Ambiguous)

    @pytest.mark.parametrize("response", ['{"key_id": "AKIAIOSFODNN7EXAMPLE"}', '{"key_id": null}'])
    def test_that_name_another_key_leave_it_in_doubt(self, folder: Folder, response: str) -> None:
        assert "is there now" in failure(self.answering(folder, response), fresh_credential()).message

    def test_a_stamp_is_the_one_that_shows_later(self, folder: Folder) -> None:
        program = self.answering(folder, '{"stamp": "2026-11-21T07:40:25Z"}', actions="held")
        stamp = program.deliver(fresh_credential()).stamp
        assert stamp == "2026-11-21T07:40:25Z"
        assert program.held() == CannotTell(f"{folder.path}/deliver does not report which key it holds.", stamp=stamp)

    def test_that_say_nothing_of_a_delivery_are_followed_by_a_question(self, folder: Folder) -> None:
        silent = 'if [ "$TWOKEY_ACTION" = held ]; then echo \'{"key_id": "AKIAIOSFODNN7EXAMPLE"}\'; fi'
        program = folder.program(silent, SH, actions="held")
        assert "AKIAIOSFODNN7EXAMPLE is there now" in failure(program, fresh_credential()).message
        assert program.deliver(Credential("AKIAIOSFODNN7EXAMPLE", "s" * 40)).written

    def test_a_question_afterwards_that_fails_leaves_it_in_doubt(self, folder: Folder) -> None:
        program = folder.program('[ "$TWOKEY_ACTION" = deliver ]', SH, actions="held")
        error = failure(program, fresh_credential())
        assert isinstance(error, Ambiguous)
        assert "may have taken effect" in error.state

    @pytest.mark.parametrize("stamp", ["{0}", "v1-{0}", "{0:.20}", "{1}"])
    def test_a_secret_never_comes_into_the_journal_as_a_stamp(self, folder: Folder, stamp: str) -> None:
        credential = fresh_credential()
        shown = stamp.format(credential.reveal(), base64.b64encode(credential.reveal().encode()).decode())
        error = failure(self.answering(folder, json.dumps({"stamp": shown}), actions="held"), credential)
        assert "could be the secret" in error.message


class TestStandardError:
    @pytest.mark.parametrize(
        "form",
        [
            "secret",
            "secret[::-1]",
            "secret[5:15]",
            "base64.b64encode(secret.encode()).decode()",
            "base64.b64encode(('key=' + secret).encode()).decode()",
            "base64.urlsafe_b64encode(secret.encode()).decode()",
            "secret.encode().hex()",
            "urllib.parse.quote(secret, safe='')",
            "repr(list(secret))",
            "json.dumps(message)",
            "'\\n'.join(textwrap.wrap(secret, 5))",
        ],
    )
    @pytest.mark.parametrize("code", [1, 3])
    def test_is_shown_without_the_secret(self, folder: Folder, form: str, code: int) -> None:
        program = folder.program(f"""\
            import base64, json, sys, textwrap, urllib.parse
            message = json.load(sys.stdin)
            secret = message["credential"]["SecretAccessKey"]
            print("PUT failed:", file=sys.stderr)
            print({form}, file=sys.stderr)
            sys.exit({code})
            """)
        # Always the same: a secret whose first characters look like the end of the line above leaves out that one too.
        credential = Credential("AKIAIOSFODNN7EXAMPLE", SECRET)
        error = failure(program, credential)
        assert "PUT failed:" in error.message
        assert "left out" in error.message

    def test_of_a_crashing_program_is_shown_in_one_line(self, folder: Folder) -> None:
        error = failure(folder.program("raise OSError('no route to \\033[31mvault\\007')"), fresh_credential())
        assert "no route to" in error.message
        assert "\n" not in error.message
        assert error.message.isprintable()

    def test_shows_its_end_where_it_is_long(self, folder: Folder) -> None:
        program = folder.program("""\
            import sys
            sys.stderr.write("noise " * 100_000 + "and the reason at last")
            sys.exit(1)
            """)
        error = failure(program, fresh_credential())
        assert error.message.endswith("and the reason at last.")
        assert len(error.message) < 700

    def test_is_shown_without_the_variables_that_are_passed(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VAULT_TOKEN", "hvs.abcdefghijklmnopqrstuvwxyz012345")
        program = folder.program('echo "bad token: $VAULT_TOKEN" >&2; exit 3', SH, env="VAULT_TOKEN")
        assert "abcdefgh" not in failure(program, fresh_credential()).message

    def test_no_variable_of_twokeys_own_functions_shows_the_secret(self, folder: Folder) -> None:
        credential = fresh_credential()
        program = folder.program("cat >&2; exit 1", SH)
        with watched(credential.reveal()):
            assert isinstance(outcome(lambda: program.deliver(credential)), Ambiguous)


def alive(process: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Clock:
    """A clock that stands until a program has written a file, and is then an hour ahead: its time is up."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def monotonic(self) -> float:
        return time.monotonic() + 3600 if self._file.exists() else 0.0


def gone(process: int) -> bool:
    """Wait a moment for a process to go."""
    for _ in range(1500):
        if not alive(process):
            return True
        time.sleep(0.02)
    return False


class TestTime:
    FAMILY = """\
        import os, pathlib, subprocess, sys, time
        sleeper = subprocess.Popen(["sleep", "600"], {streams})
        written = pathlib.Path(sys.argv[1] + ".part")
        written.write_text(f"[{{os.getpid()}}, {{sleeper.pid}}]")
        written.rename(sys.argv[1])
        {end}
        """

    def family(self, folder: Folder, end: str, streams: str = "", **options: str) -> Destination:
        """Return a program that starts another one."""
        source = textwrap.dedent(self.FAMILY).format(streams=streams, end=end)
        return folder.program(source, arg_1=str(folder.path / "pids.json"), **options)

    def test_that_is_up_ends_all_that_it_started_and_is_in_doubt(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(child, "TERMINATION_WAIT", 120)
        monkeypatch.setattr(child, "time", Clock(folder.path / "pids.json"))
        program = self.family(folder, "time.sleep(600)", timeout="2s")
        began = time.monotonic()
        error = failure(program, fresh_credential())
        assert time.monotonic() - began < 500
        assert isinstance(error, Ambiguous)
        assert "did not end within 2 s" in error.message
        assert all(gone(process) for process in folder.read("pids.json"))

    def test_that_is_up_ends_what_does_not_listen(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child, "TERMINATION_WAIT", 0.3)
        monkeypatch.setattr(child, "KILL_WAIT", 120)
        monkeypatch.setattr(child, "time", Clock(folder.path / "pids.json"))
        program = self.family(
            folder, "time.sleep(600)", "preexec_fn=lambda: signal.signal(15, signal.SIG_IGN)", timeout="2s"
        )
        source = folder.path / "deliver"
        source.write_text(source.read_text().replace("import os,", "import signal, os,").replace(
            "sleeper =", "signal.signal(15, signal.SIG_IGN)\nsleeper =", 1
        ))  # fmt: skip
        assert isinstance(failure(program, fresh_credential()), Ambiguous)
        assert all(gone(process) for process in folder.read("pids.json"))

    def test_that_is_up_leaves_a_moment_to_clean_up(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child, "TERMINATION_WAIT", 120)
        monkeypatch.setattr(child, "time", Clock(folder.path / "ready"))
        program = folder.program("""\
            import pathlib, signal, sys, time
            def clean(*_):
                pathlib.Path(__file__).with_name("cleaned").touch()
                sys.exit(0)
            signal.signal(signal.SIGTERM, clean)
            pathlib.Path(__file__).with_name("ready").touch()
            time.sleep(600)
            """, timeout="2s")  # fmt: skip
        assert isinstance(failure(program, fresh_credential()), Ambiguous)
        assert (folder.path / "cleaned").exists()

    def test_is_not_waited_for_where_only_what_it_left_behind_runs(self, folder: Folder) -> None:
        """The one left behind holds the pipes open."""
        began = time.monotonic()
        assert self.family(folder, "").deliver(fresh_credential()).written
        assert time.monotonic() - began < 500
        assert gone(folder.read("pids.json")[1])

    def test_is_waited_for_where_all_pipes_are_closed(self, folder: Folder) -> None:
        program = folder.program('exec 0<&- 1>&- 2>&-; sleep 0.3; touch "$1"', SH, arg_1=str(folder.path / "late"))
        program.deliver(fresh_credential())
        assert (folder.path / "late").exists()

    def test_an_interruption_ends_the_program(self, folder: Folder) -> None:
        program = self.family(folder, "time.sleep(60)")

        def interrupt() -> None:
            while folder.read("pids.json") is None:
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            program.deliver(fresh_credential())
        assert all(gone(process) for process in folder.read("pids.json"))

    def test_output_without_end_takes_no_memory(self, folder: Folder) -> None:
        program = folder.program("exec yes AKIAIOSFODNN7EXAMPLE", SH, timeout="0.5s")
        error = failure(program, fresh_credential())
        assert "did not end" in error.message


NOBODY = 65534


class TestAProgramThatOthersCouldChange:
    def refused(self, program: Destination, folder: Folder) -> str:
        """Return why the program is not run, which is the same before every action."""
        messages = {str(outcome(act)) for act in (program.preflight, lambda: program.deliver(fresh_credential()))}
        assert isinstance(outcome(program.preflight), ServiceRejected)
        assert not (folder.path / "ran").exists()
        assert len(messages) == 1
        return messages.pop()

    RUNS = 'touch "$(dirname "$0")/ran"'

    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
    def test_by_its_mode(self, folder: Folder, mode: int) -> None:
        program = folder.program(self.RUNS, SH)
        (folder.path / "deliver").chmod(mode)
        assert "chmod go-w" in self.refused(program, folder)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_by_its_owner(self, folder: Folder) -> None:
        program = folder.program(self.RUNS, SH)
        os.chown(folder.path / "deliver", NOBODY, NOBODY)
        assert f"belongs to another user (ID {NOBODY})" in self.refused(program, folder)

    @pytest.mark.parametrize("open_to_all", ["a", "a/b"])
    def test_by_a_directory_on_the_way(self, folder: Folder, open_to_all: str) -> None:
        inner = folder.path / "a" / "b"
        inner.mkdir(parents=True)
        program = Folder(inner).program(self.RUNS, SH)
        (folder.path / open_to_all).chmod(0o777)
        assert "Every user may replace the files in" in self.refused(program, Folder(inner))

    def test_by_a_directory_that_a_link_leads_to(self, folder: Folder) -> None:
        shared = folder.path / "shared"
        shared.mkdir()
        program = Folder(shared).program(self.RUNS, SH)
        shared.chmod(0o777)
        (folder.path / "link").symlink_to("shared/../shared/deliver")
        assert "Every user may replace" in self.refused(opened(f"exec:{folder.path}/link"), Folder(shared))
        shared.chmod(0o755)
        opened(f"exec:{folder.path}/link").deliver(fresh_credential())
        assert program.name

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
    def test_by_a_link_of_theirs(self, folder: Folder) -> None:
        folder.program(self.RUNS, SH)
        link = folder.path / "link"
        link.symlink_to("deliver")
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        assert "is a symbolic link that belongs to another user" in self.refused(opened(f"exec:{link}"), folder)

    def test_is_safe_where_a_directory_is_sticky(self, folder: Folder) -> None:
        """As /tmp is: no user can exchange another's file there."""
        folder.path.chmod(0o777 | stat.S_ISVTX)
        assert folder.program("", SH).deliver(fresh_credential()).written


class TestAProgramThatCannotRun:
    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (lambda _path: None, "does not exist. It was not run."),
            (lambda path: path.mkdir(), "not a regular file"),
            (lambda path: path.symlink_to(path), "too many links"),
            (os.mkfifo, "not a regular file"),
            (lambda path: path.touch(0o600), "chmod u+x"),
        ],
    )
    def test_is_found_out_before_anything_is_created(self, folder: Folder, make: Any, expected: str) -> None:
        path = folder.path / "deliver"
        make(path)
        error = outcome(opened(f"exec:{path}").preflight)
        assert isinstance(error, ServiceRejected)
        assert expected in str(error)

    @pytest.mark.parametrize("text", ["echo no interpreter is named", "#!/no/such/interpreter\n"])
    def test_was_not_run(self, folder: Folder, text: str) -> None:
        error = failure(folder.program("", text), fresh_credential())
        assert isinstance(error, ServiceRejected)
        assert "cannot be started" in error.message
        assert "not run" in error.state

    def test_through_a_file_that_is_no_directory(self, folder: Folder) -> None:
        folder.program("", SH)
        assert isinstance(outcome(opened(f"exec:{folder.path}/deliver/more").preflight), ServiceRejected)


class TestInARotation:
    def test_what_fails_is_delivered_by_the_next_run(self, rig: Rig, folder: Folder) -> None:
        rig.settled()
        broken = folder.path / "broken"
        source = KEEPER.replace(
            "import json",
            f"import pathlib, sys\nif pathlib.Path({str(broken)!r}).exists(): sys.exit(9)\nimport json",
            1,
        )
        rig.deliver = (folder.url(source, arg_1=str(folder.path / "kept.json"), actions="held"),)
        assert rig.rotate().outcome == "rotated"
        first = folder.read()["AccessKeyId"]
        rig.later(days=15)
        broken.touch()
        assert rig.rotate().outcome == "refused", "no run can tell what the destination holds"
        broken.unlink()
        assert rig.rotate().outcome == "rotated"
        assert folder.read() == {"AccessKeyId": rig.held(), "SecretAccessKey": rig.stored().secret_access_key}  # type: ignore[union-attr]
        assert first != rig.held()

    def test_a_program_that_refuses_beforehand_keeps_a_key_from_being_made(self, rig: Rig, folder: Folder) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        rig.deliver = (folder.url("echo 'the vault is sealed' >&2; exit 3", SH, actions="preflight"),)
        result = rig.rotate()
        assert result.outcome == "refused"
        assert "the vault is sealed" in result.message
        assert rig.ids() == []

    def test_a_delivery_in_doubt_is_reported_and_finished_later(self, rig: Rig, folder: Folder) -> None:
        rig.settled()
        url = folder.url("exit 9", SH)
        rig.deliver = (url,)
        assert rig.rotate().outcome == "failed"
        assert folder.url(KEEPER).partition("?")[0] == url
        source = (folder.path / "deliver").read_text().replace("sys.argv[1]", repr(str(folder.path / "kept.json")))
        (folder.path / "deliver").write_text(source)
        assert rig.rotate().outcome == "completed"
        assert folder.read()["AccessKeyId"] == rig.held()


VAULT = """\
import json, pathlib, sys
command, *rest = sys.argv[1:]
place = pathlib.Path(__file__).with_name("vault.json")
kept = json.loads(place.read_text()) if place.exists() else {}
match command:
    case "ping":
        sys.exit(pathlib.Path(__file__).with_name("sealed").exists())
    case "note":
        print(kept.get(rest[0], {}).get("note", ""))
    case "write":
        entry, _, note = rest
        kept[entry] = {"note": note, "secret": json.load(sys.stdin)}
        place.write_text(json.dumps(kept))
"""


class TestTheProgramOnThePage:
    @pytest.fixture
    def destination(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Destination:
        cli = folder.path / "vault-cli"
        cli.write_text(PYTHON + VAULT)
        cli.chmod(0o700)
        monkeypatch.setenv("PATH", os.pathsep.join((str(folder.path), str(Path(sys.executable).parent), os.defpath)))
        (source,) = pages.blocks(pages.DOCS / "reference" / "destinations" / "exec.md", "python")
        return folder.program(source, "", arg_1="aws/ci", actions="held,preflight")

    def test_delivers_tells_and_proves(self, folder: Folder, destination: Destination) -> None:
        credential = fresh_credential()
        destination.preflight()
        assert destination.held() == NotHeld()
        assert destination.deliver(credential).written
        assert folder.read("vault.json")["aws/ci"]["secret"] == pair(credential)
        assert destination.held() == Held(credential.access_key_id)

    def test_refuses_in_time(self, folder: Folder, destination: Destination) -> None:
        (folder.path / "sealed").touch()
        assert isinstance(outcome(destination.preflight), ServiceRejected)

    def test_leaves_a_failure_in_doubt(self, folder: Folder, destination: Destination) -> None:
        (folder.path / "vault.json").write_text("no JSON")
        assert isinstance(failure(destination, fresh_credential()), Ambiguous)


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("exec:deliver", "absolute path"),
            ("exec:./deliver", "absolute path"),
            ("exec:~/deliver", "absolute path"),
            ("exec:{user}/deliver", "absolute path"),
            ("exec:/opt/../deliver", "without '//'"),
            ("exec:/opt//deliver", "without '//'"),
            ("exec:/opt/./deliver", "without '//'"),
            ("exec:/opt/", "without '//'"),
            ("exec:/x?arg=1", "no option 'arg'"),
            ("exec:/x?arg.2=b", "arg.1= is missing"),
            ("exec:/x?arg.1=a&arg.3=c", "arg.2= is missing"),
            ("exec:/x?arg.0=a", "arg.1= is missing"),
            ("exec:/x?arg.01=a", "arg.1= is missing"),
            ("exec:/x?timeout=5", "not a duration"),
            ("exec:/x?timeout=61s", "at most 60s"),
            ("exec:/x?timeout=0s", "more than 0s"),
            ("exec:/x?env=A B", "env="),
            ("exec:/x?env=A,", "env="),
            ("exec:/x?env=TWOKEY_ACTION", "env="),
            ("exec:/x?actions=delivered", "held or preflight"),
            ("exec:/x?format=json", "no option"),
        ],
    )
    def test_that_cannot_be_are_refused(self, url: str, expected: str) -> None:
        with pytest.raises(UsageError, match=expected):
            parse(url)

    def test_a_variable_that_is_not_set_is_named(self) -> None:
        with pytest.raises(UsageError, match="VAULT_TOKEN is not set"):
            opened("exec:/x?env=VAULT_TOKEN")

    def test_fields_are_filled_into_arguments(self) -> None:
        filled = registry.fill("exec:/opt/deliver?arg.1=--user={user}", user="ci", path="/", account="123456789012")
        assert filled == "exec:/opt/deliver?arg.1=--user=ci"

    def test_cannot_be_a_store(self) -> None:
        with pytest.raises(UsageError, match="cannot be a store"):
            registry.open_store("exec:/x", without_aws())

    def test_an_argument_may_hold_anything(self, folder: Folder) -> None:
        url = folder.url(TELLS) + f"?arg.1={quote('a&b=c?d')}"
        opened(url).deliver(fresh_credential())
        assert folder.read("received.json")["arguments"] == ["a&b=c?d"]
