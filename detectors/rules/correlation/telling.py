"""From a match of a rule to the hits of the correlations that refer to it.

An event belongs to the group of its values of the group-by fields; one without a field belongs to the group of those
without it. A field with several values puts it into a group for each, up to GROUPS. Values are equal as their texts
are, with case. Of what is counted every value of a list counts; an event without one, or without the number that is
measured, is no hit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, Final, Protocol

from detectors.base import Event
from detectors.rules import lookup
from detectors.rules.correlation.bounds import billionths
from detectors.rules.correlation.hit import Above, Hit, Shown
from detectors.rules.correlation.plan import Feed, Field, Tell
from detectors.rules.correlation.told import fingerprint

__all__ = ["GROUPS", "VALUES", "Naming", "hits"]

#: Groups of one correlation that one event may belong to, and values of it that one event may bring.
GROUPS: Final = 16
VALUES: Final = 1_000

Record = Mapping[str, Any]


class Naming(Protocol):
    """What stands for values of an event outside of ingest."""

    def identity(self, text: str) -> str:
        """``text``, or the pseudonym of the patient whom it names."""
        ...

    def token(self, text: str) -> str:
        """The same for the same text, and nobody without the key learns it from that."""
        ...

    def shown(self, text: str) -> str:
        """``text`` itself where it may leave ingest, else a token of it."""
        ...


def hits(
    feeds: Sequence[Feed], record: Record, fields: Record, event: Event, subject: str, naming: Naming
) -> Iterator[Hit]:
    """The hits of one match.

    ``record`` and ``fields``: as the rule saw them. ``event``: as it leaves ingest; an untimely one gives none.
    ``subject``: the entity that a finding is about where the group names none.
    """
    if not event.timely:
        return
    for feed in feeds:
        tell = feed.tell
        values = list(_values(tell, record, fields, naming))
        if not values:
            continue
        above = tuple(_above(feed.above, record, fields, event, subject, naming))
        for token, shown, entity in _groups(tell, record, fields, event, subject, naming):
            for value, terms in values:
                yield Hit(
                    tell.plan.key,
                    token,
                    shown + terms,
                    tell.member,
                    event.time,
                    event.id,
                    value,
                    entity,
                    event.source,
                    above,
                )


def _above(
    tells: Iterable[Tell], record: Record, fields: Record, event: Event, subject: str, naming: Naming
) -> Iterator[Above]:
    """As many as there are tells: a chain follows the first group and the first value."""
    for tell in tells:
        for value, terms in islice(_values(tell, record, fields, naming), 1):
            token, shown, entity = next(_groups(tell, record, fields, event, subject, naming))
            yield Above(tell.child, tell.plan.key, tell.member, token, shown + terms, value, entity)


def _texts(field: Field, record: Record, fields: Record) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lookup.texts(record, fields, *field)))


def _groups(
    tell: Tell, record: Record, fields: Record, event: Event, subject: str, naming: Naming
) -> Iterator[tuple[str, Shown, str]]:
    """Token, what may be shown, and the entity of each group."""
    columns = [_texts(field, record, fields) or (None,) for field in tell.group]
    for values in islice(product(*columns), GROUPS):
        identities = [None if value is None else naming.identity(value) for value in values]
        entity = next(filter(None, (_entity(one, event) for one in identities if one is not None)), subject)
        token = naming.token(json.dumps(identities))
        yield token, tuple(None if one is None else naming.shown(one) for one in identities), entity


def _entity(identity: str, event: Event) -> str:
    """The entity of the event that a value names; empty where it names none."""
    if identity in event.patients:
        return identity
    for entity in (event.actor, event.device, event.address):
        if identity and entity.partition(":")[2] == identity:
            return entity
    return ""


def _values(tell: Tell, record: Record, fields: Record, naming: Naming) -> Iterator[tuple[int | None, Shown]]:
    """What is counted, measured or may be new, once for each value; of the last also what may be shown of it."""
    kind = tell.plan.rule.kind
    if not tell.values:
        yield None, ()
    elif kind in ("value_count", "new_term"):
        columns = [_texts(field, record, fields) for field in tell.values]
        for values in islice(product(*columns), VALUES):
            identities = [naming.identity(value) for value in values]
            terms = tuple(map(naming.shown, identities)) if kind == "new_term" else ()
            yield fingerprint(naming.token(json.dumps(identities))), terms
    else:
        (field,) = tell.values
        numbers = map(billionths, lookup.leaves(record, fields, *field) or ())
        yield from islice(((number, ()) for number in numbers if number is not None), VALUES)
