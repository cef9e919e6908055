"""Many words about one trouble are one alert and one end of it, whoever says them and whatever dies in between."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of

from detectors.base import Alert
from streams import topics
from streams.alerting import Alerting, alert_of
from streams.codecs import decode_alert, decode_finding, encode_finding
from streams.conditions import Conditions, Look
from streams.deadletters import DeadLetters
from streams.handlers import KeyedHandler
from streams.keys import load_keys
from streams.lanes import Loss
from streams.lineage import SCHEMA
from streams.occasions import DIRECT, ENOUGH, SUBJECT, looking
from streams.records import OWN
from streams.settings import Settings
from streams.state import COUNTS
from streams.tallies import Tally
from streams.troubles import KINDS

MINUTE = 60


def word(offset: int, minute: float, **trouble: Any) -> Any:
    """What some worker says of a trouble at a time, as it lies in the topic."""
    look = Look(**(trouble or {"kafka": "no Kafka answers"}))
    conditions = Conditions(Settings(trouble_after=1e-9))
    (finding,) = [said for now in (minute * MINUTE - 1, minute * MINUTE) for said in conditions.judge(look, now=now)]
    value, key = encode_finding(finding), finding.entity.encode()
    return SimpleNamespace(offset=offset, key=key, value=value, headers=[(OWN, b"")], partition=0, timestamp=0)


def direct(record: Any) -> Any:
    """The same word by a worker that told people of it itself."""
    finding = decode_finding(record.value)
    record.value = encode_finding(replace(finding, evidence={**finding.evidence, DIRECT: True}))
    return record


def looks(first: int, *workers: str) -> list[Any]:
    """Words that workers look, from the offset ``first`` on."""
    return [
        SimpleNamespace(offset=n, key=None, value=looking(name), headers=[(OWN, b"")], partition=0, timestamp=0)
        for n, name in enumerate(workers, first)
    ]


class Steps:
    """Alerting over one partition, started anew at will."""

    def __init__(self, letters: DeadLetters) -> None:
        self.memory, self.sent, self.tally, self._letters = Memory(), Sent(), Tally(), letters

    async def take(self, *records: Any) -> list[int]:
        """By a worker that has just started; the minutes of the alerts that it makes."""
        return [alert.first_seen // 1000 // MINUTE for alert in await self.alerts(*records) if alert.revision == 1]

    async def ends(self, *records: Any) -> list[tuple[int, int]]:
        """Likewise, the first and last minutes of those that are over."""
        ended = [alert for alert in await self.alerts(*records) if alert.status == "recovered"]
        return [(alert.first_seen // 1000 // MINUTE, alert.last_seen // 1000 // MINUTE) for alert in ended]

    async def alerts(self, *records: Any) -> list[Alert]:
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
        return [decode_alert(output.value) for output in self.sent.outputs if output.topic == topics.ALERTS]


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


async def test_what_nobody_says_while_a_worker_looks_ten_times_is_over_once(steps: Steps) -> None:
    begun = await steps.alerts(*(word(n, 100 + n) for n in range(13)))
    assert await steps.ends(*looks(13, *["a"] * ENOUGH)) == []
    (over,) = await steps.alerts(*looks(23, "a"))
    assert (over.id, over.revision, over.status) == (begun[0].id, 2, "recovered")
    assert over.reason == "Over after 12 minutes. It was: no Kafka answers."
    assert replace(over, revision=1, status="open", reason=begun[0].reason, last_seen=begun[0].last_seen) == begun[0]
    assert await steps.ends(*looks(24, *["a", "b"] * 40)) == [], "once"
    assert await steps.take(word(104, 125)) == [125], "and then it is another"


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([*looks(1, *["a"] * 10), word(11, 109), *looks(12, *["a"] * 10)], "it was said again"),
        ([*looks(1, *"abcdefghijkl" * 9)], "many that look say nothing sooner than one"),
        ([*looks(1, *["a"] * 10), word(11, 105), *looks(12, *["b"] * 10)], "a word that was long on its way"),
    ],
)
async def test_what_may_last_is_not_over(steps: Steps, records: list[Any], why: str) -> None:
    assert await steps.ends(word(0, 100), *records) == [], why


async def test_what_comes_and_goes_is_one_alert_with_one_end(steps: Steps) -> None:
    """Nine minutes of peace, one of trouble, all day."""
    said, offset = [], 0
    for minute in range(0, 1440, 10):
        said += [word(offset, minute), *looks(offset + 1, *["a", "b"] * 9)]
        offset += 19
    assert [alert.revision for alert in await steps.alerts(*said)] == [1]
    assert await steps.ends(*looks(offset, *["a"] * 2)) == [(0, 1430)]


async def test_each_trouble_ends_by_itself_and_a_loss_never_does(steps: Steps) -> None:
    lag = {"lag": {("ingest", "audit.ehr"): 200_000}}
    loss = {"losses": [Loss("ingest", "audit.ehr", 1, 40, 25)]}
    await steps.take(word(0, 100), word(1, 101, **lag), word(2, 101, **loss))
    await steps.take(*looks(3, *["a"] * 5), word(8, 106, **lag), *looks(9, *["a"] * 6))
    ends = await steps.alerts(*looks(15, *["a"] * 40))
    assert [alert.title for alert in ends] == [KINDS["lag"].title]


async def test_a_crash_between_the_end_and_its_flush_makes_the_same_end_again(steps: Steps) -> None:
    await steps.take(word(0, 100))
    last = looks(1, *["a"] * 11)
    steps.memory.failures.append(ConnectionError("no broker"))
    with pytest.raises(ConnectionError):
        await steps.alerts(*last)
    unflushed = [output for output in steps.sent.outputs if output.topic == topics.ALERTS]
    again = await steps.alerts(*last)
    assert [decode_alert(output.value) for output in unflushed] == again
    assert [alert.revision for alert in again] == [2]


async def test_what_is_said_again_after_its_end_is_told_however_soon(steps: Steps) -> None:
    """As soon as its id is another: within the same ten minutes of the clock it would be the same alert."""
    await steps.take(word(0, 102))
    assert await steps.ends(*looks(1, *["a"] * 11)) == [(102, 102)]
    assert await steps.take(word(12, 101), word(13, 105), word(14, 110)) == [110]


async def test_where_nobody_was_there_to_end_it_the_next_one_does(steps: Steps) -> None:
    await steps.take(word(0, 100))
    alerts = await steps.alerts(word(1, 200))
    told = [(alert.status, alert.first_seen // 1000 // MINUTE) for alert in alerts]
    assert told == [("recovered", 100), ("open", 200)]


async def test_whoever_was_told_past_the_topics_hears_of_the_end_as_well(steps: Steps) -> None:
    """Two workers that saw an outage on different sides of a ten-minute mark told two alerts; the topics make one."""
    words = [direct(word(0, 109)), direct(word(1, 111)), word(2, 112)]
    assert await steps.take(*words) == [109]
    ends = await steps.alerts(*looks(3, *["a"] * 11))
    assert {alert.id for alert in ends} == {alert_of(decode_finding(said.value)).id for said in words[:2]}
    assert all(alert.last_seen // 1000 // MINUTE == 112 for alert in ends)


async def test_what_a_worker_before_this_version_remembers_is_taken(steps: Steps) -> None:
    said = word(0, 100)
    (key,) = (f"{f.rule['id']} {f.evidence[SUBJECT]}" for f in [decode_finding(said.value)])
    steps.memory.held[key.encode()] = orjson.dumps([SCHEMA, 100 * MINUTE * 1000])
    assert await steps.take(word(0, 105)) == []
    assert await steps.alerts(*looks(1, *["a"] * 20)) == [], "of what it does not know it tells no end"
    assert await steps.take(word(21, 116)) == [116]


async def test_each_trouble_is_one_of_its_own(steps: Steps) -> None:
    said: list[dict[str, Any]] = [
        {"kafka": "no Kafka answers"},
        {"store": "Elasticsearch: StoreUnavailable"},
        {"lag": {("ingest", "audit.ehr"): 200_000}},
        {"lag": {("ingest", "audit.iot"): 200_000}},
    ]
    assert await steps.take(*(word(n, 100, **trouble) for n, trouble in enumerate(said))) == [100] * 4


async def test_it_forgets_what_was_said_days_ago(steps: Steps) -> None:
    await steps.take(word(0, 100, lag={("ingest", "audit.ehr"): 200_000}), *looks(1, *["a"] * 11))
    before = len(steps.memory.held)
    await steps.take(word(12, 100 + 4 * 24 * 60))
    assert len(steps.memory.held) == before, "one came and one went"


async def test_a_word_that_says_nothing_is_a_dead_letter(steps: Steps) -> None:
    broken = word(0, 100)
    broken.value = broken.value.replace(b"wardwatch.subject", b"wardwatch.unknown")
    assert await steps.take(broken) == []
    assert [output.topic for output in steps.sent.outputs] == [topics.DEAD_LETTERS]
    assert (steps.tally.taken, steps.tally.dead, steps.tally.passed) == (1, 1, 0)
    assert set(steps.tally.filtered) <= set(COUNTS)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"v": 1}', b"[]"])
async def test_a_word_for_all_that_is_none_is_a_dead_letter(steps: Steps, value: bytes) -> None:
    (broken,) = looks(0, "a")
    broken.value = value
    assert await steps.alerts(broken) == []
    assert [output.topic for output in steps.sent.outputs] == [topics.DEAD_LETTERS]
