"""The small changes that ``make mutants`` makes to a module, each in one function, and none in what operators read.

A mutant is named by its function and by what becomes of its text, so that its name stays the same when other lines
change: ``rotation.creation:Creation._undo :: self._leased.guard() -> pass``.

Not changed are the parts that only operators read: text with a space in it, and what describes an error or an event
(``TEXTS``); nor what only helps to find a defect (``CHECKS``). Type annotations, decorators and the values of a module
or a class stay as they are, too.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from typing import TYPE_CHECKING, Any

from twokey.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERRORS = {
    name
    for name, kind in (vars(errors) | vars(builtins)).items()
    if inspect.isclass(kind) and issubclass(kind, BaseException)
}
TEXTS = {"state", "remedy", "message", "detail"}
CHECKS = {"strict", "thread_name_prefix"}
"""Arguments of ``zip`` and of pools that change nothing while twokey has no defect: they only help to find one."""
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
CALCULATED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitOr: ast.BitAnd}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
PASS = ast.Pass()
SHORT = 60
"""Characters of a call that is named with its arguments."""


Change = tuple[str, str, range, "Callable[[], None]"]


def changes(function: ast.FunctionDef) -> Iterator[Change]:
    """Find every change in a function: what stood there, what stands there then, the lines, and how to change it."""
    yield from _in_block(function, "body")


def _in_block(owner: ast.AST, field: str) -> Iterator[Change]:
    """Find the changes in a block of statements."""
    block: list[ast.stmt] = getattr(owner, field, [])
    for index, node in enumerate(block):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue

        def put(*new: ast.stmt, block: list[ast.stmt] = block, index: int = index) -> None:
            block[index : index + 1] = list(new)

        lines = _lines(node)
        for after, new in _instead_of(node):
            yield _head(node), after, lines, lambda new=new, put=put: put(*new)
        yield from ((*change[:2], lines, change[2]) for change in _in_header(node))
        for inner in ("body", "orelse", "finalbody"):
            yield from _in_block(node, inner)
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _in_handler(handler)
        if isinstance(node, ast.Match):
            yield from _in_match(node)


def _lines(node: ast.stmt) -> range:
    """Return the lines of a statement, of a compound one those before its block."""
    body = getattr(node, "body", None)
    return range(node.lineno, (max(body[0].lineno - 1, node.lineno) if body else node.end_lineno or node.lineno) + 1)


def _head(node: ast.AST) -> str:
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"raise {_call(node.exc)}"
    return ast.unparse(node).splitlines()[0]


def _call(node: ast.Call) -> str:
    text = ast.unparse(node)
    return text if len(text) < SHORT else f"{ast.unparse(node.func)}(…)"


def _instead_of(node: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """What can stand instead of a statement."""
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield "pass", [PASS]
        case ast.Continue() | ast.Break():
            yield "pass", [PASS]
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass", [PASS]
        case ast.Return(value=value) if value and not _is_false(value):
            yield "return None", [ast.Return(ast.Constant(None))]
        case ast.With(items=items, body=body) if all(item.optional_vars is None for item in items):
            yield "without it", body


def _in_header(node: ast.stmt) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Find the changes in the expressions of a statement that are not in a block of its own."""
    if isinstance(node, (ast.If, ast.While)):
        yield from _decided(node, "test", can_loop=isinstance(node, ast.If))
    inside = {"body", "orelse", "finalbody", "handlers", "cases", "annotation", "decorator_list", "returns", "args"}
    if isinstance(node, ast.FunctionDef):  # a nested one: its block follows
        return
    for name, _ in ast.iter_fields(node):
        if name not in inside:
            yield from _in_field(node, name)


def _in_field(owner: ast.AST, name: str) -> Iterator[tuple[str, str, Callable[[], None]]]:
    value = getattr(owner, name)
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, ast.AST):
                yield from _in_expression(item, lambda new, value=value, index=index: value.__setitem__(index, new))
    elif isinstance(value, ast.AST):
        yield from _in_expression(value, lambda new: setattr(owner, name, new))


