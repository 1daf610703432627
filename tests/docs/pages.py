"""Reads the project's Markdown pages: headings, tables, fenced blocks, links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_HEADING = re.compile(r"^#+ (.+)$")
_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every page that a reader may come to."""
    return [*ROOT.glob("*.md"), *sorted(DOCS.rglob("*.md"))]


def tables(page: Path) -> dict[str, list[list[str]]]:
    """Return the cells of each table's rows, by the heading above it; the table's own head is left out."""
    found: dict[str, list[list[str]]] = {}
    heading, rows = "", 0
    for line in page.read_text(encoding="utf-8").splitlines():
        match = _HEADING.match(line)
        heading = match[1] if match else heading
        rows = rows + 1 if line.startswith("|") else 0
        if rows > 2:
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.setdefault(heading, []).append([cell.strip() for cell in cells])
    return found


def words(cell: str) -> list[str]:
    """Return what stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of one kind."""
    text = page.read_text(encoding="utf-8")
    return [found["body"] for found in _FENCE.finditer(text) if found["kind"] == kind]


def links(page: Path) -> list[str]:
    """Return every link that leads to a file of the project, blocks left aside."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in _LINK.findall(text) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in _FENCE.sub("", page.read_text(encoding="utf-8")).splitlines():
        match = _HEADING.match(line)
        if match:
            found.add(re.sub(r"[^\w\- ]", "", match[1].lower()).replace(" ", "-"))
    return found
