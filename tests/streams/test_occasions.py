"""Many words about one trouble are one alert, whoever says them and whatever dies in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of

from streams import topics
from streams.codecs import decode_alert, encode_finding
from streams.conditions import Conditions, Look
from streams.deadletters import DeadLetters
from streams.handlers import KeyedHandler
from streams.keys import load_keys
from streams.pipeline import Alerting
from streams.records import OWN
from streams.settings import Settings
from streams.state import COUNTS
from streams.tallies import Tally

MINUTE = 60


def word(offset: int, minute: float, **trouble: Any) -> Any:
    """What some worker says of a trouble at a time, as it lies in the topic."""
    look = Look(**(trouble or {"kafka": "no Kafka answers"}))
    conditions = Conditions(Settings(trouble_after=1e-9))
    conditions.judge(look, now=minute * MINUTE - 1)
    (finding,) = conditions.judge(look, now=minute * MINUTE)
    value, key = encode_finding(finding), finding.entity.encode()
    return SimpleNamespace(offset=offset, key=key, value=value, headers=[(OWN, b"")], partition=0, timestamp=0)


class Steps:
    """Alerting over one partition, started anew at will."""

    def __init__(self, letters: DeadLetters) -> None:
        self.memory, self.sent, self.tally, self._letters = Memory(), Sent(), Tally(), letters

    async def take(self, *records: Any) -> list[int]:
        """By a worker that has just started; the minutes of the alerts that it makes."""
        handler = KeyedHandler(
            Alerting(),
            self.sent,  # type: ignore[arg-type]
            self.memory,  # type: ignore[arg-type]
            self._letters,
            journal=NO_JOURNAL,
            stage="alert",
            topic_id=TOPIC,
            now=lambda: 0.0,
            tally=self.tally,
        )
        await handler.open()
        self.sent.outputs.clear()
        await handler.process(batch_of(topics.FINDINGS, list(records)))
        await handler.flush()
        alerts = [decode_alert(output.value) for output in self.sent.outputs if output.topic == topics.ALERTS]
        return [alert.first_seen // 1000 // MINUTE for alert in alerts]


@pytest.fixture
def steps(tmp_path: Any) -> Steps:
    return Steps(DeadLetters(load_keys(tmp_path).dead_letter_public))


async def test_what_lasts_is_one_alert_over_workers_and_restarts(steps: Steps) -> None:
    assert await steps.take(*(word(n, 100 + n / 2) for n in range(40))) == [100], "two workers, twenty minutes"
    assert await steps.take(word(40, 129)) == [], "a restart that took nine minutes"
    assert await steps.take(word(41, 125)) == [], "a worker whose clock is behind"
    assert await steps.take(word(42, 139), word(43, 149.5)) == [149]
    assert steps.tally.filtered["held"] == 42
    assert (steps.tally.taken, steps.tally.passed, steps.tally.dead) == (44, 2, 0)


async def test_each_trouble_is_one_of_its_own(steps: Steps) -> None:
    said: list[dict[str, Any]] = [
        {"kafka": "no Kafka answers"},
        {"store": "Elasticsearch: StoreUnavailable"},
        {"lag": {("ingest", "audit.ehr"): 200_000}},
        {"lag": {("ingest", "audit.iot"): 200_000}},
    ]
    assert await steps.take(*(word(n, 100, **trouble) for n, trouble in enumerate(said))) == [100] * 4


async def test_it_forgets_what_was_said_days_ago(steps: Steps) -> None:
    await steps.take(word(0, 100, lag={("ingest", "audit.ehr"): 200_000}))
    before = len(steps.memory.held)
    await steps.take(word(1, 100 + 4 * 24 * 60))
    assert len(steps.memory.held) == before, "one came and one went"


async def test_a_word_that_says_nothing_is_a_dead_letter(steps: Steps) -> None:
    broken = word(0, 100)
    broken.value = broken.value.replace(b"wardwatch.subject", b"wardwatch.unknown")
    assert await steps.take(broken) == []
    assert [output.topic for output in steps.sent.outputs] == [topics.DEAD_LETTERS]
    assert (steps.tally.taken, steps.tally.dead, steps.tally.passed) == (1, 1, 0)
    assert set(steps.tally.filtered) <= set(COUNTS)
