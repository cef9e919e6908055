"""What a correlation says when it holds."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from detectors.base import Finding, digest
from detectors.rules.correlation.bounds import UNIT, shown
from detectors.rules.correlation.group import Group
from detectors.rules.correlation.plan import Plan

__all__ = ["EVIDENCE", "finding", "finding_id", "fingerprint"]

#: Prefix of what a finding's evidence says beside the group.
EVIDENCE: Final = "wardwatch.correlation."

_COUNTED: Final = {"event_count": "matches", "value_count": "different values", "temporal": "of its rules"}
_MEASURED: Final = {"value_sum": "a sum of", "value_avg": "an average of", "value_median": "a median of"}


def fingerprint(*parts: object) -> int:
    """60 bits of BLAKE2b: what different values are told apart by."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 4


def finding_id(plan: Plan, token: str, time: int) -> str:
    """The same for every point of one aligned span, and without versions."""
    return digest("sigma", plan.rule.id, token, time // plan.rule.timespan)


def finding(plan: Plan, token: str, group: Group, time: int, measure: Any) -> Finding:
    """The finding of a point at which ``plan`` holds. Its reason quotes neither events nor values.

    Its evidence says the group, as far as it may be shown, how much was measured, and from when to when.
    """
    rule = plan.rule
    begin = time - rule.timespan
    events, members = group.named(begin, time)
    evidence: dict[str, Any] = {
        name: value for name, value in zip(rule.group_by, group.shown, strict=True) if value is not None
    }
    evidence[f"{EVIDENCE}type"] = rule.kind
    evidence[f"{EVIDENCE}measured"] = _number(plan, measure)
    evidence[f"{EVIDENCE}window.start"] = begin
    evidence[f"{EVIDENCE}window.end"] = time
    if len(plan.members) > 1:
        evidence[f"{EVIDENCE}sequence"] = [plan.members[member].title for member in members]
    return Finding(
        id=finding_id(plan, token, time),
        detector="sigma",
        entity=group.entity,
        time=time,
        severity=rule.level,
        title=rule.title,
        reason=_reason(plan, measure),
        source=group.source,
        event_ids=tuple(dict.fromkeys(events)),
        techniques=rule.techniques,
        rule={
            "id": rule.id,
            "uuid": rule.id,
            "name": rule.title,
            "description": " ".join(rule.description.split()),
            "response": " ".join(rule.response.split()),
            "author": rule.author,
            "level": rule.level,
            "tags": rule.tags,
            "version": rule.version,
        },
        evidence=evidence,
    )


def _number(plan: Plan, measure: Any) -> str:
    kind = plan.rule.kind
    if kind in ("temporal", "temporal_ordered"):
        return str(measure.bit_count())
    if kind in ("event_count", "value_count"):
        return str(measure)
    numerator, denominator = measure if isinstance(measure, tuple) else (measure, 1)
    return shown(numerator // denominator)


def _reason(plan: Plan, measure: Any) -> str:
    rule = plan.rule
    whose = f" of one {' and '.join(rule.group_by)}" if rule.group_by else ""
    within = f"within {rule.span}{whose}"
    titles = [member.title for member in plan.members]
    if rule.kind == "temporal_ordered":
        return f"{', then '.join(titles)}, {within}."
    if rule.kind == "temporal" and rule.bounds is None:
        seen = [title for number, title in enumerate(titles) if measure >> number & 1]
        missing = [title for number, title in enumerate(titles) if not measure >> number & 1]
        without = f" without {', '.join(missing)}" if missing else ""
        return f"{', '.join(seen)}{without}, {within}."
    assert rule.bounds is not None
    number = _number(plan, measure)
    if rule.kind in _COUNTED:
        of = f" of {' and '.join(rule.fields)}" if rule.fields else ""
        told = f"{number} {_COUNTED[rule.kind]}{of}"
    elif rule.kind == "value_percentile":
        told = f"percentile {shown(rule.percentile * UNIT // 1000)} of {rule.fields[0]} is {number}"
    else:
        told = f"{_MEASURED[rule.kind]} {rule.fields[0]} of {number}".replace(" of ", " of ", 1)
    return f"{told} {within}; the rule asks for {rule.bounds.words()}."
