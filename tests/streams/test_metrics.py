"""A worker's numbers: they balance whatever is tried again, and Prometheus reads them."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of, derived

from detectors.rules import starter_rules
from streams import topics
from streams.admin import SetupError
from streams.alerting import Alerting
from streams.conditions import Look
from streams.deadletters import DeadLetters
from streams.demo.records import device_event
from streams.embedded.java import free_port
from streams.epochs import Epoch
from streams.handlers import IngestHandler, KeyedHandler
from streams.keys import load_keys
from streams.lanes import LaneStatus, Loss
from streams.metrics import Metrics
from streams.pipeline import Ingest, Reader
from streams.privacy import Pseudonyms
from streams.sender import DeliveryFailed
from streams.sources.known import CATALOG, Sources, load_sources
from streams.tallies import Skews, Tally
from streams.watermarks import InputClocks

NOW = 1_780_000_000_000


def served(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Samples by name and what their labels say, in order of the alphabet, as Prometheus reads them."""
    port = free_port()
    metrics.serve("127.0.0.1", port)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # its server serves until the process ends
def test_everything_there_is_is_served(tmp_path: Path) -> None:
    (tmp_path / "alerts.sqlite").write_bytes(b"x" * 4096)
    metrics = Metrics(tmp_path / "alerts.sqlite")
    tally = Tally()
    tally.add(taken=10, passed=6, dead=1, filtered={"late": 3})
    for _ in range(2):
        metrics.update(
            Look(
                lanes=[LaneStatus("ingest", "audit.ehr", 1, stopped="synthetic", restarts=2)],
                lag={("ingest", "audit.ehr"): 12},
                losses=[Loss("ingest", "audit.ehr", 1, 40, 25)],
                silent={"fhir": 90.0},
                skew={"device": -7.0},
                lacking=Epoch("0123abcd", 1),
            ),
            {("ingest", "audit.ehr"): tally},
            now=1000.0,
            rate=5.0,
            vault=SimpleNamespace(written=31, pending=4, waiting=2),  # type: ignore[arg-type]
        )
    found = served(metrics)
    for name, value in {"taken": 10, "passed": 6, "dead": 1}.items():
        assert found[f"wardwatch_records_{name}_total", "audit.ehr", "ingest"] == value
    assert found["wardwatch_records_filtered_total", "audit.ehr", "ingest", "late"] == 3
    assert found["wardwatch_records_lost_total", "audit.ehr"] == 50, "a count of all looks"
    assert found["wardwatch_lag_records", "audit.ehr", "ingest"] == 12
    assert found["wardwatch_partition_stopped", "1", "audit.ehr", "ingest"] == 1
    assert found["wardwatch_partition_restarts", "1", "audit.ehr", "ingest"] == 2
    assert found["wardwatch_source_silence_seconds", "fhir"] == 90
    assert found["wardwatch_source_skew_seconds", "device"] == -7
    assert found["wardwatch_look_timestamp_seconds",] == 1000
    assert found["wardwatch_events_per_second",] == 5
    assert found["wardwatch_store_size_bytes",] == 4096
    assert found["wardwatch_pseudonym_key_missing",] == 1
    assert found["wardwatch_vault_identities_written_total",] == 31
    assert found["wardwatch_vault_identities_pending",] == 4
    assert found["wardwatch_vault_waiting",] == 2
    assert found["process_resident_memory_bytes",] > 1_000_000


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with pytest.raises(SetupError, match=rf"metrics cannot be served at 127.0.0.1:{port} \(.*\): stop what holds"):
            Metrics(tmp_path / "none").serve("127.0.0.1", port)


class Failing(Sent):
    """A sender whose first send fails after the broker may have taken it."""

    async def send(self, *args: Any) -> Any:
        counts = await super().send(*args)
        if self.calls == 1:
            raise DeliveryFailed("synthetic")
        return counts


def raw(offset: int, value: bytes) -> Any:
    return SimpleNamespace(
        topic="audit.iot", partition=0, offset=offset, timestamp=NOW, value=value, headers=[], key=None
    )


def event(offset: int, *, ahead: int = 0) -> Any:
    """A device's, ``ahead`` ms of the broker's time."""
    record = device_event(
        id=f"d-{offset}",
        time=NOW + ahead,
        device="pump-1",
        type="infusion-pump",
        event="telemetry",
        action="measurement",
        address="192.0.2.9",
    )
    return raw(offset, orjson.dumps(record))


