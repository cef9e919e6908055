"""XML as a Mapping, as rules and sources see it; hostile XML is refused in bounded time, with a reason.

An element becomes its text where it has nothing else, else a Mapping of its attributes and children, with what text it
has as ``#text``. What occurs more than once under one name is a list. Prefixes of namespaces are left out.

There is no document type declaration in an audit message, and every attack on XML's entities (expansion, external ones)
begins with one: so the first is refused, whatever it says.
"""

from __future__ import annotations

from typing import Any, Final
from xml.parsers import expat

from streams.sources.base import BadRecord

__all__ = ["parse_xml"]

#: Elements within each other, and elements and attributes of one document.
DEEPEST: Final = 32
_MOST: Final = 50_000


def parse_xml(raw: bytes) -> dict[str, Any]:
    """``{name of the root: what it holds}``. Raises BadRecord, which says where and quotes nothing.

    Any encoding that the declaration or a byte order mark names; without either, UTF-8.
    """
    tree = _Tree()
    # Nothing is fetched, and what is declared nowhere has no value: this parser knows no entity but XML's own five.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    try:
        parser.Parse(raw, True)
    except BadRecord:
        raise
    except expat.ExpatError as exc:
        reason = expat.ErrorString(exc.code)
        raise BadRecord(f"the record is no XML: {reason} at line {exc.lineno}, column {exc.offset}") from None
    except (ValueError, LookupError):
        raise BadRecord("the record is XML in an encoding that is not known here: send UTF-8") from None
    return tree.root


def _refuse_doctype(*_: object) -> None:
    raise BadRecord("the record is XML with a document type declaration, which is never read: send it without")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Tree:
    """What the parser has found so far."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = [("", self.root, [])]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1 + len(attributes)
        if len(self._open) > DEEPEST:
            raise BadRecord(f"the record is XML nested deeper than {DEEPEST} elements")
        if self._count > _MOST:
            raise BadRecord(f"the record is XML of more than {_MOST} elements and attributes")
        found: dict[str, Any] = {}
        for attribute, value in attributes.items():
            if attribute.partition(":")[0] not in ("xmlns", "xsi"):
                _put(found, _local(attribute), value)
        self._open.append((_local(name), found, []))

    def end(self, _: str) -> None:
        name, found, said = self._open.pop()
        text = "".join(said).strip()
        if found and text:
            _put(found, "#text", text)
        _put(self._open[-1][1], name, found or text)

    def text(self, data: str) -> None:
        self._open[-1][2].append(data)


def _put(into: dict[str, Any], name: str, value: Any) -> None:
    if name not in into:
        into[name] = value
    elif isinstance(into[name], list):
        into[name].append(value)
    else:
        into[name] = [into[name], value]
