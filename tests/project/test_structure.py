"""The house stays in order: who may import whom, who may print, who may know botocore."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from hypothesis.internal.conjecture import providers

import twokey

ROOT = Path(twokey.__file__).parent
MODULES = {
    ".".join(("twokey", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}

PURE = {
    "actions",
    "adoption.decision",
    "adoption.words",
    "delivering",
    "durations",
    "errors",
    "model",
    "places",
    "plan",
    "policy",
    "ports",
    "reasons",
    "removal",
    "rest",
    "roles",
}
"""They decide and do nothing else: no I/O, no clock, no service."""
ENGINE = {
    "apply",
    "deliveries",
    "done",
    "waiting",
    "ledger",
    "lease",
    "observe",
    "preflight",
    "results",
    "rotate",
    "verify",
    "events",
    "fleet",
    "status",
    "documents",
    "adoption.givers",
    "adoption.report",
    "adoption.takeover",
}
FORBIDDEN_TO_THE_PURE = {"os", "io", "pathlib", "socket", "subprocess", "time", "random", "urllib3", "botocore", "rich"}


def imports(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in it, but for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(module: str) -> str:
    """Return the room of the house that a module lies in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_decides_without_touching_the_world(name: str) -> None:
    found = imports(MODULES[f"twokey.{name}"])
    assert set(found & set(MODULES)) <= {"twokey", *(f"twokey.{one}" for one in PURE)}
    assert {module.split(".")[0] for module in found} & FORBIDDEN_TO_THE_PURE == set()


@pytest.mark.parametrize("name", sorted(ENGINE))
def test_the_engine_knows_neither_aws_nor_the_command_line(name: str) -> None:
    rooms = {top(module) for module in imports(MODULES[f"twokey.{name}"]) if module.startswith("twokey.")}
    assert rooms & {"cli", "aws", "emulator", "config", "drop_in"} == set()


@pytest.mark.parametrize("module", sorted(name for name in MODULES if top(name) == "audit"))
def test_the_checker_of_audit_logs_shares_nothing_with_what_decides(module: str) -> None:
    """A defect of the engine must not excuse itself in the checker."""
    rooms = {top(name) for name in imports(MODULES[module]) if name.startswith("twokey.")}
    assert rooms & {"plan", "roles", "removal", "policy", "rotate", "apply", "ledger", "lease", "verify"} == set()
    assert rooms & {"cli", "aws", "emulator", "config", "drop_in"} == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_the_aws_edge_and_the_emulator_know_botocore(module: str) -> None:
    if top(module) in ("aws", "emulator"):
        return
    assert not {name for name in imports(MODULES[module]) if name.split(".")[0] in ("botocore", "boto3", "moto")}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_shipped_depends_on_the_emulator_but_its_commands(module: str) -> None:
    if top(module) == "emulator" or module in ("twokey.cli.demo", "twokey.cli.emulator"):
        return
    assert not {name for name in imports(MODULES[module]) if name.startswith("twokey.emulator")}


@pytest.mark.parametrize("module", sorted(name for name in MODULES if top(name) not in ("cli", "emulator", "drop_in")))
def test_only_the_command_line_prints(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not names & {"print", "click.echo", "sys.stdout.write", "sys.stderr.write"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_environment_is_read_where_configuration_is_read(module: str) -> None:
    """The AWS SDK reads its own; a terminal's nature is the renderer's business; the demo passes it on."""
    if module in ("twokey.cli.terminal", "twokey.cli.demo") or top(module) in ("config", "emulator", "environment"):
        return
    assert "os.environ" not in MODULES[module].read_text(encoding="utf-8")


@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE", "same") != "same", reason="asked to explore")
def test_what_hypothesis_draws_depends_on_no_module_that_is_imported() -> None:
    drawn = providers._get_local_constants()
    assert [list(drawn.set_for_type(kind)) for kind in ("integer", "float", "bytes", "string")] == [[], [], [], []]


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []
