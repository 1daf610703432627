"""What the source of twokey says: which modules and packages import which, what is called, and every message.

Imports in functions and for types count, and so does a text that is the name of a module of twokey: it may be started.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import twokey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ROOT = Path(twokey.__file__).parent
MODULES = {
    ".".join(("twokey", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}

BY_NAME = {"import_module", "__import__"}
"""What imports a module by its name."""


@dataclass
class Source:
    """What tests look for in a module, found in one walk through its syntax tree: that costs as much as parsing it."""

    docstring: str | None
    imports: set[str] = field(default_factory=set)
    """Every module that is imported or named by a text, wherever in it."""
    relative: set[str] = field(default_factory=set)
    """What is imported without naming the whole module."""
    calls: set[str] = field(default_factory=set)
    """The names that are called, with dots; without what is before the dots where that is no name."""
    attributes: set[str] = field(default_factory=set)
    """The names with dots that are used, called or not."""
    annotations: set[str] = field(default_factory=set)
    """The names in the types of parameters, results and variables."""
    protocols: set[str] = field(default_factory=set)
    """The classes that say what others have to provide."""
    names: set[str] = field(default_factory=set)
    """The names that are given: to functions, classes, parameters, variables and attributes."""
    texts: list[tuple[int, str]] = field(default_factory=list)
    """Every docstring and every other text, with its line; the parts of an f-string are put together."""


@cache
def source(module: str) -> Source:
    """Return what a module's source says."""
    top = _tree(module)
    found = Source(ast.get_docstring(top))
    inside: set[int] = set()
    for node in ast.walk(top):  # an f-string comes before its parts
        found.names |= _named(node)
        if isinstance(node, ast.Constant):
            found.imports |= _imported(node)
            if isinstance(node.value, str) and id(node) not in inside:
                found.texts.append((node.lineno, node.value))
        elif isinstance(node, ast.Attribute):
            found.attributes.add(_name(node))
        elif isinstance(node, ast.Call):
            found.calls.add(_name(node.func))
            found.imports |= _imported_by_name(node)
        elif isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node)}
            parts = [str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values]
            found.texts.append((node.lineno, "".join(parts)))
        elif isinstance(node, ast.ClassDef):
            found.protocols |= {node.name for base in node.bases if _name(base).rpartition(".")[2] == "Protocol"}
        elif isinstance(node, ast.arg | ast.AnnAssign | ast.FunctionDef):
            found.annotations |= _annotated(node)
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.relative.add(f"{'.' * node.level}{node.module or ''}")
        else:
            found.imports |= _imported(node)
    return found


def imports(module: str, *, type_only: bool = True) -> frozenset[str]:
    """Return every module that a module imports, wherever in it; ``type_only``: for type checking too."""
    return frozenset(source(module).imports) if type_only else _imports_at_run_time(module)


@cache
def _imports_at_run_time(module: str) -> frozenset[str]:
    nodes = list(ast.walk(_tree(module)))
    blocks = [node for node in nodes if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    hidden = {id(node) for block in blocks for node in ast.walk(block)}
    return frozenset(name for node in nodes if id(node) not in hidden for name in _imported(node))


def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _named(node: ast.AST) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return {node.attr}
    return set()


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        names = {f"{node.module}.{alias.name}" for alias in node.names}
        return {name if name in MODULES else str(node.module) for name in names}
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
        return {node.value} & set(MODULES)
    return set()


def _annotated(node: ast.arg | ast.AnnAssign | ast.FunctionDef) -> set[str]:
    annotation = node.returns if isinstance(node, ast.FunctionDef) else node.annotation
    names = ast.walk(annotation) if annotation else ()
    return {_name(one).rpartition(".")[2] for one in names if isinstance(one, ast.Name | ast.Attribute)}


def _imported_by_name(call: ast.Call) -> set[str]:
    """Return the module that a call such as ``import_module("json")`` names."""
    if _name(call.func).rpartition(".")[2] not in BY_NAME or not call.args:
        return set()
    first = call.args[0]
    return {first.value} if isinstance(first, ast.Constant) and isinstance(first.value, str) else set()


def _name(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return f"{_name(called.value)}.{called.attr}"
    return called.id if isinstance(called, ast.Name) else ""


def package(module: str) -> str:
    """Return the package that a module belongs to: the name of its folder; empty for the top."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "twokey" else ""


@cache
def module_graph() -> Mapping[str, Collection[str]]:
    """Return the modules of ours that each module imports."""
    return {module: (imports(module) & set(MODULES)) - {module} for module in MODULES}


@cache
def package_graph() -> Mapping[str, set[str]]:
    """Return the packages that each package imports."""
    graph: dict[str, set[str]] = {package(module): set() for module in MODULES}
    for importing, imported in module_graph().items():
        graph[package(importing)] |= {package(one) for one in imported} - {package(importing), ""}
    return graph
