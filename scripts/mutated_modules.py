"""A loaded module whose functions can be made to run other code: that of one of its mutants."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mutations import changes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FunctionType

RAN = "_mutants_ran"


@dataclass
class Mutant:
    """One change. ``lines`` are those of the statement that is changed; ``apply`` changes the module's tree."""

    name: str
    module: str
    function: str
    lines: range
    apply: Callable[[], None]


class Module:
    """A module's source, and all its mutants."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = inspect.getsourcefile(importlib.import_module(name)) or ""
        self.tree = ast.parse(inspect.getsource(importlib.import_module(name)))
        self.mutants: list[Mutant] = []
        self._names: Counter[str] = Counter()
        self._find(self.tree.body, "")

    def _find(self, body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                self._find(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef) and live(self.name, prefix + node.name):
                for before, after, lines, apply in changes(node):
                    self._add(prefix + node.name, before, after, lines, apply)

    def _add(self, function: str, before: str, after: str, lines: range, apply: Callable[[], None]) -> None:
        name = f"{self.name.removeprefix('twokey.')}:{function} :: {before} -> {after}"
        self._names[name] += 1
        if self._names[name] > 1:
            name += f" ({self._names[name]})"
        self.mutants.append(Mutant(name, self.name, function, lines, apply))

    def watch(self, ran: Callable[[int], None]) -> Callable[[], None]:
        """Make the loaded functions report the line of each statement that they run; return how to undo that."""
        tree = ast.parse(inspect.getsource(importlib.import_module(self.name)))
        _Watch().visit(tree)
        code = compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)
        vars(importlib.import_module(self.name))[RAN] = ran
        before = []
        for name in {mutant.function for mutant in self.mutants}:
            function = live(self.name, name)
            assert function
            before.append((function, function.__code__))
            function.__code__ = _code_of(code, name.split("."), function.__code__.co_firstlineno)

        def undo() -> None:
            for function, own in before:
                function.__code__ = own

        return undo

    def install(self, mutant: Mutant) -> None:
        """Make the function that is loaded run the mutant's code. There is no way back: use a process of its own."""
        function = live(self.name, mutant.function)
        assert function
        mutant.apply()
        code = compile(ast.fix_missing_locations(self.tree), self.path, "exec", dont_inherit=True)
        own = function.__code__
        mutated = _code_of(code, mutant.function.split("."), own.co_firstlineno)
        # One without the only ``super()`` refers to no class, and a loaded function cannot cease to.
        function.__code__ = mutated.replace(co_freevars=own.co_freevars)


class _Watch(ast.NodeTransformer):
    """Puts a report of its line before each statement."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, (ast.Module, ast.ClassDef)):
            return node
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, [new for one in block for new in (self._report(one), one)])
        return node

    def _report(self, node: ast.stmt) -> ast.stmt:
        call = ast.Call(ast.Name(RAN, ast.Load()), [ast.Constant(node.lineno)], [])
        return ast.copy_location(ast.Expr(call), node)


def live(module: str, function: str) -> FunctionType | None:
    """Return the function of this name as it is loaded, below what decorates it."""
    found: Any = importlib.import_module(module)
    for part in function.split("."):
        found = vars(found).get(part)
        found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    found = inspect.unwrap(found) if callable(found) else None
    return found if inspect.isfunction(found) and found.__module__ == module else None


def _code_of(code: CodeType, path: list[str], line: int) -> CodeType:
    found = [one for one in code.co_consts if inspect.iscode(one) and one.co_name == path[0]]
    if len(path) > 1:
        return _code_of(next(one for one in found if _has(one, path[1])), path[1:], line)
    return next((one for one in found if one.co_firstlineno == line), found[0])


def _has(code: CodeType, name: str) -> bool:
    return any(inspect.iscode(one) and one.co_name == name for one in code.co_consts)
