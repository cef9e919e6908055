"""Patients in an AuditEvent: who they are, and every string that gives them away."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from re import compile as regex
from typing import Any, Final
from urllib.parse import unquote_plus

from streams.pseudonyms import canonical
from streams.sources.base import Draft
from streams.sources.query_people import people_of
from streams.vocabulary import RESOURCES

__all__ = ["Malformed", "add_patient", "add_query", "kind_of", "leaves", "note", "short", "text", "typed"]

_Json = Mapping[str, Any]
#: A reference in any form: with the server's address before it, with a version after it.
_NAMED: Final = regex(r"(?:.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/.*)?")
#: Search parameters whose value says who is looked for.
_PERSONAL: Final = regex(
    r"(?:^|[?&\s])(?:[A-Za-z]+[.:])*(?:_id|patient|subject|beneficiary|individual|identifier|name|family|given|"
    r"phonetic|birthdate|phone|email|telecom|address(?:-[a-z]+)?|death-date)(?::[A-Za-z]+|\.[A-Za-z.]+)?=([^&\s]+)"
)
#: Who a URL is about by its path.
_IN_PATH: Final = regex(r"(?<![A-Za-z])(Patient/([A-Za-z0-9\-.]{1,64}))(?![A-Za-z0-9\-.])")
#: How a search compares a date.
_PREFIX: Final = regex(r"^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)(?=\d)")
#: Elements that hold codes and addresses of code systems, not what was said of a person.
_CODED: Final = frozenset(
    {"system", "code", "url", "type", "role", "securityLabel", "lifecycle", "resourceType", "use", "valueCode"}
)


class Malformed(Exception):
    """Some element is not what R4 says; :mod:`streams.sources.fhir_shape` finds which."""


def text(value: Any) -> str:
    """``value``, a string that says something; Malformed else."""
    if type(value) is not str or not value:
        raise Malformed
    return value


def short(reference: str) -> str:
    """A reference without its server and version: ``Practitioner/7``."""
    kind, _, id_ = reference.partition("/")
    if kind in RESOURCES and id_ and "/" not in id_:
        return reference
    found = _NAMED.fullmatch(reference)
    return found[1] if found and found[1].partition("/")[0] in RESOURCES else reference


def kind_of(reference: str) -> str:
    """The resource type that a reference names, a search among them; "" where it names none."""
    kind = short(reference.partition("?")[0]).partition("/")[0]
    if kind not in RESOURCES:
        kind = reference.partition("?")[0].rpartition("/")[2]
    return kind if kind in RESOURCES else ""


def typed(what: _Json) -> str:
    """The resource type that a reference says it is of (``Reference.type``), a URL or a name; "" without one."""
    return text(what["type"]).rpartition("/")[2] if "type" in what else ""


def note(value: str, into: set[str]) -> None:
    """Note an identifier's value, and its number alone where it is written as HL7 v2 (``7^^^&1.2&ISO``) or a URN."""
    into.add(value)
    if "^" in value:
        into.add(value.partition("^")[0])
    if value.startswith("urn:"):
        into.add(value.rpartition(":")[2])
    into.discard("")


def add_patient(what: _Json, holder: _Json, draft: Draft) -> str:
    """Note the patient that ``what`` names, and all that ``holder``, an entity or agent, says of them.

    Gives the raw id: by reference, else by identifier, else by name; "" where nothing names anyone.
    """
    identifiers = draft.identifiers
    raw = ""
    reference = what.get("reference")
    if reference:
        identifiers.add(reference)
        if reference.startswith("Patient/") and "/" not in reference[8:] and "?" not in reference:  # most of them
            raw = reference
            identifiers.add(reference[8:])
        elif "?" in reference:
            raw = unquote_plus(reference.rpartition("=")[2])
            identifiers |= {raw, raw.rpartition("|")[2]}
        elif reference[0] != "#":  # a contained patient is named by what it contains
            raw = canonical(reference)
            note(raw, identifiers)
            if raw.startswith("Patient/"):
                identifiers.add(raw[8:])
    if (identifier := what.get("identifier")) is not None:
        value = text(identifier["value"])
        note(value, identifiers)
        if not raw:
            raw = f"{text(system)}|{value}" if (system := identifier.get("system")) else value
    for name in (what.get("display"), holder.get("name"), holder.get("altId")):
        if name:
            identifiers.add(text(name))
            raw = raw or name
    if "detail" in holder or "description" in holder or "extension" in holder or "extension" in what:
        leaves(
            {name: value for name, value in holder.items() if name not in ("query", "network", "policy")}, identifiers
        )
    if raw:
        draft.patients.append(raw)
    return raw


def leaves(node: Any, into: set[str]) -> None:
    """Every string below ``node`` but codes."""
    if isinstance(node, str):
        if node:
            into.add(node)
    elif isinstance(node, Mapping):
        for name, inner in node.items():
            if name not in _CODED:
                leaves(inner, into)
    elif isinstance(node, list):
        for inner in node:
            leaves(inner, into)


def add_query(query: str, draft: Draft) -> list[str]:
    """Note who a search is about (base64 as R4 says, or plain as some send it); gives the resource type searched."""
    try:
        plain = a2b_base64(text(query), strict_mode=True).decode()
    except (Base64Error, UnicodeDecodeError, ValueError):
        plain = query
    draft.identifiers.add(query)
    for value in _PERSONAL.findall(plain):
        draft.identifiers.add(value)
        for one in unquote_plus(value).split(","):
            draft.identifiers |= {one, one.rpartition("|")[2], one.rpartition("/")[2], _PREFIX.sub("", one)} - {""}
    if plain[:1] == "<" or plain[:3] == "MSH":  # IHE's queries, which no URL asks
        draft.identifiers |= people_of(plain)[1]
    for reference, id_ in _IN_PATH.findall(plain):
        draft.identifiers |= {reference, id_}
    for part in plain.partition("?")[0].replace("/", " ").split():
        if part in RESOURCES:
            return [part]
    return []
