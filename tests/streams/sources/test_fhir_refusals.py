"""A malformed AuditEvent is refused with field and reason, never with what it says, and nothing else ever comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from fhir_records import event
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.sources.base import BadRecord
from streams.sources.fhir import FHIR

_GONE = object()


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("resourceType",), _GONE, "resourceType: missing"),
        (("resourceType",), "Patient", "resourceType: not AuditEvent"),
        (("type",), _GONE, "type: missing"),
        (("type",), "rest", "type: is a string, R4 wants an object"),
        (("type", "code"), _GONE, "type.code: missing"),
        (("recorded",), _GONE, "recorded: missing"),
        (("recorded",), 17, "recorded: is a number"),
        (("recorded",), "2026-01-05T08:00:00", "recorded: has no offset"),
        (("recorded",), "2026-01-05", "recorded: not an instant"),
        (("recorded",), "2026-13-05T08:00:00Z", "recorded: no such day"),
        (("recorded",), "2026-W02-1T08:00:00Z", "recorded: not an instant"),
        (("action",), "X", "action: not one of"),
        (("action",), ["R"], "action: is a list"),
        (("outcome",), "1", "outcome: not one of"),
        (("agent",), _GONE, "agent: missing"),
        (("agent",), [], "agent: missing or empty"),
        (("agent",), {}, "agent: is an object"),
        (("agent", 1), "someone", r"agent\[1\]: is a string"),
        (("agent", 1, "requestor"), _GONE, r"agent\[1\].requestor: missing"),
        (("agent", 1, "requestor"), "true", r"agent\[1\].requestor: is a string"),
        (("agent", 1, "who"), "Practitioner/7", r"agent\[1\].who: is a string"),
        (("agent", 1, "who", "reference"), 7, r"agent\[1\].who.reference: is a number"),
        (("agent", 1, "network", "address"), 7, r"agent\[1\].network.address: is a number"),
        (("source",), _GONE, "source: missing"),
        (("source", "observer"), _GONE, "source.observer: missing"),
        (("source", "observer"), {}, "source.observer: missing or names nothing"),
        (("entity",), {}, "entity: is an object"),
        (("entity", 1, "what", "reference"), None, r"entity\[1\].what.reference: is null"),
        (("entity", 1, "name"), 7, r"entity\[1\].name: is a number"),
        (("purposeOfEvent", 0, "coding"), 7, r"purposeOfEvent\[0\].coding: is a number"),
        (("outcome",), {"code": {}}, "R5"),
    ],
)
def test_a_malformed_record_is_refused_with_field_and_reason(path: tuple[Any, ...], value: Any, reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        FHIR.normalise(_put(event(), path, value))


def _put(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    node: Any = record
    for step in path[:-1]:
        node = node[step]
    if value is _GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return record


def _nodes(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from _nodes(inner, (*path, name))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just(_GONE),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=600)
@given(st.lists(st.tuples(st.sampled_from(sorted(_nodes(event()), key=str)), _JSON), min_size=1, max_size=3))
def test_nothing_but_a_draft_or_a_refusal_comes_out(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    record = event()
    for path, value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            _put(record, path, value)
    try:
        draft = FHIR.normalise(record)
    except BadRecord as refused:
        reason = str(refused)
    else:
        reason = ""
        assert draft.actor.partition(":")[2]
        assert {type(text) for text in draft.identifiers} <= {str}
        assert all(type(value) in (str, list) for value in draft.fields.values())
    assert "synthetic-0001" not in reason


@given(st.dictionaries(st.text(), _JSON) | st.just({"resourceType": "AuditEvent"}))
def test_recognising_never_raises(record: dict[str, Any]) -> None:
    assert FHIR.recognises(record) is (record.get("resourceType") == "AuditEvent")