def _decided(owner: Any, field: str, *, can_loop: bool = True) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Decide a condition once and for all."""
    test = getattr(owner, field)
    for value in (True, False) if can_loop else (False,):
        yield ast.unparse(test), str(value), lambda value=value: setattr(owner, field, ast.Constant(value))


def _in_expression(node: ast.AST, put: Callable[[Any], None]) -> Iterator[tuple[str, str, Callable[[], None]]]:
    if _is_text(node):
        return
    text = ast.unparse(node)
    for new in _other(node):
        yield text, ast.unparse(new), lambda new=new: put(new)
    if isinstance(node, ast.IfExp):
        yield from _decided(node, "test")
    if isinstance(node, ast.comprehension):
        for index, test in enumerate(node.ifs):
            yield ast.unparse(test), "True", lambda index=index: node.ifs.__setitem__(index, ast.Constant(value=True))
    if isinstance(node, ast.Call):
        yield from _in_call(node)
        return
    skipped = {"annotation", "args"} if isinstance(node, ast.Lambda) else {"format_spec"}
    for name, _ in ast.iter_fields(node):
        if name not in skipped:
            yield from _in_field(node, name)


def _other(node: ast.AST) -> Iterator[ast.AST]:
    """What can stand instead of an expression."""
    match node:
        case ast.Constant(value=value):
            yield from _other_value(value)
        case ast.Dict(keys=keys, values=values) if len(keys) > 1:
            for index in range(len(keys)):
                yield ast.Dict(keys[:index] + keys[index + 1 :], values[:index] + values[index + 1 :])
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in OPPOSITES:
            yield ast.Call(ast.Name(OPPOSITES[name], ast.Load()), args, keywords)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in CALCULATED:
            yield ast.BinOp(left, CALCULATED[type(op)](), right)
        case _:
            yield from _other_logic(node)


def _other_logic(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=operators, comparators=right):
            for index, operator in enumerate(operators):
                other = [*operators[:index], COMPARED[type(operator)](), *operators[index + 1 :]]
                yield ast.Compare(left, other, right)
        case ast.BoolOp(op=op, values=values):
            for index in range(len(values)):
                rest = [*values[:index], *values[index + 1 :]]
                yield ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand


def _other_value(value: object) -> Iterator[ast.AST]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
        case str():
            yield ast.Constant(value + "XX")


def _in_call(node: ast.Call) -> Iterator[tuple[str, str, Callable[[], None]]]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    describes = name in ERRORS or name in ("note", "effect")
    yield from _in_field(node, "func")
    for index, arg in enumerate(node.args):
        if describes and not (isinstance(arg, ast.Attribute) and name in ERRORS):
            continue
        if name == "cast" and index == 0:
            continue
        if not _is_none(arg) and not isinstance(arg, (ast.Starred, ast.Constant)) and name not in ("isinstance", "len"):
            yield (
                _call(node),
                f"None for {ast.unparse(arg)}",
                lambda index=index: node.args.__setitem__(index, ast.Constant(None)),
            )
        yield from _in_expression(arg, lambda new, index=index: node.args.__setitem__(index, new))
    for index, keyword in enumerate(node.keywords):
        if keyword.arg in TEXTS | CHECKS or describes:
            continue
        yield (
            _call(node),
            f"without {keyword.arg or '**' + ast.unparse(keyword.value)}",
            lambda index=index: node.keywords.__delitem__(index),
        )
        yield from _in_expression(keyword.value, lambda new, keyword=keyword: setattr(keyword, "value", new))


def _in_handler(handler: ast.ExceptHandler) -> Iterator[Change]:
    lines = range(handler.lineno, handler.body[0].lineno + 1)
    if not isinstance(handler.body[0], ast.Raise) or handler.body[0].exc:

        def again() -> None:
            handler.body[:] = [ast.Raise()]

        yield _head(handler), "raise", lines, again
    if isinstance(handler.type, ast.Tuple):
        kinds = handler.type.elts
        for index, kind in enumerate(kinds):
            yield _head(handler), f"without {ast.unparse(kind)}", lines, lambda index=index: kinds.__delitem__(index)
    yield from _in_block(handler, "body")


def _in_match(node: ast.Match) -> Iterator[Change]:
    for index, case in enumerate(node.cases):
        lines = range(case.body[0].lineno, case.body[0].lineno + 1)
        if len(node.cases) > 1:
            yield _head(case), "without it", lines, lambda index=index: node.cases.__delitem__(index)
        if case.guard:
            yield from ((*change[:2], lines, change[2]) for change in _decided(case, "guard"))
            yield from ((*change[:2], lines, change[2]) for change in _in_field(case, "guard"))
        yield from _in_block(case, "body")


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _is_text(node: ast.AST) -> bool:
    """Say whether only operators read this: a text with a space in it."""
    match node:
        case ast.Constant(value=str() as text):
            return " " in text
        case ast.JoinedStr(values=values):
            return any(_is_text(value) for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
    return isinstance(node, (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop))
