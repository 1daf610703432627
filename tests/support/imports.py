"""Which modules and packages of twokey import which, read from the source: imports in functions and for types count."""

from __future__ import annotations

import ast
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


@cache
def tree(module: str) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str, *, type_only: bool = True) -> frozenset[str]:
    """Return every module that a module imports, wherever in it; ``type_only``: for type checking too."""
    blocks = [] if type_only else [node for node in ast.walk(tree(module)) if isinstance(node, ast.If)]
    hidden = {id(node) for block in blocks if "TYPE_CHECKING" in ast.unparse(block.test) for node in ast.walk(block)}
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return frozenset(found)


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
