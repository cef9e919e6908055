"""Turns a match into a finding that holds no patient data: values come only from what may leave ingest."""

from __future__ import annotations

from typing import Any, Final

from detectors.base import Event, Finding, digest
from detectors.rules.correlation import Correlation
from detectors.rules.links import Links
from detectors.rules.rule import Rule
from detectors.rules.ruleset import Match

__all__ = ["entity", "finding", "told_of"]

#: Fields that say who did what, shown beside those that the rule asked about.
_CONTEXT: Final = (
    "event.action",
    "event.outcome",
    "event.code",
    "event.reason",
    "user.id",
    "user.name",
    "source.ip",
    "device.id",
    "cloud.account.id",
)


_NO_LINKS: Final = Links()


def entity(rule: Rule, event: Event, subject: str) -> str:
    """Whom a match of ``rule`` is about: an event without a device is about its actor.

    ``subject``: ``actor`` or ``device``, where the rule does not say.
    """
    return event.device if (rule.subject or subject) == "device" and event.device else event.actor


def finding(match: Match, event: Event, subject: str, links: Links = _NO_LINKS) -> Finding:
    """The finding of ``match`` on ``event``; the same two give the same finding.

    ``subject``: as :func:`entity` takes it. The reason names fields and the kind of question they answered,
    never a value of the event or of the rule; evidence is taken from ``event.fields`` alone. ``links``: where people
    read the rule.
    """
    rule = match.rule
    causes = match.causes()
    questions = [f"{cause.field} {cause.phrase}" if cause.field else cause.phrase for cause in causes]
    names = dict.fromkeys([*(cause.field for cause in causes), *rule.fields, *_CONTEXT])
    return Finding(
        id=digest("sigma", rule.id, event.id),
        detector="sigma",
        entity=entity(rule, event, subject),
        time=event.time,
        severity=rule.level,
        title=rule.title,
        reason=f"{', '.join(questions) or 'no exception applies'}.",
        source=event.source,
        event_ids=(event.id,),
        techniques=rule.techniques,
        rule={**told_of(rule, links), "ruleset": match.ruleset},
        evidence={name: event.fields[name] for name in names if name in event.fields},
        timely=event.timely,
    )


def told_of(rule: Rule | Correlation, links: Links = _NO_LINKS) -> dict[str, Any]:
    """What each finding says of its rule, in ECS's words where it has them; the rule's licence asks for the author."""
    told: dict[str, Any] = {
        "id": rule.id,
        "uuid": rule.id,
        "name": rule.title,
        "description": " ".join(rule.description.split()),
        "response": " ".join(rule.response.split()),
        "author": rule.author,
        "level": rule.level,
        "tags": rule.tags,
        "version": rule.version,
        "path": links.path(rule),
    }
    if rule.license:
        told["license"] = rule.license
    if address := links.address(rule):
        told["reference"] = address
    return told