async def ingest(records: list[Any], folder: Path, sources: Sources = CATALOG) -> tuple[Tally, Skews, Failing]:
    """What comes of records whose first send fails."""
    keys = load_keys(folder)
    reader = Reader(starter_rules(), Pseudonyms(keys.pseudonym, keys.pseudonym_id))
    sent, tally, skews = Failing(), Tally(), Skews()
    handler = IngestHandler(
        Ingest(reader, DeadLetters(keys.dead_letter_public), sources=sources),
        sent,  # type: ignore[arg-type]
        InputClocks(inputs=1, idle_after=5),
        journal=NO_JOURNAL,
        topic_id=TOPIC,
        name="audit.iot/0",
        now=lambda: 0.0,
        tally=tally,
        skews=skews,
    )
    await handler.open()
    batch = batch_of("audit.iot", records)
    with pytest.raises(DeliveryFailed):
        await handler.process(batch)
    assert tally.taken == 0, "nothing is known of it"
    await handler.process(batch)
    return tally, skews, sent


async def test_ingest_counts_what_is_durable_once(tmp_path: Path) -> None:
    tally, _, sent = await ingest([event(0), raw(1, b"{"), event(2), raw(3, b"[]"), event(4)], tmp_path)
    assert (tally.taken, tally.passed, tally.dead) == (5, 3, 2)
    assert sent.calls == 2


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        ((0, 5_000), 5),
        ((0, -8_000), 0),
        ((-8_000, -9_000), 0),  # a device may be ten seconds late
        ((-60_000, -70_000), -50),
        ((0, 600_000), 600),  # so far ahead that it closes no window
        ((400_000, 600_000), 400),  # the first of those
        ((-60_000, 600_000), 600),
        ((0, -12 * 365 * 86_400_000), 0),  # before any date that is believed
    ],
)
async def test_a_source_s_clock_is_held_against_the_broker_s(
    tmp_path: Path, ahead: tuple[int, int], seconds: float
) -> None:
    _, skews, _ = await ingest([event(n, ahead=offset) for n, offset in enumerate(ahead)], tmp_path)
    assert skews.take() == {"device": pytest.approx(seconds)}
    assert skews.take() == {}


async def test_the_clock_of_a_table_is_one_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "synthetic.toml"
    file.write_text(
        'name = "synthetic"\ntopic = "audit.iot"\nrecognise = ["AT", "WHO"]\nlateness = 10\ntime = {column = "AT"}\n'
        'actor = {column = "WHO"}\naction = {otherwise = {action = "read", category = "web", type = "access"}}\n'
    )
    sources, mistakes = load_sources([file])
    assert not mistakes
    late = datetime.fromtimestamp((NOW - 60_000) / 1000, UTC).isoformat()
    row = raw(0, orjson.dumps({"AT": late, "WHO": "synthetic-1"}))
    tally, skews, _ = await ingest([row], tmp_path, sources)
    assert (tally.taken, tally.passed) == (1, 1)
    assert skews.take() == {"synthetic": pytest.approx(-50)}


def test_a_source_is_behind_where_all_of_it_is() -> None:
    skews = Skews()
    for source, seconds in (("fhir", -900.0), ("fhir", -20.0), ("device", -900.0), ("device", 0.0), ("device", 7.0)):
        skews.observe(source, seconds)
    assert skews.take() == {"fhir": -20.0, "device": 7.0}


async def test_a_step_with_state_counts_at_its_flush_and_what_was_cut_short_not_at_all(tmp_path: Path) -> None:
    memory, tally = Memory(), Tally()
    letters = DeadLetters(load_keys(tmp_path).dead_letter_public)

    handler = KeyedHandler(
        Alerting(),
        Sent(),  # type: ignore[arg-type]
        memory,  # type: ignore[arg-type]
        letters,
        journal=NO_JOURNAL,
        stage="alert",
        topic_id=TOPIC,
        now=lambda: 0.0,
        tally=tally,
    )
    await handler.open()
    bad = derived(0, b"{}")
    foreign = SimpleNamespace(offset=1, key=b"k", value=b"junk", headers=[], partition=0, timestamp=0)
    repeated = derived(0, b"{}")  # of the same source position as the first, at another offset
    repeated.offset = 2
    batch = batch_of(topics.FINDINGS, [bad, foreign, repeated])
    await handler.process(batch)
    memory.failures.append(ConnectionError("synthetic"))
    with pytest.raises(ConnectionError):
        await handler.flush()
    assert tally.taken == 0
    await handler.open()  # as its lane has it come back
    await handler.process(batch)
    await handler.flush()
    await handler.flush()
    assert (tally.taken, tally.passed, tally.dead) == (3, 0, 2)
    assert +tally.filtered == {"duplicate": 1}
