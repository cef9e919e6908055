"""Pseudonyms: what stands for a patient past ingest.

``patient:<key id>.<24 characters>``: the first 120 bits of HMAC-SHA-256 under a key that stays in the worker's key
folder, so that the same patient has the same pseudonym in every source and after every restart, and nobody without
the key can try names or record numbers against it. A keyed hash is a pseudonym, not anonymous: treat it as health
data under HIPAA and GDPR.

Three spellings of a patient are one identity: ``Patient/123``, ``https://ehr/fhir/Patient/123`` and
``Patient/123/_history/4``. The server's address is left out because services log references both ways; two EHRs that
give the same id to two people need an identifier instead. An identifier (``system|value``) and anything else is an
identity of its own: nothing here knows that a record number and a reference mean one person.

An identifier as HL7 v2 writes it (CX, ``123^^^HOSP&1.2.3&ISO``), as audit messages do too, is FHIR's identifier of that
system: ``urn:oid:1.2.3|123``; ``HOSP|123`` where the authority has a name alone.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from typing import Final

__all__ = ["Pseudonyms", "canonical"]

_REFERENCE: Final = re.compile(r"(?:.*/)?(Patient/[A-Za-z0-9\-.]{1,64})(?:/_history(?:/[^/]*)?)?/?")
#: How FHIR writes a system of each of HL7 v2's universal id types (table 0301).
_SYSTEMS: Final = {"ISO": "urn:oid:", "UUID": "urn:uuid:", "GUID": "urn:uuid:", "URI": "", "DNS": ""}
_KEPT: Final = 16_384


def canonical(raw_id: str) -> str:
    """The one spelling of a patient's id that is hashed; see the module's text."""
    raw_id = raw_id.strip()
    if "^" in raw_id:
        return _of_cx(raw_id)
    found = _REFERENCE.fullmatch(raw_id)
    return found[1] if found else raw_id


def _of_cx(text: str) -> str:
    """``system|value`` of an identifier as HL7 v2 writes it, where it says whose number it is."""
    value, *rest = text.split("^")
    name, _, universal = (rest[2] if len(rest) > 2 else "").partition("&")
    number, _, kind = universal.partition("&")
    system = f"{_SYSTEMS[kind.upper()]}{number}" if number and kind.upper() in _SYSTEMS else number or name
    return f"{system}|{value}" if value and system else value or text


class Pseudonyms:
    """Keyed, deterministic, one way. Keeps up to 32,768 recent answers; not for use from several threads."""

    def __init__(self, key: bytes, key_id: str) -> None:
        """``key``: at least 16 bytes, else ValueError. ``key_id`` travels with every pseudonym: no secret in it."""
        if len(key) < 16:
            raise ValueError("the pseudonym key is shorter than 16 bytes: make a new one with `wardwatch setup`")
        self._key = key
        self._key_id = key_id
        self._recent: dict[str, str] = {}
        self._older: dict[str, str] = {}

    def patient(self, raw_id: str) -> str:
        """``patient:<key id>.<24 lower-case base32 characters>`` for a raw id such as ``Patient/123``."""
        known = self._recent.get(raw_id)
        if known is None:
            known = self._older.get(raw_id) or f"patient:{self._name(canonical(raw_id))}"
            if len(self._recent) >= _KEPT:  # two generations: what is still asked for survives, the rest goes
                self._older, self._recent = self._recent, {}
            self._recent[raw_id] = known
        return known

    def token(self, kind: str, text: str) -> str:
        """What stands for something that is no patient but holds a patient's identifier: an actor, an event id.

        Equal texts of one kind have equal tokens, so grouping and recognising repeats go on working.
        """
        return self._name(f"{kind}\x1f{text}")

    def _name(self, text: str) -> str:
        hashed = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
        return f"{self._key_id}.{b32encode(hashed[:15]).decode().lower()}"
