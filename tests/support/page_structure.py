"""An HTML page taken apart, for tests of what it consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "link", "meta"}
OPTIONAL_END = {"tr", "td"}


@dataclass
class Element:
    """An element: its name, its attributes, and the text in it and in all elements below it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page:
    """Every element in order, and those that were closed without having been opened, or the reverse."""

    elements: list[Element] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of a name that have these attributes."""
        return [one for one in self.elements if one.tag == tag and attributes.items() <= one.attributes.items()]

    def only(self, tag: str, **attributes: str) -> Element:
        """Return the one element."""
        (found,) = self.all(tag, **attributes)
        return found


def parse(html: str) -> Page:
    """Take a page apart."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    parser.page.unbalanced += [f"<{one.tag}>" for one in parser.stack]
    return parser.page


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.stack: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in OPTIONAL_END:
            self._end(tag, within="table")
        one = Element(tag, {name: value or "" for name, value in attrs})
        self.page.elements.append(one)
        if tag not in VOID:
            self.stack.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack[-1].tag in OPTIONAL_END and self.stack[-1].tag != tag:
            self.stack.pop()
        if not self.stack or self.stack[-1].tag != tag:
            self.page.unbalanced.append(f"</{tag}>")
        else:
            self.stack.pop()

    def _end(self, tag: str, *, within: str) -> None:
        """Close an element whose end may be left out."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at].tag == within:
                return
            if self.stack[at].tag == tag:
                del self.stack[at:]
                return

    def handle_data(self, data: str) -> None:
        for one in self.stack:
            one.text += data
        if not any(one.tag in ("style", "script") for one in self.stack):
            self.page.text += data
