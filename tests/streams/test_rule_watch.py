"""Rules change while a worker runs: from a folder, from the topic, into a shadow, into quarantine and out of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import Shell

from detectors.rules import load
from detectors.rules.correlation import Hit
from streams.commands.published import NotPublished, alive, differing, publish
from streams.correlate import Correlate
from streams.demo.records import cloudtrail
from streams.embedded.kafka import EmbeddedKafka
from streams.hits import hit_output
from streams.pipeline import Reader, Released
from streams.pseudonyms import Pseudonyms
from streams.records import Record
from streams.rule_conduct import Counts
from streams.rule_topic import Board, File, Quarantine, RuleTopic, Running
from streams.rule_watch import GONE, TELLING, RuleWatch
from streams.settings import Settings
from streams.sources.cloudtrail import CLOUDTRAIL
from streams.state import PartitionState

pytestmark = pytest.mark.kafka

RULE = """
title: {title}
id: 00000000-0000-4000-8000-0000000000{number:02}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {name}}}, condition: s}}
{more}
"""


def rule(number: int, name: str, title: str = "Synthetic rule", more: str = "") -> str:
    return RULE.format(number=number, name=name, title=title, more=more)


def identity(number: int) -> str:
    return f"00000000-0000-4000-8000-0000000000{number:02}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "rules"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of its own that has every topic."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), port=0)
    broker.start()
    assert Shell(tmp_path_factory.mktemp("home"), broker.bootstrap).run("setup").returncode == 0
    yield broker.bootstrap
    broker.stop()


@pytest.fixture
def settings(ready: str, folder: Path, tmp_path: Path) -> Settings:
    return Settings(kafka=ready, rules=[folder], data_dir=tmp_path / "home", rule_matches_per_minute=50)


@pytest.fixture
def topic(settings: Settings) -> Iterator[RuleTopic]:
    """The topic, which is empty again afterwards: others share the broker."""
    made = RuleTopic(settings)
    yield made
    board = made.refresh()
    for name in board.files:
        made.withdraw(name)
    for name in board.quarantined:
        made.release(name)
    made.close()


class Worker:
    """What a worker does with its rules, without the rest of it."""

    def __init__(self, settings: Settings, name: str = "synthetic.1") -> None:
        self.watch = RuleWatch(settings, RuleTopic(settings), name)
        self.reader = Reader(self.watch.rules, Pseudonyms(b"0" * 32, "k"))
        self.watch.serve(self.reader)

    def found(self, name: str) -> set[str]:
        """Titles of the rules that alert of a call."""
        return {finding.title for finding in self._read(name).findings}

    def hits(self, name: str) -> Sequence[Hit]:
        """What correlations are told of a call."""
        return self._read(name).hits

    def plan(self, number: int) -> str:
        """The key of the correlation of that number."""
        return next(p.key for p in self.watch.rules.correlations.plans if p.rule.id == identity(number))

    def _read(self, name: str) -> Released:
        record = cloudtrail(
            id="c-1", time=1_767_600_000_000, name=name, service="iam", user="synthetic-a", address="192.0.2.1"
        )
        return self.reader.read(record, CLOUDTRAIL, fallback_id=lambda: "x", received=1_767_600_000_000)

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.watch.look()


@pytest.fixture
def worker(settings: Settings, topic: RuleTopic) -> Iterator[Worker]:
    made = Worker(settings)
    yield made
    made.watch.close()


async def test_a_file_that_is_put_changed_and_taken_away(worker: Worker, folder: Path) -> None:
    version = worker.watch.rules.version
    (folder / "a.yml").write_text(rule(1, "CallOne"))
    await worker.watch.look()
    assert worker.found("CallOne") == set(), "somebody may be writing it still"
    await worker.watch.look()
    assert worker.found("CallOne") == {"Synthetic rule"}
    assert worker.watch.rules.version != version
    (folder / "a.yml").write_text(rule(1, "CallTwo"))
    await worker.looks()
    assert (worker.found("CallOne"), worker.found("CallTwo")) == (set(), {"Synthetic rule"})
    (folder / "a.yml").unlink()
    await worker.looks()
    assert worker.found("CallTwo") == set()
    assert worker.watch.rules.version == version


async def test_a_file_that_can_no_longer_be_read_keeps_its_rules(
    worker: Worker, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "a.yml"
    path.write_text(rule(1, "CallOne"))
    await worker.looks()
    path.write_text(rule(1, "CallOne") + "detection: {broken")
    with caplog.at_level(logging.ERROR):
        await worker.looks()
    assert worker.found("CallOne") == {"Synthetic rule"}
    assert any("stay as they were" in record.message for record in caplog.records)
    assert len(worker.watch.rules.problems) == 1
    path.write_text(rule(1, "CallThree"))
    await worker.looks()
    assert (worker.found("CallOne"), worker.found("CallThree")) == (set(), {"Synthetic rule"})
    assert not worker.watch.rules.problems


async def test_a_change_that_only_the_time_of_the_file_tells(worker: Worker, folder: Path) -> None:
    path = folder / "a.yml"
    path.write_text(rule(1, "CallOne"))
    await worker.looks()
    path.write_text(rule(1, "CallTwo"))
    os.utime(path, ns=(1, 1))
    await worker.looks()
    assert worker.found("CallTwo") == {"Synthetic rule"}


async def test_published_rules_are_everywhere_and_replace_those_of_their_id(
    settings: Settings, worker: Worker, folder: Path, topic: RuleTopic
) -> None:
    (folder / "a.yml").write_text(rule(1, "CallOne", "Synthetic rule of the folder"))
    other = Worker(settings)
    await worker.looks()
    topic.publish("team.yml", File(rule(1, "CallOne", "Synthetic rule of all") + "---" + rule(2, "CallTwo")))
    for each in (worker, other):
        await each.watch.look()
        assert each.found("CallOne") == {"Synthetic rule of all"}
        assert each.found("CallTwo") == {"Synthetic rule"}
    assert worker.watch.rules.version == other.watch.rules.version
    topic.withdraw("team.yml")
    await worker.watch.look()
    assert worker.found("CallOne") == {"Synthetic rule of the folder"}
    other.watch.close()


async def test_a_worker_that_starts_has_what_was_published(settings: Settings, topic: RuleTopic) -> None:
    topic.publish("team.yml", File(rule(2, "CallTwo")))
    late = Worker(settings)
    assert late.found("CallTwo") == {"Synthetic rule"}
    late.watch.close()


async def test_in_shadow_a_rule_is_counted_and_says_nothing(worker: Worker, folder: Path, topic: RuleTopic) -> None:
    topic.publish("team.yml", File(rule(2, "CallTwo"), shadow=True))
    (folder / "a.yml").write_text(rule(3, "CallThree", more="wardwatch: {shadow: true}"))
    await worker.looks()
    for name in ("CallTwo", "CallThree"):
        assert worker.found(name) == set()
    assert {worker.watch.counts()[identity(n)].matched for n in (2, 3)} == {1}
    assert worker.watch.quiet == {identity(2), identity(3)}
    topic.publish("team.yml", File(rule(2, "CallTwo")))
    await worker.looks()
    assert worker.found("CallTwo") == {"Synthetic rule"}


async def test_a_rule_that_matches_too_often_is_quarantined_everywhere_until_it_is_another(
    settings: Settings, worker: Worker, folder: Path, topic: RuleTopic, caplog: pytest.LogCaptureFixture
) -> None:
    topic.publish("team.yml", File(rule(2, "CallTwo", "Synthetic flood")))
    other = Worker(settings)
    await worker.looks()
    await worker.watch.judge(0.0)
    for _ in range(51):
        worker.found("CallTwo")
    with caplog.at_level(logging.ERROR):
        await worker.watch.judge(1.0)
    (told,) = [record.message for record in caplog.records if "quarantined" in record.message]
    assert told == (
        f"rule Synthetic flood ({identity(2)}) is quarantined: it matched 51 times in a minute, and 50 are allowed"
    )
    assert worker.found("CallTwo") == set()
    await other.watch.look()
    assert other.found("CallTwo") == set()
    assert set(other.watch.quarantined) == {identity(2)}
    late = Worker(settings)
    assert late.found("CallTwo") == set(), "it is remembered"

    topic.publish("team.yml", File(rule(2, "CallTwo", "Synthetic flood, mended")))
    for each in (worker, other, late):
        await each.watch.look()
        assert each.found("CallTwo") == {"Synthetic flood, mended"}
        each.watch.close()


async def test_a_quarantined_rule_is_released(worker: Worker, folder: Path, topic: RuleTopic) -> None:
    (folder / "a.yml").write_text(rule(1, "CallOne"))
    await worker.looks()
    (loaded,) = load([folder]).rules
    topic.quarantine(identity(1), Quarantine(loaded.version, "Synthetic rule", "synthetic reason"))
    await worker.watch.look()
    assert worker.found("CallOne") == set()
    topic.release(identity(1))
    await worker.watch.look()
    assert worker.found("CallOne") == {"Synthetic rule"}
    await worker.watch.judge(0.0)
    assert worker.found("CallOne") == {"Synthetic rule"}


async def test_counts_go_on_over_a_change(worker: Worker, folder: Path) -> None:
    (folder / "a.yml").write_text(rule(1, "CallOne"))
    await worker.looks()
    worker.found("CallOne")
    (folder / "b.yml").write_text(rule(2, "CallTwo"))
    await worker.looks()
    worker.found("CallOne")
    count = worker.watch.counts()[identity(1)]
    assert (count.tried, count.matched) == (2, 2)
    assert count.nanoseconds > 0


async def test_what_nobody_of_ours_wrote_changes_nothing(worker: Worker, topic: RuleTopic) -> None:
    version = worker.watch.rules.version
    tail: Any = topic._tail
    for key, value in [(b"file/x", b"no json"), (b"other/x", b"{}"), (b"\xff", b"{}"), (b"file/y", b'{"v":1}')]:
        await asyncio.to_thread(tail.write, key, value)
    await asyncio.to_thread(tail.write, b"file/later.yml", b'{"v":99,"text":"","shadow":false,"by":""}')
    await worker.looks()
    assert worker.watch.rules.version == version
    assert worker.watch.board.files == {}
    assert worker.watch.board.newer == {"file/later.yml": 99}
    for key in (b"file/x", b"other/x", b"\xff", b"file/y", b"file/later.yml"):
        await asyncio.to_thread(tail.write, key, None)


async def test_what_a_later_version_published_is_loud_until_it_is_gone(
    worker: Worker, topic: RuleTopic, caplog: pytest.LogCaptureFixture
) -> None:
    tail: Any = topic._tail
    for key in (b"file/later.yml", b"quarantine/x", b"worker/later.1"):
        await asyncio.to_thread(tail.write, key, b'{"v":99,"more":true}')
    with caplog.at_level(logging.ERROR):
        await worker.looks(3)
    told = [record.message for record in caplog.records]
    assert sorted(told) == [
        f"{key} of the topic rules is of format 99; this worker does without it: upgrade it"
        for key in ("file/later.yml", "quarantine/x")
    ]
    assert worker.watch.newer == {"file/later.yml": 99, "quarantine/x": 99}, "a later worker is no trouble of this one"
    await worker.watch.run(0.0, 1_000_000)
    assert topic.refresh().workers["synthetic.1"].newer == 2
    topic.publish("later.yml", File(rule(2, "CallTwo")))
    for key in (b"quarantine/x", b"worker/later.1"):
        await asyncio.to_thread(tail.write, key, None)
    await worker.looks()
    assert worker.watch.newer == {}
    assert worker.found("CallTwo") == {"Synthetic rule"}


CORRELATED = (
    rule(1, "CallOne", "Synthetic one")
    + "---"
    + rule(2, "CallTwo", "Synthetic two")
    + """
