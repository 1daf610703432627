"""A crash at any point, shown by common tools for tracebacks: no secret is among the local variables."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from contextlib import ExitStack
from functools import cache
from io import StringIO
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import botocore.parsers
import pytest
from rich.traceback import Traceback

import twokey
from support.canaries import Canaries, leaks
from support.rig import Killed, Rig
from twokey import drop_in
from twokey.aws import cloudtrail, errors, iam, roles, sending, sts
from twokey.core.errors import TwokeyError
from twokey.core.secret import Credential, Hidden
from twokey.drop_in.managed import Managed
from twokey.drop_in.output import OutFile, StandardOutput
from twokey.rotation import creation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from secrecy.conftest import Commands

SOURCE = str(Path(twokey.__file__).parent)
OF_THE_EMULATOR = (f"{SOURCE}/emulator/", f"{SOURCE}/aws/sigv4.py", f"{SOURCE}/aws/isolated.py")
CALL, SENDING = errors.call, (cloudtrail, iam, roles, sts)
"""What sends requests to AWS, and the modules that have it by its name."""
WITHOUT_TEXT = {bool, int, float, type, FunctionType, ModuleType, NoneType, memoryview}
"""The types of most variables, of which none shows a text."""
STORES = ("secretsmanager:machine-users/{user}", "ssm:/machine-users/{user}", "file:FOLDER/{user}.json")


class Variables:
    """Looks at the local variables of twokey's functions at every line, as a crash there would show them.

    Calls inside ``errors.call`` are left out: nothing that is raised there keeps its variables, as the tests below
    prove. The emulator, with its signature check and clients in ``aws``, does not handle real secrets.
    """

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self._seen: set[tuple[CodeType, str, str]] = set()
        self._lines: set[tuple[CodeType, int]] = set()
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        for module in (errors, *SENDING):
            self._patches.enter_context(mock.patch.object(module, "call", self._call))
        sys.settrace(self._enter)
        threading.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)
        self._patches.close()

    def _call(self, *arguments: Any, **options: Any) -> Any:
        """Do what ``errors.call`` does, without a stop at each of the many calls of botocore and the emulator."""
        sys.settrace(None)
        try:
            return CALL(*arguments, **options)
        finally:
            sys.settrace(self._enter)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._look(frame, event, argument) if _is_looked_at(frame.f_code) else None

    def _look(self, frame: FrameType, _event: str, _argument: object) -> Any:
        code = frame.f_code
        self._lines.add((code, frame.f_lineno))
        for name, value in list(frame.f_locals.items()):
            if type(value) not in WITHOUT_TEXT:
                self._seen.add((code, name, _shown(value)))
        return self._look

    @property
    def lines(self) -> set[tuple[str, int]]:
        """The lines at which it looked."""
        return {(code.co_filename, line) for code, line in self._lines}

    def leaks(self) -> set[str]:
        """Return the functions, and their variables, that would give a secret away."""
        leaking = {shown for shown in {shown for *_, shown in self._seen} if leaks(shown, self._canaries.secrets)}
        found = {(code, name) for code, name, shown in self._seen if shown in leaking}
        return {f"{code.co_filename.removeprefix(SOURCE)} {code.co_name}: {name}" for code, name in found}


@cache
def _is_looked_at(code: CodeType) -> bool:
    return code.co_filename.startswith(SOURCE) and not code.co_filename.startswith(OF_THE_EMULATOR)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object that is still being created
        return ""


def _places(first: str, folder: Path) -> tuple[str, ...]:
    return tuple(url.replace("FOLDER", str(folder)) for url in (first, *(url for url in STORES if url != first)))


class TestTheVariablesOfEveryFunction:
    @pytest.mark.parametrize("store", STORES, ids=lambda url: url.partition(":")[0])
    def test_show_no_secret_at_any_line_of_a_rotation(
        self, rig: Rig, canaries: Canaries, tmp_path: Path, store: str
    ) -> None:
        rig.store_url, *others = _places(store, tmp_path)
        rig.deliver = tuple(others)
        rig.aws.make_user("ci", keys=0)
        with Variables(canaries) as variables:
            assert rig.rotate().outcome == "rotated"
            rig.later(days=15)
            assert rig.killed_at("create", "done")
            rig.later(minutes=4)
            assert rig.rotate().outcome == "rotated"
            rig.later(days=15)
            assert rig.killed_at("store", "done")
            rig.later(minutes=4)
            assert rig.rotate().outcome == "completed"
        assert variables.leaks() == set()
        assert len(variables.lines) > 500

    def test_show_no_secret_at_any_line_of_the_drop_in(self, rig: Rig, canaries: Canaries, tmp_path: Path) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=2)
        clients = rig.clients()
        messages: list[str] = []
        for output in (
            OutFile(tmp_path / "out.json", StandardOutput(StringIO()), messages.append),
            StandardOutput(StringIO()),
        ):
            with Variables(canaries) as variables:
                job = drop_in.prepare(clients, "/machine-users/", 1, Managed())
                assert drop_in.perform(job, output, say=messages.append, mask=lambda _: None, stop=threading.Event())
            output.discard()
            assert variables.leaks() == set()
        assert len(variables.lines) > 100
        assert leaks("".join(messages), canaries.secrets) == []

    def test_would_be_found(self, canaries: Canaries) -> None:
        source = "def f(credential):\n    text = credential.reveal() + ''\n    return text\n"
        scope: dict[str, Any] = {}
        exec(compile(source, f"{SOURCE}/planted.py", "exec"), scope)
        with Variables(canaries) as variables:
            scope["f"](Credential("AKIA", Hidden(canaries.take())))
        assert variables.leaks() == {"/planted.py f: text"}


def _rendered(error: BaseException) -> Iterator[tuple[str, str]]:
    """Show an error as common tools do, with all local variables, and all objects that it refers to."""
    error = error.with_traceback(_from_the_engine_on(error))
    yield "traceback", "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for longest in (10_000, 20):
        yield f"rich, {longest}", "\n".join(_of_rich(error, longest))
    stream = StringIO()
    logging.Formatter().formatException((type(error), error, error.__traceback__))
    logger = logging.Logger("crash")
    logger.addHandler(logging.StreamHandler(stream))
    logger.error("crashed", exc_info=error)
    yield "logging", stream.getvalue()
    yield "all objects", "\n".join(_everything(error))


def _of_rich(error: BaseException, longest: int) -> Iterator[str]:
    """Return the texts of which rich makes its pages: to lay them out, with source code, would take far longer."""
    trace = Traceback.extract(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_string=longest,
        locals_max_length=1_000,
    )
    for stack in trace.stacks:
        yield f"{stack.exc_type}: {stack.exc_value} {stack.notes} {stack.syntax_error}"
        for frame in stack.frames:
            yield from (f"{frame.name} {name} = {value}" for name, value in (frame.locals or {}).items())


def _from_the_engine_on(error: BaseException) -> Any:
    """Leave out the frames of the test, which knows the secrets."""
    trace = error.__traceback__
    while trace and not trace.tb_frame.f_code.co_filename.startswith(SOURCE):
        trace = trace.tb_next
    return trace


def _everything(error: BaseException | None, depth: int = 0) -> Iterator[str]:
    while error is not None and depth < 20:
        yield f"{error!r} {error.args!r} {vars(error)!r}"
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename.startswith(str(Path(__file__).parents[1])):
                continue
            yield from (
                f"{frame.f_code.co_qualname} {name} = {_shown(value)}" for name, value in frame.f_locals.items()
            )
        # Both, also where ``from None`` asks not to show the context.
        yield from _everything(error.__cause__, depth + 1)
        error, depth = error.__context__, depth + 1


STEPS = (("create", "done"), ("verify", "done"), ("store", "begin"), ("deliver", "begin"), ("commit", "done"))


class TestACrash:
    @pytest.mark.parametrize(("step", "phase"), STEPS)
    def test_in_any_step_shows_no_secret(
        self, rig: Rig, canaries: Canaries, step: str, phase: str, tmp_path: Path
    ) -> None:
        rig.deliver = (f"file:{tmp_path}/{{user}}.json",)
        rig.aws.make_user("ci", keys=0)
        rig.kill_at = (step, phase)
        with pytest.raises(Killed) as crash:
            rig.rotate()
        for how, shown in _rendered(crash.value):
            assert leaks(shown, canaries.secrets) == [], how

    @pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
    @pytest.mark.parametrize("operation", ["CreateAccessKey", "PutSecretValue", "GetSecretValue", "GetCallerIdentity"])
    def test_inside_the_sdk_shows_no_secret(
        self, rig: Rig, canaries: Canaries, operation: str, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There the variables hold requests and responses as they are; a raised error must not keep them."""
        parse = botocore.parsers.ResponseParser.parse
        _, current = rig.settled()
        rig.aws.clear_requests()

        def broken(parser: Any, response: Any, shape: Any) -> Any:
            answer = parse(parser, response, shape)
            if rig.aws.count(f"*:{operation}"):
                raise kind(f"{answer} {current.secret_access_key}")
            return answer

        monkeypatch.setattr(botocore.parsers.ResponseParser, "parse", broken)
        monkeypatch.setattr(sending, "ATTEMPTS", 1)
        _, world = rig.world()
        act: dict[str, Callable[[], object]] = {
            "CreateAccessKey": lambda: world.iam.create_key("ci"),
            "PutSecretValue": lambda: world.store.deliver(Credential("AKIAMADE", canaries.take())),
            "GetSecretValue": world.store.credential,
            "GetCallerIdentity": lambda: world.sts.identity_of(
                Credential(current.access_key_id, current.secret_access_key)
            ),
        }
        with pytest.raises((TwokeyError, KeyboardInterrupt, SystemExit)) as crash:
            act[operation]()
        for how, shown in _rendered(_without_its_words(crash.value)):
            assert leaks(shown, canaries.secrets) == [], how

    def test_with_a_secret_in_its_text_shows_its_type_only(
        self, rig: Rig, canaries: Canaries, commands: Commands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def defect(credential: Credential, *_: object) -> None:
            raise LookupError(f"no {credential.reveal()} here")

        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        monkeypatch.setattr(creation, "verify", defect)
        ran = commands.run("rotate", "--path", "machine-users", "--store", rig.store_url, "-v")
        assert ran.code == 1
        assert "A defect in twokey (LookupError)" in ran.out
        commands.assert_silent()

    def test_of_the_command_itself_shows_its_type_only(
        self, rig: Rig, commands: Commands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from twokey.fleet.runtime import Runtime

        def defect(*_: object) -> None:
            raise LookupError(rig.aws.admin.secret_access_key)

        monkeypatch.setattr(Runtime, "__init__", defect)
        ran = commands.run("rotate", "--path", "machine-users", "--store", rig.store_url)
        assert ran.code == 1
        assert "Error: a defect in twokey (LookupError)" in ran.err
        commands.assert_silent()


def _without_its_words(error: BaseException) -> BaseException:
    """An interruption keeps its message; the planted one quotes a secret, which no real one does."""
    if not isinstance(error, TwokeyError):
        error.args = ()
    return error


class TestHiddenText:
    def test_is_an_ordinary_string_but_for_what_it_shows_of_itself(self, canaries: Canaries) -> None:
        secret = canaries.take()
        hidden = Hidden(secret)
        assert hidden == secret
        assert f"{hidden}" == secret
        for shown in (
            repr(hidden),
            f"{hidden!r}",
            repr([hidden]),
            repr({"x": hidden}),
            repr(hidden[:30]),
            repr(hidden[3]),
        ):
            assert leaks(shown, {secret}) == []
            assert secret[3] not in repr(hidden[3])

    def test_is_what_a_credential_reveals(self, canaries: Canaries) -> None:
        secret = canaries.take()
        assert leaks(repr(vars_of(Credential("AKIA", secret))), {secret}) == []


def vars_of(credential: Credential) -> dict[str, object]:
    """Return what a debugger reads from the object."""
    return {name: getattr(credential, name) for name in ("access_key_id", "_Credential__secret")}
