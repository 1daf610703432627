"""The formats of ``twokey audit`` by name, each with what makes its text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.reports.audit import Audit

JSON = ("json", "sarif", "ocsf", "asff")
"""The formats whose text is JSON."""
FORMATS = ("table", "json", "csv", "sarif", "ocsf", "asff", "prometheus", "html")


def text_of(result: Audit, name: str, config: str, region: str) -> str:
    """Return the text of a format, which is not the table: that depends on where it is shown.

    ``config`` is the file that SARIF shows findings at, ``region`` that of the Security Hub which imports ASFF.
    """
    from twokey.reports import documents

    arguments: dict[str, tuple[object, ...]] = {
        "sarif": (titles(), config),
        "ocsf": (titles(),),
        "asff": (titles(), region),
        "html": (titles(),),
    }
    if name == "json":
        return documents.encode(result) + "\n"
    module = "html" if name == "html" else f"audit_{name}"
    text: str = import_module(f"twokey.reports.{module}").render(result, *arguments.get(name, ()))
    return text


def titles() -> dict[str, str]:
    """Return the title of each rule that a finding of an audit may be of."""
    from twokey.inventory import findings, state

    return {rule: meaning.title for rule, meaning in {**findings.RULES, **state.RULES}.items()}
