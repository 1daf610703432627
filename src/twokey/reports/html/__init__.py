"""The page that shows an audit: one HTML file that needs no network and no script.

The modules compute values and positions only. The template writes all markup, and escapes whatever it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.reports.html import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.reports.audit import Audit


def render(audit: Audit, titles: Mapping[str, str] | None = None) -> str:
    """Return the page of one audit; ``titles`` has the title of each rule that a finding may be of."""
    return page.render([audit], titles or {})
