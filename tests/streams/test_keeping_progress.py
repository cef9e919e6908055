"""When those that keep events are told to stand still: never where there are none, nor while they move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams import keeping_progress
from streams.keeping_progress import KeepingProgress
from streams.settings import Settings

STILL = "No worker keeps events: 7 records of events wait, and none was taken."


def told(
    monkeypatch: pytest.MonkeyPatch, commits: list[dict[int, int]], ends: dict[int, int], **settings: bool
) -> list[str]:
    """What is said at each look, as the group's commits go by."""
    asked: Iterator[dict[int, int]] = iter(commits)

    def committed(settings: Settings, only: list[str]) -> dict[tuple[str, int], int]:
        assert settings.application == "wardwatch.events"
        return {(only[0], number): at for number, at in next(asked).items()}

    monkeypatch.setattr(keeping_progress, "committed", committed)
    progress = KeepingProgress(Settings(**settings))  # type: ignore[arg-type]
    return [progress.look(ends) for _ in commits]


@pytest.mark.parametrize(
    ("commits", "said"),
    [
        ([{}, {}, {}], ["", "", ""]),  # nobody has ever kept any
        ([{0: -1, 1: -1}] * 3, ["", "", ""]),
        ([{0: 3, 1: 10}, {0: 3, 1: 10}, {0: 3, 1: 10}], ["", STILL, STILL]),
        ([{0: 3, 1: 10}, {0: 4, 1: 10}, {0: 5, 1: 10}], ["", "", ""]),  # slow, and not still
        ([{0: 10, 1: 10}] * 3, ["", "", ""]),
        ([{0: 3, 1: 10}, {0: 3, 1: 10}, {0: 10, 1: 10}], ["", STILL, ""]),
        ([{0: 3, 1: 10, 2: 0}] * 2, ["", STILL]),  # the third partition is another worker's to look at
    ],
)
def test_standing_still_is_told_of_two_looks(
    monkeypatch: pytest.MonkeyPatch, commits: list[dict[int, int]], said: list[str]
) -> None:
    assert told(monkeypatch, commits, {0: 10, 1: 10}) == said


def test_who_keeps_none_on_purpose_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, [{0: 3}, {0: 3}], {0: 10}, events_store=False) == ["", ""]
