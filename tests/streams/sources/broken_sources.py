"""A source that keeps every rule of the contract, and one for each way of breaking a rule."""

from __future__ import annotations

from collections.abc import Mapping
from time import time as aliased_clock
from typing import Any

from streams.sources.base import BadRecord, Draft, LogSource

__all__ = [
    "Bare",
    "Blind",
    "Careless",
    "Changes",
    "Counts",
    "Crashes",
    "Elsewhere",
    "Fine",
    "Forgetful",
    "Fragile",
    "Greedy",
    "Inventive",
    "Looks",
    "Nameless",
    "Quotes",
    "QuotesPart",
    "Refuses",
    "Silent",
    "Undated",
    "Undecided",
    "Unexpected",
    "Unlisted",
    "Untimely",
    "Vague",
]


class Fine:
    name = "fine"
    topic = "audit.fine"
    logsource = LogSource(product="fine")
    lateness = 0
    released = frozenset({"event.action"})
    subject = "actor"

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return "fine" in record

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if not isinstance(record.get("fine"), str):
            raise BadRecord("fine is no text")
        return Draft("1", 1, "user:a", self.fields())

    def fields(self) -> dict[str, Any]:
        return {
            "event.action": "x",
            "event.kind": "event",
            "event.category": ["host"],
            "event.type": ["info"],
            "event.outcome": "success",
        }


class Blind(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return False


class Greedy(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return True


class Refuses(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        raise BadRecord("no")


class Changes(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        record["seen"] = True  # type: ignore[index]
        return super().normalise(record)


class Counts(Fine):
    count = 0

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        Counts.count += 1
        draft = super().normalise(record)
        draft.time = Counts.count
        return draft


class Undated(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.time = 1.5  # type: ignore[assignment]
        return draft


class Nameless(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.actor = "user:"
        return draft


class Bare(Fine):
    def fields(self) -> dict[str, Any]:
        return {"event.action": "x"}


class Inventive(Fine):
    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "event.category": ["snooping"]}


class Unlisted(Fine):
    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "event.colour": "red"}


class Crashes(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        record["fine"].upper()
        return super().normalise(record)


class Quotes(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if record.get("name") == "Synthetic Patient" and len(str(record.get("fine"))) > 100:
            raise BadRecord(f"too long, {record['name']}")
        return super().normalise(record)


class Looks(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        aliased_clock()
        return super().normalise(record)


class Fragile(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return "fine" in record and record.get("schema", "") + "" == ""


class Vague(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return record.get("fine")  # type: ignore[return-value]


class Untimely(Fine):
    lateness = -1


class Elsewhere(Fine):
    topic = "events"


class Undecided(Fine):
    subject = "patient"


class QuotesPart(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if len(str(record.get("fine"))) > 100:
            raise BadRecord(f"too long, {str(record.get('name'))[:7]} ...")
        return super().normalise(record)


class Silent(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if record.get("fine") != "yes":
            raise BadRecord(" ")
        return super().normalise(record)


class Unexpected(Fine):
    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "event.type": ["allowed"]}


class Careless(Fine):
    """Names a patient and lists nothing that gives the patient away."""

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.patients.append("Patient/synthetic-1")
        return draft


class Forgetful(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.actor = "patient:Patient/synthetic-1"
        return draft
