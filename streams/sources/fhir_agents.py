"""Agents of an AuditEvent: who acted, from where, in which role and for what."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from streams.identifiers import identifiers_of
from streams.sources.base import Draft
from streams.sources.fhir_patients import Malformed, add_patient, kind_of, leaves, short, text, typed
from streams.sources.fhir_terms import PATIENT_ROLES
from streams.vocabulary import PURPOSES

__all__ = ["name_of", "read_agents"]

_Json = Mapping[str, Any]
_NONE: Final[dict[str, Any]] = {}
_KEPT: Final = 16_384


def read_agents(agents: list[Any], client_code: str, purposes: Any, observer: str, draft: Draft) -> None:
    """Fill actor, device, address and what ECS says of them. ``client_code``: DICOM role of BALP's client."""
    requestor = client = human = None
    patients: list[tuple[_Json, str]] = []
    codes: list[str] = []
    if purposes:
        _purposes(purposes, codes)
    for place, agent in enumerate(agents):
        requested = agent["requestor"]
        if requested is True:
            requestor = requestor or agent
        elif requested is not False:
            raise Malformed
        who = agent.get("who") or _NONE
        part = _part(agent, who, client_code, draft.fields)
        if part == "client":
            client = client or agent
        elif part == "human":
            human = human or agent
        elif part == "patient":
            patients.append((agent, add_patient(who, agent, draft) or f"unnamed agent {place} of {observer}"))
        if "purposeOfUse" in agent:
            _purposes(agent["purposeOfUse"], codes)
    if codes:
        draft.fields["wardwatch.purpose"] = codes if len(codes) == 1 else list(dict.fromkeys(codes))
    chosen = requestor or human or client or agents[0]
    mine = next((name for agent, name in patients if agent is chosen), None) if patients else None
    if mine is not None:
        draft.actor = f"patient:{mine}"
        draft.fields["user.id"] = mine
    else:
        _actor(chosen, client, observer, draft)
    network = chosen.get("network") or (client.get("network") if client is not None else None)
    if network:
        _address(network, draft)


def _purposes(concepts: Any, into: list[str]) -> None:
    for concept in concepts:
        for coding in concept.get("coding") or ():
            if (code := coding.get("code")) in PURPOSES:
                into.append(code)


def _part(agent: _Json, who: _Json, client_code: str, fields: dict[str, Any]) -> str:
    """What an agent is in the act: ``patient`` before ``client`` before ``human``; "" where it is something else."""
    if "reference" in who and "Patient" in who["reference"] and kind_of(who["reference"]) == "Patient":
        return "patient"
    if "type" in who and typed(who) == "Patient":
        return "patient"
    part = ""
    if "type" in agent:
        for coding in agent["type"].get("coding") or ():
            code = coding.get("code")
            if code == client_code:
                part = "client"
            elif code in PATIENT_ROLES:
                return "patient"
            elif code == "humanuser":
                part = part or "human"
            elif code == "PROV":
                _organisation(who, fields)
    if "role" in agent:
        for role in agent["role"]:
            for coding in role.get("coding") or ():
                if coding.get("code") in PATIENT_ROLES:
                    return "patient"
    return part


def _organisation(who: _Json, fields: dict[str, Any]) -> None:
    if display := who.get("display"):
        fields["organization.name"] = text(display)
    if reference := who.get("reference"):
        fields["organization.id"] = short(reference)
    elif identifier := who.get("identifier"):
        fields["organization.id"] = text(identifier["value"])


def name_of(agent: _Json) -> str:
    """``kind:id`` of an agent by its reference, identifier, display, altId or name; "" where it has none."""
    who = agent.get("who") or _NONE
    if (reference := who.get("reference")) and reference[0] != "#":
        name = short(reference)
        return f"device:{name}" if name.startswith("Device/") else f"user:{name}"
    kind = "device" if "type" in who and typed(who) == "Device" else "user"
    if (identifier := who.get("identifier")) and (value := identifier.get("value")):
        system = identifier.get("system")
        return f"{kind}:{text(system)}|{text(value)}" if system else f"{kind}:{text(value)}"
    known = who.get("display") or agent.get("altId") or agent.get("name")
    return f"{kind}:{text(known)}" if known else ""


def _actor(agent: _Json, client: _Json | None, observer: str, draft: Draft) -> None:
    fields = draft.fields
    actor = name_of(agent)
    if not actor and client is not None:
        actor = name_of(client)
    draft.actor = actor = actor or f"user:unnamed of {observer}"
    if actor.startswith("device:"):
        draft.device = actor
        fields["device.id"] = actor[7:]
        return
    fields["user.id"] = actor[5:]
    if actor.startswith("user:RelatedPerson/"):
        # Whoever knows the relative knows the patient: HIPAA counts both.
        leaves(agent.get("who"), draft.identifiers)
        leaves(agent.get("name"), draft.identifiers)
        draft.identifiers.add(actor[5:])
    if name := agent.get("name") or (agent.get("who") or _NONE).get("display"):
        fields["user.name"] = text(name)
    if roles := agent.get("role"):
        codes = [text(c["code"]) for role in roles for c in role.get("coding") or () if c.get("code")]
        if codes:
            fields["user.roles"] = codes


_addresses: dict[tuple[str, Any], tuple[str, str]] = {}


def _address(network: _Json, draft: Draft) -> None:
    address, kind = network.get("address"), network.get("type")
    if not address:
        return
    known = _addresses.get((address, kind))
    if known is None:
        known = _parsed(text(address), kind)
        if len(_addresses) >= _KEPT:
            _addresses.clear()
        _addresses[address, kind] = known
    field, value = known
    if field:
        draft.fields[field] = value
        draft.address = f"address:{value}"
        if (
            field == "source.domain"
            and value != address
            and identifiers_of(frozenset(draft.identifiers)).holds(address)
        ):
            draft.identifiers.add(value)  # in small letters nobody could tell any more what it says
    if draft.actor.startswith("patient:"):
        draft.identifiers |= {address, value} - {""}


def _parsed(address: str, kind: Any) -> tuple[str, str]:
    """The ECS field of a network address and its one spelling; ("", "") for telephone numbers and mail."""
    if kind in ("3", "4"):
        return "", ""
    if "://" in address:
        try:
            address = urlsplit(address).hostname or ""
        except ValueError:
            return "", ""
    try:
        return "source.ip", str(ip_address(address))
    except ValueError:
        return ("source.domain", address.lower()) if address else ("", "")
