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
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

__all__ = ["Pseudonyms", "canonical"]

_REFERENCE: Final = re.compile(r"(?:.*/)?(Patient/[A-Za-z0-9\-.]{1,64})(?:/_history(?:/[^/]*)?)?/?")
#: How FHIR writes a system of each of HL7 v2's universal id types (table 0301).
_SYSTEMS: Final = {"ISO": "urn:oid:", "UUID": "urn:uuid:", "GUID": "urn:uuid:", "URI": "", "DNS": ""}
_KEPT: Final = 16_384
_TOKENS: Final = 4_096


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

    def __init__(
        self,
        key: bytes,
        key_id: str,
        *,
        salted: bool = False,
        learn: Callable[[str, str, Sequence[str]], None] | None = None,
        earlier: Sequence[Pseudonyms] = (),
    ) -> None:
        """``key``: at least 16 bytes, else ValueError. ``key_id`` travels with every pseudonym: no secret in it.

        ``salted``: it is not the installation's first key, see :attr:`salt`. ``learn``: told of each answer that is not
        remembered, with what it stands for and what stands for that under ``earlier`` keys; so it may be told again.
        """
        if len(key) < 16:
            raise ValueError("the pseudonym key is shorter than 16 bytes: make a new one with `wardwatch setup`")
        self._key = key
        self._key_id = key_id
        self._learn = learn
        self._earlier = tuple(earlier)
        self._recent: dict[str, str] = {}
        self._older: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        #: 60 bits that tell a view under a name of this key from the same view under a name of another; 0 for the first
        #: key. Two views of one event may share a partition, and each is seen once.
        self.salt = int.from_bytes(blake2b(key_id.encode(), digest_size=8).digest()) >> 4 if salted else 0

    def at(self, received: int) -> tuple[Pseudonyms, Pseudonyms | None]:
        """One key for all times: what :meth:`streams.epochs.Epochs.at` is where there are several."""
        return self, None

    def patient(self, raw_id: str) -> str:
        """``patient:<key id>.<24 lower-case base32 characters>`` for a raw id such as ``Patient/123``."""
        known = self._recent.get(raw_id)
        if known is None:
            known = self._older.get(raw_id)
            if known is None:
                known = self._patient(canonical(raw_id))
            if len(self._recent) >= _KEPT:  # two generations: what is still asked for survives, the rest goes
                self._older, self._recent = self._recent, {}
            self._recent[raw_id] = known
        return known

    def _patient(self, identifier: str) -> str:
        known = f"patient:{self._name(identifier)}"
        if self._learn is not None:
            before = [f"patient:{other._name(identifier)}" for other in self._earlier]
            self._learn(known, identifier, before)
        return known

    def token(self, kind: str, text: str) -> str:
        """What stands for something that is no patient but holds a patient's identifier: an actor, an event id.

        Equal texts of one kind have equal tokens, so grouping and recognising repeats go on working.
        """
        told = f"{kind}\x1f{text}"
        if kind == "id" or self._learn is None:  # nobody asks who an event's id was
            return self._name(told)
        known = self._tokens.get(told)
        if known is None:
            known = self._name(told)
            prefix, _, identifier = text.partition(":")
            before = [f"{prefix}:{other._name(told)}" for other in self._earlier]
            self._learn(f"{prefix}:{known}", identifier, before)
            if len(self._tokens) >= _TOKENS:
                self._tokens.clear()
            self._tokens[told] = known
        return known

    def names(self, entity: str) -> bool:
        """Whether ``entity``, such as ``patient:…``, has its name from this key."""
        return entity.partition(":")[2].startswith(f"{self._key_id}.")

    def _name(self, text: str) -> str:
        hashed = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
        return f"{self._key_id}.{b32encode(hashed[:15]).decode().lower()}"
