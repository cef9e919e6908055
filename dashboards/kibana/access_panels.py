"""The dashboard of accesses: who touched patients' records, from where told, how often refused, and after hours.

It needs the index of events (``events_index``); without one it is empty, and the overview is as it was.
"""

from __future__ import annotations

from typing import Final

from dashboards.kibana.boards import TIME, Board, Grid, Panel, Search
from dashboards.kibana.columns import Count, Latest, Terms, Time, Unique
from streams.sinks.event_index import EVENTS

__all__ = ["ACCESSES", "AFTER_HOURS", "REFUSED"]

ACTOR = "wardwatch.actor"
PATIENTS = "wardwatch.patients"
SOURCE = "wardwatch.source"
OUTCOME = "event.outcome"

#: Before 7, from 19 o'clock, and weekends, in ``events_zone``: hours as most wards' offices have them.
AFTER_HOURS: Final = "wardwatch.hour < 7 or wardwatch.hour >= 19 or wardwatch.weekday >= 6"
REFUSED: Final = f'{OUTCOME}: "failure"'


def _accesses(query: str = "", label: str = "Accesses", name: str = "accesses") -> Count:
    return Count(name, label, query=query)


def _patients() -> Unique:
    return Unique("patients", "Patients", PATIENTS)


_AFTER = _accesses(AFTER_HOURS, "After hours", "after")

_PANELS = (
    Panel("count", "Accesses", "number", Grid(0, 0, 12, 6), (_accesses(),)),
    Panel("count-patients", "Patients touched", "number", Grid(12, 0, 12, 6), (_patients(),)),
    Panel("count-actors", "Who touched them", "number", Grid(24, 0, 12, 6), (Unique("actors", "Actors", ACTOR),)),
    Panel("count-after", "After hours", "number", Grid(36, 0, 12, 6), (_AFTER,)),
    Panel(
        "over-time-source",
        "Accesses over time, by source",
        "time",
        Grid(0, 6, 24, 14),
        (_accesses(),),
        (Terms("source", "Source", SOURCE, size=8), Time("time", "Time", TIME)),
    ),
    Panel(
        "over-time-outcome",
        "Accesses over time, by outcome",
        "time",
        Grid(24, 6, 24, 14),
        (_accesses(),),
        (Terms("outcome", "Outcome", OUTCOME, size=3), Time("time", "Time", TIME)),
    ),
    Panel(
        "top-actors",
        "Who touched the most patients",
        "table",
        Grid(0, 20, 24, 16),
        (_patients(), _accesses(), _accesses(REFUSED, "Refused", "refused"), Latest("latest", "Last", TIME)),
        (Terms("actor", "Actor", ACTOR, size=20),),
    ),
    Panel(
        "after-hours",
        "Who came most after hours",
        "table",
        Grid(24, 20, 24, 16),
        (_AFTER, _accesses(), _patients()),
        (Terms("actor", "Actor", ACTOR, size=20),),
    ),
)

ACCESSES: Final = Board(
    id="wardwatch-accesses",
    title="Wardwatch: accesses",
    description="Who touched patients' records: over time, by source and outcome, how many patients, after hours.",
    indices=EVENTS,
    panels=_PANELS,
    controls={SOURCE: "Source", ACTOR: "Actor", PATIENTS: "Patient", "event.action": "Action"},
    search=Search(
        id=f"{EVENTS}-who",
        title="Wardwatch: who touched this record",
        description='Every access to a patient\'s record, the latest first. For one: wardwatch.patients: "patient:…"',
        columns={
            ACTOR: "Actor",
            "event.action": "Action",
            PATIENTS: "Patient",
            OUTCOME: "Outcome",
            "wardwatch.address": "From",
            SOURCE: "Told by",
        },
        widths={ACTOR: 260, PATIENTS: 320},
        grid=Grid(0, 36, 48, 24),
    ),
    query=f"{PATIENTS}: *",
)
