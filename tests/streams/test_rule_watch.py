"""Rules change while a worker runs: from a folder, from the topic, into a shadow, into quarantine and out of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Shell
from watched_rules import Worker, emptied, identity, rule, with_topics

from detectors.rules import load
from streams.commands.published import alive, differing
from streams.rule_topic import Board, File, Quarantine, RuleTopic, Running
from streams.rule_watch import GONE, TELLING
from streams.settings import Settings

pytestmark = pytest.mark.kafka


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "rules"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with with_topics(tmp_path_factory.mktemp("kafka"), tmp_path_factory.mktemp("home")) as kafka:
        yield kafka


@pytest.fixture
def settings(ready: str, folder: Path, tmp_path: Path) -> Settings:
    return Settings(kafka=ready, rules=[folder], data_dir=tmp_path / "home", rule_matches_per_minute=50)


@pytest.fixture
def topic(settings: Settings) -> Iterator[RuleTopic]:
    with emptied(settings) as made:
        yield made


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
