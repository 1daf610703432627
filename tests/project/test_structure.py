"""The packages keep their order: which may import which, where the outside world begins, who prints.

The rules speak of folders. A module that is added to one is held to the folder's rule without a change here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis.internal.conjecture import providers

from support.imports import BY_NAME, MODULES, imports, module_graph, package, package_graph, source
from twokey.cli.main import COMMANDS
from twokey.destinations import registry
from twokey.destinations.locks import registry as locks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MAY_IMPORT = {"core": set(), "planning": {"core"}, "rotation": {"core", "planning"}}
"""The packages at the bottom, and all that each may import besides itself."""
TERMINAL = {"click", "rich"}
SDK = {"botocore", "boto3"}
PURE_LIBRARIES = {
    *("__future__", "base64", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "itertools"),
    *("math", "msgspec", "operator", "re", "shlex", "typing"),
}
"""All that a pure module may import besides ours: anything else might bring I/O, a clock, randomness or threads."""
PORTS = {name for module in MODULES if package(module) == "core" for name in source(module).protocols}
"""The types of what reaches the outside world, and of what stands in for it."""
IMPURE_CALLS = {"__import__", "eval", "exec", "input", "open", "print"}
KINDS = tuple(f"twokey.destinations.{folder}." for folder in ("ci", "hooks", "local", "stores"))
"""The folders of kinds of destination."""
CLOCKS = {"now", "today", "utcnow"}
LOADED_BY_NAME = {
    "twokey.cli.main": {f"twokey.cli.{name.replace('-', '_')}" for name in COMMANDS},
    "twokey.cli.audit_formats": {
        name for name in MODULES if name.startswith(("twokey.reports.html", "twokey.reports.audit_"))
    },
    "twokey.destinations.registry": set(registry.SCHEMES.values()),
    "twokey.destinations.locks.registry": set(locks.SCHEMES.values()),
}
"""The modules of ours that a module imports by names which it computes."""


def distributions(modules: Iterable[str]) -> set[str]:
    """Return the first part of each name."""
    return {name.split(".")[0] for name in modules}


def cycles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach each other (Tarjan, "Depth-First Search and Linear Graph Algorithms")."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def loaded_modules() -> dict[str, set[str]]:
    """Return what the import of each module loads sooner or later: the packages above a module, too."""
    return {
        module: {
            above
            for name in {*imported, *LOADED_BY_NAME.get(module, ())}
            for above in (name, *packages_above(name))
            if above in MODULES and above != module and above not in packages_above(module)
        }
        for module, imported in module_graph().items()
    }


def packages_above(module: str) -> list[str]:
    """Return the packages that a module is in, whose ``__init__`` runs before the module."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


PURE = sorted(
    module for module in MODULES if package(module) == "planning" or module.endswith((".decision", ".invariants"))
)


