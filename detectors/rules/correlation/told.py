"""What a correlation says when it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from detectors.base import Finding, digest
from detectors.rules.correlation.bounds import UNIT, shown
from detectors.rules.correlation.group import Group
from detectors.rules.correlation.hit import Above, Hit, Shown
from detectors.rules.correlation.plan import Plan
from detectors.rules.correlation.runs import Mark

__all__ = [
    "EVIDENCE",
    "GRACE",
    "Told",
    "finding",
    "finding_id",
    "fingerprint",
    "new_term",
    "new_term_id",
    "silence",
    "upward",
]

#: ms that a decision waits beyond its point for each correlation beneath: what those find comes a while after its time.
GRACE: Final = 120_000

Told = Finding | Hit

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
    begin = time - plan.rule.timespan
    events, members = group.named(begin, time)
    evidence: dict[str, Any] = {"measured": _number(plan, measure), "window.start": begin, "window.end": time}
    if len(plan.members) > 1:
        evidence["sequence"] = [plan.members[member].title for member in members]
    return _finding(
        plan,
        finding_id(plan, token, time),
        time,
        group.shown,
        evidence,
        entity=group.entity,
        reason=_reason(plan, measure),
        source=group.source,
        event_ids=tuple(dict.fromkeys(events)),
    )


def new_term_id(plan: Plan, token: str, value: int, time: int) -> str:
    """The same for one value of a group over an aligned span: it is new twice only with a whole one between."""
    return digest("sigma", plan.rule.id, token, value, time // plan.rule.timespan)


def new_term(plan: Plan, name: str, mark: Mark, time: int, since: int) -> Finding:
    """The finding of a value that is new at ``time`` in a group whose matches go back to ``since`` (ms).

    Its evidence says the value, as far as it may be shown, beside the group.
    """
    rule = plan.rule
    of = f" of one {' and '.join(rule.group_by)}" if rule.group_by else ""
    return _finding(
        plan,
        name,
        time,
        mark.shown,
        {"learned.since": since, "window.start": time - rule.timespan, "window.end": time},
        entity=mark.entity,
        reason=f"{' and '.join(rule.fields)}{of} not seen within {rule.span} before.",
        source=mark.source,
        event_ids=(mark.event,) if mark.event else (),
    )


def silence(plan: Plan, name: str, mark: Mark, since: int) -> Finding:
    """The finding of a group that has been silent for a timespan since ``since`` (ms), and of that time."""
    rule = plan.rule
    of = f" of one {' and '.join(rule.group_by)}" if rule.group_by else ""
    return _finding(
        plan,
        name,
        since + rule.timespan,
        mark.shown,
        {"silent.since": since, "window.start": since, "window.end": since + rule.timespan},
        entity=mark.entity,
        reason=f"No {' or '.join(member.title for member in plan.members)}{of} for {rule.span}.",
        source=mark.source,
        event_ids=(mark.event,) if mark.event else (),
    )


def upward(
    plan: Plan, name: str, time: int, event: str, above: tuple[Above, ...], source: str, *, quiet: bool
) -> Iterator[Hit]:
    """What correlations that refer to ``plan`` are told of a point at which it holds, under the finding's ``name``."""
    same = fingerprint(name)
    for one in above:
        if one.child == plan.key:
            yield Hit(
                one.parent,
                one.group,
                one.shown,
                one.member,
                time,
                event,
                same if one.value is None else one.value,
                one.entity,
                source,
                tuple(other for other in above if other.child != plan.key),
                quiet,
            )


def _finding(
    plan: Plan,
    name: str,
    time: int,
    values: Shown,
    evidence: Mapping[str, Any],
    *,
    entity: str,
    reason: str,
    source: str,
    event_ids: tuple[str, ...],
) -> Finding:
    """``values``: of the group-by fields and then, of a new term, of its own."""
    rule = plan.rule
    named = (*rule.group_by, *(rule.fields if rule.kind == "new_term" else ()))
    return Finding(
        id=name,
        detector="sigma",
        entity=entity,
        time=time,
        severity=rule.level,
        title=rule.title,
        reason=reason,
        source=source,
        event_ids=event_ids,
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
        evidence={
            **{field: value for field, value in zip(named, values, strict=True) if value is not None},
            f"{EVIDENCE}type": rule.kind,
            **{f"{EVIDENCE}{name}": value for name, value in evidence.items()},
        },
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
