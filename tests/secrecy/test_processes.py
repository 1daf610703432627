"""Real processes: what they print, write, start and leave behind, whatever is installed around them."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secrecy.outcomes import QUICK
from secrecy.processes import CHILDREN_AND_FILES, CURIOUS, DROP_IN, ISSUED, SOURCE, Tree
from support.canaries import Canaries, leaks, suspicious
from support.rig import DAY
from twokey.emulator import Emulator, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

NOSY = {"PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1", "PYTHONTRACEMALLOC": "1", "PYTHONWARNINGS": "always"}
CONFIG = f"""\
version: 1
settle: 0s
{QUICK}
machine_users:
  - path: /machine-users/
    store: file:out/{{user}}.json
    deliver: ["file:copies/{{user}}.json"]
"""


@pytest.fixture
def tree(tmp_path: Path, canaries: Canaries) -> Iterator[Tree]:
    with Emulator() as aws:
        made = Tree(tmp_path / "tree", aws, (CHILDREN_AND_FILES, CURIOUS))
        (made.here / "twokey.yaml").write_text(CONFIG)
        (made.here / "out").mkdir()
        _, current = aws.make_user("ci", path="/machine-users/", keys=2, ages=(31 * DAY, 16 * DAY))
        pair = {"AccessKeyId": current.access_key_id, "SecretAccessKey": current.secret_access_key}
        (made.here / "out" / "ci.json").write_text(json.dumps(pair))
        (made.here / "out" / "ci.json").chmod(0o600)
        yield made


def leave_unmanaged(tree: Tree) -> None:
    """Have no configuration: the drop-in refuses those that a configuration selects."""
    (tree.here / "twokey.yaml").unlink()


DESTINATIONS = {"here/out/ci.json", "here/copies/ci.json"}


class TestARun:
    def test_shows_and_writes_no_secret_but_to_the_destinations(self, tree: Tree, canaries: Canaries) -> None:
        shown = ""
        for command in (("plan",), ("status",), ("rotate", "-v"), ("rotate", "--json"), ("status", "--json")):
            ended = tree.run_forked(*command)
            assert ended.code == 0, ended.err
            shown += ended.out + ended.err
        assert leaks(shown, canaries.secrets) == []
        assert suspicious(shown) == []
        holding = {name for name, content in tree.files().items() if leaks(content, canaries.secrets)}
        assert holding == DESTINATIONS
        assert {name for name in tree.files() if name not in holding} == {
            "here/twokey.yaml",
            "here/out/ci.json.twokey-journal",
            "here/copies/ci.json.twokey-journal",
        } - {"here/copies/ci.json.twokey-journal"}

    def test_opens_nothing_for_writing_but_what_it_is_to_write_and_starts_nothing(self, tree: Tree) -> None:
        assert tree.run("rotate").code == 0
        written = {Path(name).name for name in tree.notes("file")} - {"null"}
        assert written == {
            f"{before}{name}{after}"
            for name in ("ci.json", "ci.json.twokey-journal")
            for before, after in (("", ""), (".", ".twokey-new"))
        }
        assert tree.notes("child") == []

    def test_shows_no_secret_to_those_who_look_at_the_process(self, tree: Tree, canaries: Canaries) -> None:
        tree.aws.weather.add(Rule("sts:GetCallerIdentity", nth=2, effect="hold_before"))
        with tree.start("rotate") as process:
            tree.aws.weather.wait_until_held(300)
            about = Path(f"/proc/{process.pid}")
            command, environment = (about / "cmdline").read_bytes(), (about / "environ").read_bytes()
            children = [(task / "children").read_text() for task in (about / "task").iterdir()]
            limits = (about / "limits").read_text()
            tree.aws.weather.release()
            process.communicate(timeout=300)
        own = {tree.aws.admin.secret_access_key}
        assert process.returncode == 0
        assert leaks(command, canaries.secrets) == []
        assert leaks(environment, own), "the rotator's own key is there: the search works"
        assert leaks(environment, canaries.secrets - own) == []
        assert set(children) == {""}
        assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]

    @pytest.mark.parametrize("program", [("rotate",), ("-o", "out.json", "machine-users")], ids=["rotate", "drop-in"])
    def test_that_aborts_leaves_no_core_and_shows_no_secret(
        self, tree: Tree, canaries: Canaries, program: tuple[str, ...]
    ) -> None:
        """The parent process raises the limit; the process itself lowers it again."""
        before = resource.getrlimit(resource.RLIMIT_CORE)
        if "-o" in program:
            leave_unmanaged(tree)
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
            dumps = _dumps_core()
            tree.environment = {"PYTHONFAULTHANDLER": "1"}
            tree.aws.weather.add(Rule("sts:GetCallerIdentity", nth=2, effect="hold_before"))
            with tree.start(*program, program=DROP_IN if "-o" in program else ("-m", "twokey")) as process:
                tree.aws.weather.wait_until_held(300)
                process.send_signal(signal.SIGABRT)
                _, status = os.waitpid(process.pid, 0)
                process.returncode = -os.WTERMSIG(status)
                assert process.stderr
                printed = process.stderr.read()
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, before)
        assert os.WTERMSIG(status) == signal.SIGABRT
        assert "Fatal Python error: Aborted" in printed
        assert leaks(printed, canaries.secrets) == []
        assert not os.WCOREDUMP(status), f"a program without safeguards would dump core here: {dumps}"
        holding = {name for name, content in tree.files().items() if leaks(content, canaries.secrets)}
        assert holding <= {"here/out/ci.json"} | {name for name in holding if ".iam-credential-rotation-" in name}

    def test_is_closed_to_others_of_the_same_user(self) -> None:
        code = (
            "import ctypes, sys; from twokey.system.hardening import raise_safeguards; get = ctypes.CDLL(None).prctl;"
            "before = get(3, 0, 0, 0, 0); raise_safeguards(print); print(before, get(3, 0, 0, 0, 0))"
        )
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == "1 0\n"

    def test_goes_on_where_the_system_has_no_such_safeguards(self) -> None:
        code = (
            "import sys; sys.modules['resource'] = None; sys.modules['ctypes'] = None;"
            "sys.argv = ['twokey', '--version']; from twokey.cli.main import main; main()"
        )
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("twokey ")


def _dumps_core() -> bool:
    """Say whether a process without safeguards would dump core here."""
    ended = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], cwd="/tmp", stderr=subprocess.DEVNULL)
    _, status = os.waitpid(ended.pid, 0)
    ended.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


DEFECTS = {
    "in the engine": """
        from twokey.rotation import creation
        def _defect(credential, *_):
            text = str(credential.reveal())
            raise LookupError(text)
        _patch(creation, "verify", _defect)
    """,
    "in a thread": """
        import threading
        from twokey.rotation import creation
        def _defect(credential, *rest):
            def crash(text):
                raise LookupError(text)
            thread = threading.Thread(target=crash, args=(str(credential.reveal()),))
            thread.start()
            thread.join()
            return _verify(credential, *rest)
        _verify = _patch(creation, "verify", _defect)
    """,
    "where errors are shown": """
        from twokey.fleet import pool
        from twokey.cli import defects
        def _defect(*arguments):
            text = os.environ["AWS_SECRET_ACCESS_KEY"]
            raise LookupError(text)
        _patch(pool, "run", _defect)
        _calls = []
        def _broken(error):
            _calls.append(error)
            if len(_calls) == 1:
                raise RuntimeError("the error page is broken") from error
            _show(error)
        _show = _patch(defects, "show", _broken)
    """,
    "at an interruption while an interruption is shown": """
        from twokey.fleet import pool
        from twokey.cli import terminal
        def _interrupted(*arguments):
            text = os.environ["AWS_SECRET_ACCESS_KEY"]
            raise KeyboardInterrupt(text)
        _patch(pool, "run", _interrupted)
        _calls = []
        def _again():
            _calls.append(1)
            if len(_calls) == 1:
                raise KeyboardInterrupt
            _show()
        _show = _patch(terminal, "show_interrupted", _again)
    """,
}


ENDS = {"in a thread": 0, "at an interruption while an interruption is shown": -signal.SIGINT}


class TestADefect:
    @pytest.mark.parametrize("defect", DEFECTS)
    def test_shows_no_secret_to_a_handler_that_prints_every_variable(
        self, tree: Tree, canaries: Canaries, defect: str
    ) -> None:
        tree.site = (CURIOUS, DEFECTS[defect])
        tree.environment = NOSY if defect == "in the engine" else {}
        of_the_interpreter = tree.environment or ENDS.get(defect, 0) < 0
        ended = (tree.run if of_the_interpreter else tree.run_forked)("rotate", "-v")
        assert ended.code == ENDS.get(defect, 1), ended.err
        assert "defect in twokey" in ended.out + ended.err or "Interrupted" in ended.err
        assert "Traceback" not in ended.err
        assert leaks(ended.out + ended.err, canaries.secrets) == []

    def test_of_the_drop_in_shows_no_secret_either_and_prints_what_was_created(
        self, tree: Tree, canaries: Canaries
    ) -> None:
        tree.site = (
            CURIOUS,
            """
            from twokey.drop_in import output
            def _defect(self, results):
                text = output.as_json(results)
                raise LookupError(str(text))
            _patch(output.OutFile, "finish", _defect)
        """,
        )
        leave_unmanaged(tree)
        ended = tree.run_forked("-o", "out.json", "machine-users", program=DROP_IN)
        assert ended.code == 1
        assert "Error: a defect in twokey (LookupError)" in ended.err
        assert leaks(ended.out + ended.err, canaries.secrets) == []

    def test_shows_no_secret_where_nothing_can_be_shown(self, tree: Tree, canaries: Canaries) -> None:
        """Python prints an error with its text if the handler of errors fails."""
        broken = """
            def _broken(error):
                raise RuntimeError(str(error))
            _patch(defects, "show", _broken)
        """
        tree.site = (CURIOUS, DEFECTS["where errors are shown"], broken)
        ended = tree.run_forked("rotate")
        assert ended.code == 1
        assert leaks(ended.out + ended.err, canaries.secrets) == []

    def test_would_be_shown_by_that_handler(self, tree: Tree, canaries: Canaries) -> None:
        """Without the safeguards, the handler prints the secret: it is installed, and the search finds it."""
        tree.site = (
            CURIOUS,
            DEFECTS["where errors are shown"],
            """
            from twokey.cli import main
            _patch(main, "raise_safeguards", lambda _show: None)
        """,
        )
        ended = tree.run_forked("rotate")
        assert leaks(ended.err, canaries.secrets)


class TestAKilledRun:
    @pytest.mark.parametrize("name", ["ci.json", "ci.json.twokey-journal"])
    def test_may_leave_the_file_that_it_was_writing_beside_it_for_its_owner_only(
        self, tree: Tree, canaries: Canaries, name: str
    ) -> None:
        tree.site = (
            f"""
            import signal
            def _audit(event, arguments):
                if event == "os.rename" and arguments[1] == "{name}":
                    os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(_audit)
        """,
        )
        assert tree.run_forked("rotate").code == -signal.SIGKILL
        left = tree.here / "out" / f".{name}.twokey-new"
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
        holding = {found for found, content in tree.files().items() if leaks(content, canaries.secrets)}
        assert holding == {"here/out/ci.json"} | ({"here/out/.ci.json.twokey-new"} if name == "ci.json" else set())
        tree.site = ()
        assert tree.run_forked("rotate").code == 0
        assert not left.exists()


class TestTheDropIn:
    def test_shows_the_keys_that_it_made_on_standard_output_and_nothing_else_anywhere(
        self, tree: Tree, canaries: Canaries
    ) -> None:
        leave_unmanaged(tree)
        ended = tree.run_forked("machine-users", program=DROP_IN)
        made = {pair["SecretAccessKey"] for pair in json.loads(ended.out).values()}
        assert ended.code == 0
        assert len(made) == 1
        assert made < canaries.secrets
        assert leaks(ended.out, canaries.secrets - made) == []
        assert leaks(ended.err, canaries.secrets) == []
        assert suspicious(ended.err) == []
        (tree.here / "out" / "ci.json").unlink()
        assert [name for name, content in tree.files().items() if leaks(content, canaries.secrets)] == []
        assert tree.notes("child") == []

    def test_shows_none_where_there_is_a_file(self, tree: Tree, canaries: Canaries) -> None:
        leave_unmanaged(tree)
        ended = tree.run_forked("-o", "made.json", "machine-users", program=DROP_IN)
        assert (ended.code, ended.out) == (0, "")
        assert leaks(ended.err, canaries.secrets) == []
        holding = {name for name, content in tree.files().items() if leaks(content, canaries.secrets)}
        assert holding == {"here/out/ci.json", "here/made.json"}


class TestTheEmulatorAsAServer:
    def test_prints_its_administrators_key_and_no_other(self, tree: Tree) -> None:
        """Its credentials are valid nowhere else; those of its machine users are not shown nevertheless."""
        tree.site = (ISSUED,)
        with tree.start("emulator", "--port", "0", "--machine-users", "2", "--json") as process:
            assert process.stdout
            first = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=300)
        issued = dict(line.rsplit(" ", 1) for line in tree.notes("secret"))
        assert process.returncode == 0
        assert set(issued) == {"administrator", "machine-user-1", "machine-user-2"}
        assert leaks(first, {issued.pop("administrator")})
        assert leaks(first + out + err, issued.values()) == []