class TestImports:
    def test_the_search_for_cycles_finds_one(self) -> None:
        assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]

    @pytest.mark.parametrize("module", sorted(MODULES))
    def test_imports_name_the_whole_module(self, module: str) -> None:
        assert not source(module).relative

    def test_no_modules_import_each_other_type_only_and_late_imports_included(self) -> None:
        assert cycles(loaded_modules()) == []

    def test_imports_by_computed_names_are_known(self) -> None:
        by_name = {name for name in MODULES if {one.rpartition(".")[2] for one in source(name).calls} & BY_NAME}
        assert {name for name in by_name if package(name) != "emulator"} == set(LOADED_BY_NAME)

    def test_the_package_itself_imports_nothing(self) -> None:
        assert imports("twokey") == set()

    def test_no_packages_import_each_other(self) -> None:
        assert cycles(package_graph()) == []

    @pytest.mark.parametrize("name", MAY_IMPORT)
    def test_the_packages_at_the_bottom_import_no_others(self, name: str) -> None:
        assert package_graph()[name] <= MAY_IMPORT[name]

    @pytest.mark.parametrize("module", sorted(module for module in MODULES if package(module) != "cli"))
    def test_nothing_below_the_command_line_imports_a_terminal_library(self, module: str) -> None:
        assert not distributions(imports(module)) & TERMINAL

    @pytest.mark.parametrize("module", sorted(module for module in MODULES if package(module) != "aws"))
    def test_only_the_aws_edge_imports_the_sdk(self, module: str) -> None:
        assert not distributions(imports(module)) & SDK

    @pytest.mark.parametrize("module", sorted(module for module in MODULES if package(module) != "emulator"))
    def test_nothing_imports_the_emulator_or_moto_but_the_commands_that_start_it(self, module: str) -> None:
        starts_it = module.removeprefix("twokey.cli.") in ("demo", "drill", "emulator", "rehearse_stage")
        assert "moto" not in distributions(imports(module))
        assert starts_it or "emulator" not in {package(name) for name in imports(module)}

    def test_the_entry_points_are_on_top(self) -> None:
        assert {name for name, below in package_graph().items() if "cli" in below} == {"__main__"}
        assert {name for name, below in package_graph().items() if {"testing", "serverless"} & set(below)} == set()
        assert {name for name, below in package_graph().items() if "api" in below} <= {"serverless"}

    @pytest.mark.parametrize("module", sorted(module for module in MODULES if package(module) == "jobs"))
    def test_what_runs_beside_a_job_reaches_services_through_ports_alone(self, module: str) -> None:
        assert {package(name) for name in imports(module)} <= {"", "core", "jobs", "system"}

    def test_a_module_that_is_only_named_by_a_text_counts_as_imported(self) -> None:
        assert "twokey.destinations.locks.s3" in imports("twokey.destinations.locks.registry")

    @pytest.mark.parametrize("module", sorted(module for module in MODULES if module.startswith(KINDS)))
    def test_kinds_of_one_folder_share_with_those_of_others_only_formats_and_logins(self, module: str) -> None:
        folder = f"{module.rpartition('.')[0]}."
        assert not {name for name in imports(module) if name.startswith(KINDS) and not name.startswith(folder)}

    @pytest.mark.parametrize("module", sorted(module for module in MODULES if package(module) == "audit_log"))
    def test_the_checker_of_audit_logs_shares_nothing_with_what_decides(self, module: str) -> None:
        """A defect of the engine must not excuse itself in the checker."""
        assert {package(name) for name in imports(module, type_only=False)} <= {"", "audit_log", "core", "system"}


class TestPurity:
    def test_the_decisions_are_among_the_pure_modules(self) -> None:
        assert {"twokey.planning.decision", "twokey.adoption.decision", "twokey.drop_in.decision"} <= set(PURE)

    @pytest.mark.parametrize("module", PURE)
    def test_what_decides_does_no_io_and_has_no_clock_and_no_randomness(self, module: str) -> None:
        assert distributions(imports(module)) <= {"twokey", *PURE_LIBRARIES}
        assert not source(module).calls & IMPURE_CALLS
        assert not {name.rpartition(".")[2] for name in source(module).calls if "." in name} & CLOCKS
        assert not {f"{kind}.{clock}" for kind in ("datetime", "date") for clock in CLOCKS} & source(module).attributes

    def test_ports_are_those_of_the_services_and_of_the_destinations(self) -> None:
        assert {"Clock", "Iam", "Sts", "Destination", "Store"} <= PORTS

    @pytest.mark.parametrize("module", PURE)
    def test_what_decides_gets_no_port_by_its_name_or_without_a_type(self, module: str) -> None:
        assert not source(module).annotations & {*PORTS, "Any"}


class TestTheOutside:
    @pytest.mark.parametrize(
        "module", sorted(name for name in MODULES if package(name) not in ("cli", "emulator", "drop_in"))
    )
    def test_only_the_command_line_prints(self, module: str) -> None:
        assert not source(module).calls & {"print", "click.echo", "sys.stdout.write", "sys.stderr.write"}

    @pytest.mark.parametrize("module", sorted(MODULES))
    def test_environment_variables_are_read_in_one_module(self, module: str) -> None:
        """The AWS SDK reads its own; the terminal's nature and the demo's children are the command line's."""
        if module in ("twokey.system.environment", "twokey.cli.terminal", "twokey.cli.demo", "twokey.cli.drill"):
            return
        if package(module) != "emulator":
            assert "os.environ" not in MODULES[module].read_text(encoding="utf-8")

    def test_time_stamps_are_written_in_one_module(self) -> None:
        """CloudTrail's records, which are only read, have this form and two others."""
        formats = {name for name in MODULES if any("%SZ" in text for _, text in source(name).texts)}
        assert formats == {"twokey.core.timestamps", "twokey.aws.cloudtrail"}

    @pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") == "explore", reason="asked to explore")
    def test_what_hypothesis_draws_depends_on_no_module_that_is_imported(self) -> None:
        drawn = providers._get_local_constants()
        assert [list(drawn.set_for_type(kind)) for kind in ("integer", "float", "bytes", "string")] == [[], [], [], []]


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name in MODULES if not source(name).docstring] == []
