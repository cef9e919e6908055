"""What libraries repeat is said once a minute, and counted; ours is always said."""

from __future__ import annotations

import json
import logging
import sys

from streams.logs import Json, Sparing


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


def test_a_line_of_json_is_one_object_with_the_names_of_ecs() -> None:
    try:
        raise ValueError("synthetic")
    except ValueError:
        record = logging.LogRecord(
            "streams.x", logging.WARNING, __file__, 1, 'a "%s"\nof two lines', (b"\xff",), sys.exc_info()
        )
    record.created = 0.5
    line = Json().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert "ValueError: synthetic" in told.pop("error.stack_trace")
    assert told.pop("process.pid") == record.process
    assert told == {
        "@timestamp": "1970-01-01T00:00:00.500+00:00",
        "log.level": "warning",
        "log.logger": "streams.x",
        "message": "a \"b'\\xff'\"\nof two lines",
    }
