"""What stands for the values by which matches are correlated, once they leave ingest.

A group is known by a keyed token of its values, so that equal ones meet whatever their events may show. In a finding
stands a value that the event releases anyway, a patient's pseudonym, or a token; what is counted is a fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import orjson

from detectors.base import Event
from detectors.rules import Match
from detectors.rules.correlation import Above, Correlations, Hit
from detectors.rules.correlation.telling import hits
from detectors.rules.findings import entity
from streams import topics
from streams.lineage import SCHEMA, NewerSchema, fingerprint
from streams.pseudonyms import Pseudonyms, canonical
from streams.records import Output
from streams.sources.base import Draft, Source
from streams.vocabulary import WORDS

__all__ = ["EventNaming", "decode_hit", "hit_output", "hits_of", "raw_hits"]

#: Hits that one match may make, of all values and groups in its event.
MOST_HITS: Final = 2_000
_LONG: Final = 1 << 63
#: Characters of a value that is shown; a longer one is a token.
_LONGEST: Final = 256


def hits_of(
    correlations: Correlations,
    matches: Iterable[Match],
    draft: Draft,
    source: Source,
    event: Event,
    pseudonyms: Pseudonyms,
    *,
    quiet: bool = False,
    earlier: bool = False,
) -> Iterator[Hit]:
    """What correlations are told of the rules that matched one event.

    ``event``: as ``pseudonyms`` names it. ``quiet``: they learn from it and say nothing, since the same is told under
    the key before, which is the ``earlier`` one. An absence is told the other way about: under the earlier name a group
    falls silent when that key goes, whatever it does.
    """
    naming: EventNaming | None = None
    for match in matches:
        feeds = correlations.feeds.get(match.rule.id)
        if feeds is None:
            continue
        naming = naming or EventNaming(draft, event, pseudonyms)
        about = entity(match.rule, event, source.subject)
        told = hits(feeds, match.record, match.fields, event, about, naming)
        for hit in islice(told, MOST_HITS):
            absence = correlations.by_key[hit.plan].rule.kind == "absence"
            yield hit._replace(quiet=True) if (earlier if absence else quiet) else hit


def raw_hits(correlations: Correlations, matches: Iterable[Match], event: Event) -> Iterator[Hit]:
    """The same of a record that is tried as it is, and stays where it is."""
    for match in matches:
        yield from hits(correlations.feeds.get(match.rule.id, ()), match.record, {}, event, event.actor, _Clear())


class _Clear:
    def identity(self, text: str) -> str:
        return text

    token = shown = identity


class EventNaming:
    """:class:`detectors.rules.correlation.telling.Naming` for one event under one key."""

    def __init__(self, draft: Draft, event: Event, pseudonyms: Pseudonyms) -> None:
        self._event = event
        self._pseudonyms = pseudonyms
        named = [*draft.patients, *([draft.actor[8:]] if draft.actor.startswith("patient:") else [])]
        self._patients = {canonical(raw) for raw in named}
        self._released: set[str] | None = None

    def identity(self, text: str) -> str:
        if self._patients and canonical(text) in self._patients:
            return self._pseudonyms.patient(text)
        return text

    def token(self, text: str) -> str:
        return self._pseudonyms.token("id", f"correlation\x1f{text}")

    def shown(self, text: str) -> str:
        if self._released is None:
            event = self._event
            entities = [event.actor, event.device, event.address]
            self._released = {*_strings(event.fields), *(e.partition(":")[2] for e in entities), *event.patients}
        released = text in self._released or text in WORDS
        return text if released and len(text) <= _LONGEST else self.token(text)


def hit_output(hit: Hit) -> Output:
    """A hit as a record of ``matches``, under its group. The same hit has the same fingerprint."""
    key = f"{hit.plan}/{hit.group}"
    value = [SCHEMA, *hit[:6], _packed(hit.value), *hit[7:9], [_above(one) for one in hit.above], hit.quiet]
    mark = fingerprint(f"{key}\x1f{hit.member}\x1f{hit.event}\x1f{hit.value}")
    # Of its own size: orjson's bytes hold on to a far larger buffer.
    return Output(topics.MATCHES, key.encode(), bytes(memoryview(orjson.dumps(value))), mark, hit.time)


def decode_hit(raw: bytes) -> Hit:
    """Raises NewerSchema on a later version, ValueError (TypeError) on anything else not ours."""
    schema, plan, group, shown, member, time, event, value, entity, source, above, quiet = orjson.loads(raw)
    if schema > SCHEMA:
        raise NewerSchema(f"a match of schema {schema}; this worker reads {SCHEMA}: upgrade it")
    chain = tuple(map(_read_above, above))
    return Hit(plan, group, tuple(shown), member, time, event, _unpacked(value), entity, source, chain, quiet)


def _read_above(saved: list[Any]) -> Above:
    child, parent, member, group, shown, value, entity = saved
    return Above(child, parent, member, group, tuple(shown), _unpacked(value), entity)


def _above(one: Above) -> list[Any]:
    return [*one[:5], _packed(one.value), one.entity]


def _packed(value: int | None) -> int | str | None:
    """Billionths may be longer than the numbers that orjson writes."""
    return value if value is None or -_LONG < value < _LONG else str(value)


def _unpacked(value: int | str | None) -> int | None:
    return int(value) if isinstance(value, str) else value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, int | float):  # as rules spell it
        yield ("true" if value else "false") if isinstance(value, bool) else repr(value)
