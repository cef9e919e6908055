"""A finding becomes an alert, and what the pipeline says of itself one that ends: a pure step over ``findings``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import orjson

from detectors.base import Alert, Finding, digest
from streams import topics
from streams.codecs import decode_finding, encode_alert
from streams.lineage import SCHEMA, NewerSchema, fingerprint
from streams.occasions import DETECTOR, Occasion, Over, looked, looks, said, span
from streams.records import Output, Record
from streams.state import PartitionState

__all__ = ["Alerting", "alert_of", "end_of"]


def alert_of(finding: Finding) -> Alert:
    """The alert of one finding."""
    return Alert(
        id=digest("alert", finding.id),
        revision=1,
        entity=finding.entity,
        severity=finding.severity,
        title=finding.title,
        reason=finding.reason,
        status="open",
        first_seen=finding.time,
        last_seen=finding.time,
        findings=(finding,),
    )


def end_of(over: Over) -> Alert:
    """The same alert once it is over."""
    finding, last = over
    lasted = f"after {span((last - finding.time) / 1000)}" if last - finding.time >= 60_000 else "within a minute"
    return Alert(
        id=digest("alert", finding.id),
        revision=2,
        entity=finding.entity,
        severity=finding.severity,
        title=finding.title,
        reason=f"Over {lasted}. It was: {finding.reason}",
        status="recovered",
        first_seen=finding.time,
        last_seen=max(last, finding.time),
        findings=(finding,),
    )


class Alerting:
    """A finding becomes an alert, one to one, and one record for each receiver that wants it; the same finding again
    becomes nothing. A KeyedStep.

    What the pipeline says of itself becomes one an occasion, and its end another revision of it. Its values are
    occasions.
    """

    _DAY = 24 * 3_600_000
    #: Days of findings whose ids are kept.
    _KEPT = 3

    def __init__(self, route: Callable[[Alert], Sequence[str]] = lambda _: ()) -> None:
        """``route``: names of the receivers of an alert (:class:`streams.routing.Routes`)."""
        self._route = route

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        if not record.key:  # for every partition: a finding has the key of its entity
            return self._own([*map(end_of, looks(looked(record.value), state.values))], state)
        finding = decode_finding(record.value)
        if finding.detector == DETECTOR:
            begins, over = said(finding, state.values)
            return self._own([*map(end_of, over), *([alert_of(finding)] if begins else [])], state)
        if finding.timely:
            state.watermarks.observe(finding.time)
        day = (finding.time if finding.timely else state.watermarks.current) // self._DAY
        state.seen.drop_before(state.watermarks.current // self._DAY - self._KEPT)
        if not fresh:
            state.counts["repeated"] += 1
            return ()
        state.seen.add(day, record.event)
        return [*self._told(alert_of(finding))]

    def _own(self, alerts: Sequence[Alert], state: PartitionState) -> Sequence[Output]:
        if not alerts:
            state.counts["held"] += 1
        return [output for alert in alerts for output in self._told(alert)]

    def _told(self, alert: Alert) -> Iterator[Output]:
        value, mark = encode_alert(alert), fingerprint(alert.id)
        yield Output(topics.ALERTS, alert.entity.encode(), value, mark)
        for name in self._route(alert):
            yield Output(topics.NOTIFICATIONS, name.encode(), value, mark)

    def dump(self, key: bytes, value: Occasion) -> bytes:
        return orjson.dumps([SCHEMA, *value.save()])

    def load(self, key: bytes, raw: bytes) -> Occasion:
        schema, *saved = orjson.loads(raw)
        if schema > SCHEMA:
            raise NewerSchema(f"an occasion of schema {schema}; this worker reads {SCHEMA}: upgrade it")
        return Occasion.load(saved)
