"""What ``status`` shows a person: of the steps, of those that keep events, of vault and keys."""

from __future__ import annotations

from typing import Any

import pytest

from streams.commands.status import Keeping, Status, status_lines

NOW = 1_772_323_200_000  # 2026-03-01T00:00:00Z


def said(**more: Any) -> dict[str, Any]:
    return {"time": NOW, "stopped": [], "records_per_second": 120.0, "vault": None, "lacking": "", **more}


def lines(**status: Any) -> list[str]:
    """What is shown below the table."""
    shown = list(status_lines(Status(NOW, **status)))
    return shown[shown.index("") + 1 :]


def test_those_that_keep_events_are_a_step_of_their_own() -> None:
    running = Status(NOW, lag={"events": 4}, keeping=Keeping(1234, 2.0, {"host.9": said(), "gone.8": said(time=0)}))
    shown = list(status_lines(running))
    assert shown[1:3] == ["behave    events                  4", "keep      events              1,234"]
    assert [line for line in shown if line.startswith("events kept")] == ["events kept   host.9: runs, 120 events/s"]


@pytest.mark.parametrize(
    ("keeping", "told"),
    [
        (None, "none: no worker --only events has run"),
        (Keeping(7, 0.0), "their worker does not move"),
        (Keeping(7, 1.5), "their worker goes on"),
        (Keeping(0, 0.0), "their worker goes on"),
        (Keeping(7, 0.0, {"host.9": said(stopped=["events events[0]: away"])}), "host.9: events events[0]: away, 120"),
    ],
)
def test_whether_events_are_kept_is_told_from_afar_too(keeping: Keeping | None, told: str) -> None:
    (line,) = (line for line in lines(keeping=keeping) if line.startswith("events kept"))
    assert line.removeprefix("events kept   ").startswith(told)


def test_vault_and_keys_stand_where_one_looks() -> None:
    waits = {"written": 31, "pending": 2, "waiting": 1}
    keys = [
        {"key": "0123abcd", "state": "in use", "start": None, "counts_until": None},
        {"key": "89abcdef", "state": "announced", "start": NOW, "counts_until": None},
    ]
    workers = {"host.1": said(vault=waits | {"waiting": 0}), "host.2": said(vault=waits, lacking="89abcdef")}
    shown = lines(workers=workers, vault_entries=4711, keys=keys)
    assert [line for line in shown if line.startswith(("vault", "key"))] == [
        "vault         4,711 entries; ingest waits for it: host.2",
        "key           0123abcd in use",
        "key           89abcdef announced, from 2026-03-01 00:00:00 UTC",
        "key           89abcdef is not here: host.2 stops ingest once it is in use",
    ]
    assert [line for line in lines() if line.startswith(("vault", "key"))] == [], "where there is none"
