"""Resources that travel inside an AuditEvent: people among them are noted, and ``#id`` becomes what it points to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import Draft
from streams.sources.fhir_patients import leaves, note, text

__all__ = ["add_contained", "resolved"]

_Json = Mapping[str, Any]
_PEOPLE: Final = ("Patient", "RelatedPerson", "Person")


def resolved(record: _Json) -> _Json:
    """``record`` with each local reference of an agent, an entity or the observer replaced by what it points to.

    ``#p1`` names somebody else in the next record, so it is no name: the contained resource's identifier and name are.
    One that points nowhere is left out. Raises KeyError, TypeError or AttributeError on what is no AuditEvent.
    """
    people = {f"#{resource['id']}": resource for resource in record["contained"] if "id" in resource}
    changed = dict(record)
    changed["agent"] = [_with(agent, "who", people) for agent in record["agent"]]
    changed["source"] = _with(record["source"], "observer", people)
    if "entity" in record:
        changed["entity"] = [_with(entity, "what", people) for entity in record["entity"]]
    return changed


def _with(holder: _Json, name: str, people: Mapping[str, _Json]) -> _Json:
    what = holder.get(name)
    if not what or not (reference := what.get("reference")) or reference[0] != "#":
        return holder
    kept = {key: value for key, value in what.items() if key != "reference"}
    if resource := people.get(reference):
        if kind := resource.get("resourceType"):
            kept["type"] = kind
        for identifier in (resource.get("identifier") or ())[:1]:
            kept.setdefault("identifier", identifier)
        if said := _name(resource):
            kept.setdefault("display", said)
    return {**holder, name: kept}


def _name(resource: _Json) -> str:
    """How a resource calls what it is: a person's, an organisation's or a device's name; "" where it has none."""
    name = resource.get("name") or resource.get("deviceName")
    if isinstance(name, str):
        return name
    for one in (name or ())[:1]:
        if said := one.get("text") or one.get("name"):
            return text(said)
        return " ".join([*(one.get("given") or ()), *([one["family"]] if "family" in one else ())])
    return ""


def add_contained(resources: list[Any], draft: Draft) -> None:
    """Note people that travel inside the record: names, record numbers, telecom, addresses, birth dates."""
    identifiers = draft.identifiers
    for resource in resources:
        kind = resource.get("resourceType")
        if kind not in _PEOPLE:
            continue
        leaves({name: value for name, value in resource.items() if name not in ("text", "meta", "gender")}, identifiers)
        for name in resource.get("name") or ():
            given, family = name.get("given") or [], name.get("family")
            if family and given:
                names = " ".join(given)
                identifiers |= {f"{names} {family}", f"{family} {names}", f"{family}, {names}", f"{given[0]} {family}"}
        if kind == "Patient":
            for identifier in resource.get("identifier") or ():
                note(text(identifier["value"]), identifiers)
            for identifier in (resource.get("identifier") or ())[:1]:
                value = identifier["value"]
                draft.patients.append(f"{text(system)}|{value}" if (system := identifier.get("system")) else value)
