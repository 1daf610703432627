"""The formats of ``twokey audit`` by name, each with what makes its text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.reports.audit import Audit

JSON = ("json", "sarif", "ocsf", "asff")
"""The formats whose text is JSON."""
FORMATS = ("table", "json", "csv", "sarif", "ocsf", "asff", "prometheus")


def text_of(result: Audit, name: str, config: str, region: str) -> str:
    """Return the text of a format, which is not the table: that depends on where it is shown.

    ``config`` is the file that SARIF shows findings at, ``region`` that of the Security Hub which imports ASFF.
    """
    from twokey.inventory import findings, state
    from twokey.reports import documents

    titles = {rule: meaning.title for rule, meaning in {**findings.RULES, **state.RULES}.items()}
    arguments: dict[str, tuple[object, ...]] = {"sarif": (titles, config), "ocsf": (titles,), "asff": (titles, region)}
    if name == "json":
        return documents.encode(result) + "\n"
    text: str = import_module(f"twokey.reports.audit_{name}").render(result, *arguments.get(name, ()))
    return text
