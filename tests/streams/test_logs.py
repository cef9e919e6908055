"""What libraries repeat is said once a minute, and counted; ours is always said."""

from __future__ import annotations

import logging

from streams.logs import Sparing


def said(sparing: Sparing, name: str, at: float, text: str = "no node %s", *args: object) -> str | None:
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, text, args or (7,), None)
    record.created = at
    return record.getMessage() if sparing.filter(record) else None


def test_a_library_repeats_itself_once_a_minute() -> None:
    sparing = Sparing()
    lines = [said(sparing, "aiokafka.client", 1000 + second / 10) for second in range(1201)]
    assert [line for line in lines if line] == [
        "no node 7",
        "no node 7 (and 599 more like it)",
        "no node 7 (and 599 more like it)",
    ]
    assert said(sparing, "aiokafka.client", 1061, "another %s") == "another 7"
    assert said(sparing, "faust", 1061) == "no node 7"


def test_ours_is_always_said_and_memory_is_bounded() -> None:
    sparing = Sparing()
    assert all(said(sparing, "streams.lanes", 1000) for _ in range(5))
    for number in range(5000):
        assert said(sparing, "faust", 1000, f"{number} %s")
    assert len(sparing._said) <= 1000
