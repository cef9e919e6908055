"""Many workers say the same of the pipeline, every minute while it lasts: people are told once when it begins, and
once when it is over.

An occasion is everything that is said of one thing without a break of :data:`GAP`. It is over when some worker has said
:data:`ENOUGH` times, which it does once a minute, that it looks, and nobody has said the thing meanwhile. So what comes
and goes is one occasion; silence of those who are not there ends nothing; and whose clock is right does not matter.
Both are functions of what lies in the topic, so neither a second worker nor a restart begins or ends another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from detectors.base import Finding
from streams.codecs import finding_document, read_finding
from streams.lineage import SCHEMA, NewerSchema
from streams.state import Values

__all__ = [
    "DETECTOR",
    "DIRECT",
    "ENOUGH",
    "GAP",
    "SUBJECT",
    "Occasion",
    "Over",
    "looked",
    "looking",
    "looks",
    "said",
    "span",
]

#: The detector of findings that the pipeline makes of itself.
DETECTOR: Final = "pipeline"
#: The evidence that says what exactly a finding of ours is about; with its rule, what an occasion is told apart by.
SUBJECT: Final = "wardwatch.subject"
#: The evidence that receivers were told of this very finding past the topics, so that they hear of its end as well.
DIRECT: Final = "wardwatch.direct"
#: Silence, in ms, after which the same thing is another occasion. What lasts is said ten times as often.
GAP: Final = 600_000
#: Words that a worker looks, one a minute, after which what nobody said meanwhile is over.
ENOUGH: Final = 10
#: What happened and does not last, so that it never is over.
_ONCE: Final = frozenset({"pipeline.lost", "pipeline.lost_events"})
#: Age, in ms, at which what was said and is over is forgotten.
_KEPT: Final = 3 * 24 * 3_600_000


@dataclass(slots=True)
class Occasion:
    """What is remembered of one thing that was said."""

    first: str  #: id of the finding that began it
    last: int  #: ms, when it was last said
    told: list[Finding] = field(default_factory=list)  #: what people were told and is to be ended, the first one first
    over: bool = False
    looks: dict[str, int] = field(default_factory=dict)  #: words of each worker that looks, since it was last said

    def save(self) -> list[Any]:
        return [self.first, self.last, [finding_document(one) for one in self.told], self.over, self.looks]

    @classmethod
    def load(cls, saved: list[Any]) -> Occasion:
        """The inverse of :meth:`save`; of a worker before it, which kept the time alone, as well."""
        if len(saved) == 1:
            return cls("", saved[0])
        first, last, told, over, looks = saved
        return cls(first, last, [read_finding(one) for one in told], over, looks)


class Over(NamedTuple):
    """The end of what people were told."""

    finding: Finding  #: what they were told
    last: int  #: ms, when it was last said


def said(finding: Finding, values: Values) -> tuple[bool, list[Over]]:
    """Whether ``finding`` begins an occasion, and what is over by that; ``values`` remembers.

    Raises KeyError where it is none of ours.
    """
    key = f"{finding.rule['id']} {finding.evidence[SUBJECT]}".encode()
    known: Occasion | None = values.get(key)
    if known is not None and not _another(finding, known):
        if not known.over:
            known.last = max(finding.time, known.last)
            known.looks.clear()
            if known.told and DIRECT in finding.evidence and finding.id not in {one.id for one in known.told}:
                known.told.append(finding)
            values.put(key, known)
        return False, []
    values.put(key, Occasion(finding.id, finding.time, [] if finding.rule["id"] in _ONCE else [finding]))
    for other, occasion in list(values.items()):
        if not occasion.told and finding.time - occasion.last > _KEPT:
            values.remove(other)
    return True, [] if known is None else [Over(one, known.last) for one in known.told]


def _another(finding: Finding, known: Occasion) -> bool:
    if known.over:  # a word that was long on its way may still be of the one that is over
        return finding.time > known.last and finding.id != known.first
    return finding.time - known.last > GAP


def looks(worker: str, values: Values) -> list[Over]:
    """``worker`` has looked for another minute: what is over by that, in an order that does not vary."""
    ended: list[Over] = []
    for key, occasion in sorted(values.items(), key=lambda item: item[0]):
        if not occasion.told:
            continue
        occasion.looks[worker] = occasion.looks.get(worker, 0) + 1
        if occasion.looks[worker] > ENOUGH:
            ended += [Over(one, occasion.last) for one in occasion.told]
            values.put(key, Occasion(occasion.first, occasion.last, over=True))
        else:
            values.put(key, occasion)
    return ended


def looking(worker: str) -> bytes:
    """A worker's word that it looks, and has said all that it saw."""
    return orjson.dumps({"v": SCHEMA, "looks": worker})


def looked(raw: bytes) -> str:
    """Who said that. Raises NewerSchema on a later version, ValueError (KeyError, TypeError) on anything else."""
    word = orjson.loads(raw)
    if word["v"] > SCHEMA:
        raise NewerSchema(f"a value of schema {word['v']}; this worker reads {SCHEMA}: upgrade it")
    return str(word["looks"])


def span(seconds: float) -> str:
    """So much time as a person says it."""
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
