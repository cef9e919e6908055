"""A record half sent under some rules, and derived again under others."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.lineage import NO_POSITION, Lineage, Marks, Position, fingerprint
from streams.numbering import MOST_FINDINGS, MOST_OTHERS, numbered
from streams.records import Output
from streams.topics import EVENTS, FINDINGS, VIEWS

TOPIC = b"\x07" * 16
EVENT = Output(EVENTS, b"user:a", b"{}", fingerprint("a"))
VIEW = Output(VIEWS, b"patient:b", b"{}", fingerprint("a"))


def finding(name: int, draw: int | None = None) -> Output:
    return Output(FINDINGS, b"user:a", b"%d" % name, fingerprint(str(name)) if draw is None else draw)


def taken(marks: Marks, outputs: list[tuple[int, Output]]) -> list[bytes]:
    """Values that a reader of one partition takes, sent one by one."""
    found, previous = [], NO_POSITION
    for number, output in outputs:
        position = Position(5, number)
        if not marks.accept(Lineage(TOPIC, 0, position, previous, output.event), [position]):
            found.append(output.value)
        previous = position
    return found


@given(
    st.sets(st.integers(0, 30), max_size=12),
    st.sets(st.integers(0, 30), max_size=12),
    st.integers(0, 12),
)
@example({1, 2}, {2}, 1)
def test_what_both_find_is_taken_once(before: set[int], after: set[int], sent: int) -> None:
    marks = Marks()
    first = [one for one in numbered([EVENT, VIEW, *map(finding, before)]) if one[1].topic == FINDINGS]
    again = [one for one in numbered([EVENT, VIEW, *map(finding, sorted(after))]) if one[1].topic == FINDINGS]
    found = taken(marks, first[:sent]) + taken(marks, again)
    for name in before & after:
        assert found.count(b"%d" % name) == 1
    assert len(found) == len(set(found))


def test_events_and_views_are_counted_whatever_was_found() -> None:
    assert [*numbered([EVENT, VIEW])] == [(0, EVENT), (1, VIEW)]
    found = [*numbered([EVENT, finding(1), VIEW, finding(2)])]
    assert found[:2] == [(0, EVENT), (1, VIEW)]
    assert [*numbered([])] == []


@pytest.mark.parametrize("draw", [0, (1 << 16) - MOST_OTHERS - 1, 17])
def test_as_many_as_there_may_be_have_each_a_number(draw: int) -> None:
    outputs = [EVENT, *(finding(n, draw) for n in range(MOST_FINDINGS))]
    numbers = [number for number, _ in numbered(outputs)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    assert numbers[1] >= MOST_OTHERS
    assert numbers[-1] < 1 << 16