---
title: Synthetic both
id: 00000000-0000-4000-8000-000000000003
correlation: {type: temporal, rules: [00000000-0000-4000-8000-000000000001, 00000000-0000-4000-8000-000000000002],
  timespan: 1h}
---
title: Synthetic both, again
id: 00000000-0000-4000-8000-000000000004
correlation: {type: event_count, rules: [00000000-0000-4000-8000-000000000003], timespan: 1h, condition: {gte: 1}}
---
title: Synthetic two alone
id: 00000000-0000-4000-8000-000000000005
correlation: {type: event_count, rules: [00000000-0000-4000-8000-000000000002], timespan: 1h, condition: {gte: 1}}
"""
)


def shadowed(text: str, title: str) -> str:
    assert f"title: {title}\n" in text
    return text.replace(f"title: {title}\n", f"title: {title}\nwardwatch: {{shadow: true}}\n")


async def test_a_correlation_is_published_where_what_it_refers_to_is_there(
    worker: Worker, folder: Path, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "lone.yml"
    path.write_text(CORRELATED[CORRELATED.index("title: Synthetic both\n") :])
    with pytest.raises(NotPublished, match=r"it refers to .*0001.*load its file as well"):
        await asyncio.to_thread(publish, settings, path, shadow=False)
    (folder / "a.yml").write_text(rule(1, "CallOne") + "---" + rule(2, "CallTwo"))
    assert await asyncio.to_thread(publish, settings, path, shadow=False) == 3
    await worker.looks()
    assert {hit.plan for hit in worker.hits("CallTwo")} == {worker.plan(3), worker.plan(5)}


async def test_a_rule_in_shadow_takes_the_correlations_on_it_into_shadow(
    worker: Worker, folder: Path, topic: RuleTopic
) -> None:
    (folder / "a.yml").write_text(shadowed(CORRELATED, "Synthetic one"))
    await worker.looks()
    assert worker.watch.quiet == {identity(1), identity(3), identity(4)}
    assert {hit.plan for hit in worker.hits("CallOne")} == {worker.plan(3)}, "it feeds them all the same"
    assert {hit.plan for hit in worker.hits("CallTwo")} == {worker.plan(3), worker.plan(5)}
    await worker.watch.run(0.0, 1_000_000)
    running = topic.refresh().workers["synthetic.1"]
    assert running.shadowed == (("Synthetic both", "Synthetic one"), ("Synthetic both, again", "Synthetic both"))
    assert (running.shadow, running.lacking) == (3, ())
    (folder / "a.yml").write_text(shadowed(CORRELATED, "Synthetic both"))
    await worker.looks()
    assert worker.watch.quiet == {identity(3), identity(4)}
    (folder / "a.yml").write_text(CORRELATED)
    await worker.looks()
    assert worker.watch.quiet == frozenset()


async def test_what_correlations_in_shadow_find_is_counted_and_alerts_nobody(
    worker: Worker, folder: Path, settings: Settings
) -> None:
    (folder / "a.yml").write_text(shadowed(CORRELATED, "Synthetic two"))
    correlate = Correlate(worker.watch.rules)
    worker.watch.serve(correlate)
    await worker.looks()
    state = PartitionState(correlate)

    def outputs() -> list[str]:
        made = [hit_output(hit) for hit in worker.hits("CallTwo")]
        records = [Record(n, one.key, one.value, one.event + n, one.time) for n, one in enumerate(made)]
        return [out.topic for record in records for out in correlate.fold(record, True, state)]

    assert outputs() == []
    assert worker.watch.counts()[identity(5)].matched == 1
    assert identity(5) not in worker.watch._rule_counts()


async def test_a_rule_in_quarantine_feeds_nothing_and_who_lacks_it_is_told(
    worker: Worker, folder: Path, topic: RuleTopic, settings: Settings
) -> None:
    (folder / "a.yml").write_text(CORRELATED)
    await worker.looks()
    assert worker.hits("CallTwo")
    version = next(rule.version for rule in worker.watch.rules.rules if rule.id == identity(2))
    topic.quarantine(identity(2), Quarantine(version, "Synthetic two", "synthetic reason"))
    await worker.looks()
    assert worker.hits("CallTwo") == []
    assert {hit.plan for hit in worker.hits("CallOne")} == {worker.plan(3)}
    assert worker.watch.quiet == {identity(2)}, "they go on with what they still hear"
    await worker.watch.run(0.0, 1_000_000)
    assert topic.refresh().workers["synthetic.1"].lacking == (
        ("Synthetic both", "Synthetic two"),
        ("Synthetic both, again", "Synthetic both"),
        ("Synthetic two alone", "Synthetic two"),
    )


@pytest.mark.parametrize("shadow", [False, True])
async def test_what_alerts_nobody_by_itself_feeds_correlations_however_often_it_matches(
    worker: Worker, folder: Path, shadow: bool
) -> None:
    """A correlation that counts failed logins must not go blind while somebody tries thousands."""
    (folder / "a.yml").write_text(shadowed(CORRELATED, "Synthetic one") if shadow else CORRELATED)
    await worker.looks()
    await worker.watch.judge(0.0)
    for _ in range(51):
        assert worker.hits("CallOne")
    await worker.watch.judge(1.0)
    assert worker.watch.quarantined == {}
    assert worker.hits("CallOne")


async def test_what_feeds_correlations_is_held_to_its_time(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone = "---" + shadowed(rule(6, "CallOne", "Synthetic lone"), "Synthetic lone")
    (folder / "a.yml").write_text(shadowed(CORRELATED, "Synthetic one") + lone)
    await worker.looks()
    await worker.watch.judge(0.0)
    spent = {identity(number): Counts(1, 0, 10**12) for number in (1, 2, 6)}
    monkeypatch.setattr(worker.watch, "_rule_counts", lambda: spent)
    await worker.watch.judge(1.0)
    assert set(worker.watch.quarantined) == {identity(1), identity(2)}
    assert worker.hits("CallOne") == []


async def test_while_kafka_is_away_the_rules_stay(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from kafka.errors import KafkaConnectionError

    (folder / "a.yml").write_text(rule(1, "CallOne"))
    await worker.looks()

    def away() -> None:
        raise KafkaConnectionError

    monkeypatch.setattr(worker.watch._topic, "refresh", away)
    await worker.watch.run(0.0, 1)
    assert worker.found("CallOne") == {"Synthetic rule"}
    assert "wait for Kafka" in caplog.text


async def test_each_worker_says_which_rules_it_runs(settings: Settings, folder: Path, topic: RuleTopic) -> None:
    one, two, old = (Worker(settings, f"synthetic.{n}") for n in range(3))
    for n, each in enumerate((one, two, old)):
        await each.watch.run(0.0, 1_000_000 + n)
    (folder / "a.yml").write_text(rule(1, "CallOne"))
    await one.looks()
    await two.looks()
    for each in (one, two):
        await each.watch.run(1.0, 1_000_500)
    workers = alive(topic.refresh(), now=1_001_000)
    assert workers["synthetic.0"].version == workers["synthetic.1"].version != workers["synthetic.2"].version
    assert workers["synthetic.0"].loaded == workers["synthetic.2"].loaded + 1
    assert differing(workers) == ["synthetic.2"]
    assert differing({name: workers[name] for name in ("synthetic.0", "synthetic.2")}) == ["synthetic.2"]
    assert alive(Board({}, {}, workers), now=1_001_000 + 3 * TELLING) == {}
    old.watch.close()
    for later in (2_000_000, 1_000_600 + GONE):
        for each in (one, two):
            await each.watch.run(2.0, later)
    assert set(topic.refresh().workers) == {"synthetic.0", "synthetic.1"}, "the last of the others took it away"
    for each in (one, two):
        each.watch.close()


def test_what_is_published_is_listed_as_such_and_what_is_not_right_is_in_the_status(
    ready: str, topic: RuleTopic, tmp_path: Path
) -> None:
    topic.publish("team.yml", File(rule(1, "CallOne", "Synthetic of all", "tags: [attack.t1078]")))
    now = int(time.time() * 1000)
    pairs = (("Synthetic both", "Synthetic one"),)
    topic.run("synthetic.9", Running("0123abcd", 2, 0, 1, now, pairs, (("Synthetic two alone", "Synthetic two"),), 3))
    tail: Any = topic._tail
    tail.write(b"file/later.yml", b'{"v":99}')
    (tmp_path / "own.yml").write_text(rule(1, "CallOne", "Synthetic of here") + "---" + rule(2, "CallTwo"))
    shell = Shell(tmp_path / "home", ready)
    own = str(tmp_path / "own.yml")
    listed, covered, status = shell.run_together(
        ["rules", "list", own, "--kafka"],
        ["rules", "coverage", own, "--kafka"],
        ["rules", "status"],
    )
    for key in (b"file/later.yml", b"worker/synthetic.9"):
        tail.write(key, None)
    assert [line.partition("  Synthetic ")[2] for line in listed.stdout.splitlines()] == [
        "of all  (published: team.yml)",
        f"rule  ({own})",
    ]
    assert "of these 1 published: Synthetic of all" in covered.stdout
    assert status.returncode == 1
    assert [line for line in status.stdout.splitlines() if not line.startswith(("worker", "published"))] == [
        "in shadow    Synthetic both: it is built on Synthetic one",
        "lacking      Synthetic two alone: it does without Synthetic two, which is in quarantine",
        "not read     file/later.yml is of format 99: upgrade this host to see it",
        "not read     3 files or quarantines by synthetic.9: upgrade it",
    ]
