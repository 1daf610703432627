"""Rendering: an audit, or several of one account, as one HTML page.

The page loads nothing. Its policy (W3C, "Content Security Policy Level 3") allows the one style sheet and the one
script in it, by their hashes, and nothing else: no image, no form, no connection, no style attribute.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from twokey import __version__
from twokey.core.errors import UsageError
from twokey.reports.html.ages import WINDOW, ages
from twokey.reports.html.groups import controls, groups, without_findings
from twokey.reports.html.history import earlier_events, history
from twokey.reports.html.strips import strip
from twokey.reports.html.timeline import LANE, timelines
from twokey.reports.html.users import MEANINGS, age, days, latest_use, rows
from twokey.reports.html.verdict import verdict
from twokey.reports.html.weeks import calendar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template

    from twokey.reports.audit import Audit

TEMPLATE = "page.html"
AT_ONCE = 250
"""Users in one table. A browser lays out a table when it comes into view, and all of it."""


def render(audits: Sequence[Audit], titles: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the page of the latest audit; with earlier ones of the same account, also the history.

    ``titles`` has the title of each rule that a finding may be of.
    """
    template = template_of(TEMPLATE)
    ordered = sorted(audits, key=lambda one: one.generated)
    latest = ordered[-1]
    users = rows(latest)
    style, script = text_of("page.css"), text_of("page.js")
    return template.render(
        version=__version__,
        policy=policy(style, script),
        style=style,
        script=script,
        audit=latest,
        rows=users,
        at_once=AT_ONCE,
        accounts=sorted({row.user.account for row in users} | {latest.account}),
        verdict=verdict(latest, users),
        groups=groups(latest.findings, titles),
        controls=controls(latest.findings),
        without=without_findings(latest, titles),
        ages=ages(users),
        window_at=WINDOW,
        timelines=timelines(users, earlier_events(ordered)),
        lane=LANE,
        calendar=calendar(users, latest.generated),
        outdated=[(row, one) for row in users for one in row.outdated],
        destinations=any(row.user.destinations and not row.untouched for row in users),
        history=history(ordered),
        meanings=MEANINGS,
        age=age,
        days=days,
        latest_use=latest_use,
        strip=strip,
    )


def policy(style: str, script: str = "") -> str:
    """Return the page's Content-Security-Policy; without a script, none may run."""
    scripts = f"script-src '{_hash(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; {scripts}base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def text_of(name: str) -> str:
    """Return the text of a file of this package."""
    return (files("twokey.reports.html") / name).read_text(encoding="utf-8").strip()


@cache
def template_of(name: str) -> Template:
    """Return a template of this package; raises ``UsageError`` where jinja2 is not installed."""
    try:
        import jinja2
    except ImportError:
        raise UsageError(
            "The HTML report needs jinja2, which is not installed.",
            remedy="Install twokey with the extra `report`: from a checkout, pip install '.[report]'; from a wheel, "
            "pip install 'FILE.whl[report]'.",
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text_of),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=harmless,
    )
    environment.filters |= FILTERS
    return environment.get_template(name)


def harmless(value: Any) -> Any:
    """Return a value without what a browser, or a CI system that logs the page, would obey; the rest is escaped.

    Characters that are not printable are shown as Python writes them: among them controls, and those that change the
    direction of the text after them. ``##`` begins commands of Azure Pipelines and TeamCity anywhere in a line.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    if not value.isprintable():
        value = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value)
    if "##" in value:
        from markupsafe import Markup, escape

        return Markup(str(escape(value)).replace("##", "&#35;&#35;"))  # noqa: S704  escaped just before
    return value


def _day(moment: date | None) -> str:
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d}" if moment is not None else ""


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


FILTERS: dict[str, Any] = {
    "day": _day,
    "moment": _moment,
    "number": lambda value: f"{value:,}",
}
