"""The drawing of the packages shows the imports of the code, and the page beside it describes each package."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from docs import pages
from support.imports import MODULES, ROOT, imports, package, package_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = pages.DOCS / "explanation" / "architecture.md"
SVG = "{http://www.w3.org/2000/svg}"
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}


@cache
def drawing() -> ET.Element:
    """Return the drawing."""
    return ET.fromstring(PAGE.with_suffix(".svg").read_text(encoding="utf-8"))


def boxes() -> dict[str, tuple[float, float, float, float]]:
    """Return the left, top, right and bottom edge of each package's box, which precedes its name."""
    found = {}
    for rect, text in pairwise(drawing()):
        if text.get("class") == "name":
            x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            found[str(text.text)] = (x, y, x + width, y + height)
    return found


def arrows() -> dict[tuple[str, str], ET.Element]:
    """Return the line from each package to one that it imports, by the line's title."""
    found = {}
    for line in drawing().iter(f"{SVG}path"):
        if title := line.findtext(f"{SVG}title"):
            importing, _, imported = re.sub(r", for types only$", "", title).partition(" imports ")
            found[importing, imported] = line
    return found


def reduced(graph: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Return the imports that no chain of other imports implies."""

    def below(name: str) -> set[str]:
        return graph[name].union(*map(below, graph[name]))

    return {
        (name, one)
        for name, imported in graph.items()
        for one in imported
        if not any(one in below(other) for other in imported - {one})
    }


def is_at_run_time(importing: str, imported: str) -> bool:
    """Say whether a package imports another for more than its types."""
    modules = (module for module in MODULES if package(module) == importing)
    return any(imported in map(package, imports(module, type_only=False)) for module in modules)


def ends(line: ET.Element) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where a line of horizontal and vertical parts begins, and where its arrowhead is."""
    steps = re.findall(r"([MHV])([\d. ]+)", line.attrib["d"])
    x, y = start = (0.0, 0.0)
    for command, numbers in steps:
        values = [float(number) for number in numbers.split()]
        x, y = (values[0] if command in "MH" else x), (values[-1] if command in "MV" else y)
        start = (x, y) if command == "M" else start
    return start, (x, y)


def is_on_edge(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    """Say whether a point is on the edge of a box, or beside it where an arrowhead ends."""
    (x, y), (left, top, right, bottom) = point, box
    inside = left < x < right and top < y < bottom
    return not inside and left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1


class TestTheDrawing:
    def test_each_package_is_a_box(self) -> None:
        assert set(boxes()) == PACKAGES

    def test_the_arrows_are_the_imports_that_no_chain_of_others_implies(self) -> None:
        graph = {name: package_graph()[name] for name in PACKAGES}
        assert set(arrows()) == reduced(graph)

    def test_each_arrow_runs_between_the_boxes_that_its_title_names(self) -> None:
        for (importing, imported), line in arrows().items():
            start, end = ends(line)
            assert is_on_edge(start, boxes()[importing]), (importing, imported)
            assert is_on_edge(end, boxes()[imported]), (importing, imported)

    def test_an_arrow_is_dashed_where_it_stands_for_imports_of_types_only(self) -> None:
        dashed = {names for names, line in arrows().items() if line.get("stroke-dasharray")}
        assert dashed == {names for names in arrows() if not is_at_run_time(*names)}
        assert dashed == {names for names, line in arrows().items() if str(line[0].text).endswith("for types only")}

    def test_the_description_for_those_who_do_not_see_it_names_each_package(self) -> None:
        described = re.findall(r"\w+", str(drawing().findtext(f"{SVG}desc")))
        assert set(described) >= PACKAGES


def test_the_page_describes_each_package_once() -> None:
    rows = pages.tables(PAGE)["The packages"]
    assert sorted(pages.words(row[0])[0] for row in rows) == sorted(PACKAGES)


def test_each_module_on_the_page_exists() -> None:
    named = re.findall(r"`([\w/]+/(?:\w+\.py)?)`", PAGE.read_text(encoding="utf-8"))
    assert [name for name in named if not ((ROOT / name).exists() or (pages.ROOT / name).exists())] == []
