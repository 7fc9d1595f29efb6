"""HTML reports for tests, read back: elements, attributes and text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "br"})
CELLS = frozenset({"td", "th", "dt"})


@dataclass
class Read:
    """What stands in a page."""

    names: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Element, attribute, value."""
    text: str = ""
    """Without elements and their markup, white space as single blanks."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.read = Read()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.names.add(tag)
        self.read.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.names.add(tag)
        self.read.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag in CELLS:
            self.read.text += " "

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.read.text += data


def read_page(data: bytes) -> Read:
    """Return what stands in a page whose elements are all closed in order."""
    reader = _Reader()
    reader.feed(data.decode())
    reader.close()
    assert reader.open == []
    reader.read.text = " ".join(reader.read.text.split())
    return reader.read
