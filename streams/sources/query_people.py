"""Whom a query is about that an audit event carries: base64 of what was asked in.

IHE's queries are XML (ITI-18's AdhocQuery with ``$XDSDocumentEntryPatientId``, ITI-55's HL7 v3), HL7 v2 (ITI-21,
ITI-9: QPD or QRD) or a URL. Whatever they say is taken to identify the patient, but namespaces and names of parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from re import compile as regex
from typing import Any, Final

from streams.er7 import is_er7, parse_er7
from streams.sources.base import BadRecord
from streams.sources.base64_text import decoded
from streams.xml_records import parse_xml

__all__ = ["cx_numbers", "people_of"]

#: An identifier as HL7 v2 writes it: number, two empty components, whose number it is.
_CX: Final = regex(r"([^\s'\"<>(),|~^]{1,64})\^\^\^([^\s'\"<>(),|~^]{1,128})")
#: Attributes and elements that hold codes and names of things, not what was asked for.
_CODED: Final = frozenset(
    {"root", "code", "codeSystem", "moodCode", "classCode", "typeCode", "determinerCode", "returnType", "unit"}
)
_MOST: Final = 200


def people_of(query: str) -> tuple[list[str], set[str]]:
    """Identifiers of patients in the order they are asked for, as HL7 v2 writes them; and all that tells who."""
    plain = decoded(query)
    readable = plain.replace("&amp;", "&")
    patients = [f"{number}^^^{authority}" for number, authority in _CX.findall(readable)[:_MOST]]
    said = set(patients) | {patient.partition("^")[0] for patient in patients}
    raw = plain.encode("utf-8", "surrogatepass")
    try:
        if plain.lstrip()[:1] == "<":
            for text in _parts(parse_xml(raw.strip())):
                said |= {text, *(part.strip("' ") for part in text.strip("() ").split(","))}
        elif is_er7(raw):
            message = parse_er7(raw)
            said.update(_parts([message.get(name) for name in ("QPD", "QRD", "QRF", "PID")]))
    except BadRecord:
        said.add(plain)
    return patients, {text for text in said if len(text) > 1 and not text.startswith("urn:")}


def _parts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        if not node.startswith(("urn:", "$", "http:", "https:")):
            yield node
    elif isinstance(node, Mapping):
        for name, value in node.items():
            if name not in _CODED:
                yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)


def cx_numbers(texts: set[str]) -> set[str]:
    """The numbers alone of those of ``texts`` that are identifiers as HL7 v2 writes them, several of one person too."""
    return {
        part.partition("^")[0] for text in texts if "^" in text for part in text.split("~") if part.partition("^")[0]
    }
