"""Rules in shadow and in quarantine, and the correlations that are built on them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from watched_rules import Worker, emptied, identity, rule, with_topics

from streams.commands.published import NotPublished, publish
from streams.correlate import Correlate
from streams.hits import hit_output
from streams.records import Record
from streams.rule_conduct import Counts
from streams.rule_topic import Quarantine, RuleTopic
from streams.settings import Settings
from streams.state import PartitionState

pytestmark = pytest.mark.kafka

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
