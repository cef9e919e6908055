"""Records that nobody of ours wrote, or that a step cannot take, cost themselves and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from nacl.public import PrivateKey
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of, derived

from streams import topics
from streams.deadletters import DeadLetters, open_letter
from streams.epochs import MissingKey
from streams.handlers import HalfTaken, IngestHandler, KeyedHandler
from streams.lineage import HEADER, NewerSchema, TopicReplaced
from streams.pipeline import Ingest
from streams.records import WATERMARK, Output, Record
from streams.sender import DeliveryFailed
from streams.state import PartitionState
from streams.tallies import Skews, Tally
from streams.watermarks import InputClocks

PRIVATE = PrivateKey.generate()
LETTERS = DeadLetters(bytes(PRIVATE.public_key))


class Collecting:
    """A keyed step that keeps each value under its key, and cannot take ``bad``."""

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        if record.value == b"bad":
            raise KeyError("synthetic defect")
        state.values.put(record.key, [*(state.values.get(record.key) or []), record.value.decode()])
        return (Output(topics.ALERTS, record.key, record.value),)

    def dump(self, key: bytes, value: list[str]) -> bytes:
        return "\n".join(value).encode()

    def load(self, key: bytes, raw: bytes) -> list[str]:
        return raw.decode().split("\n")


async def keyed(
    records: list[Any], *, memory: Memory | None = None, topic_id: bytes = TOPIC, tally: Tally | None = None
) -> tuple[KeyedHandler, Memory, Sent]:
    """A handler that has taken ``records`` and flushed."""
    memory, sent = memory or Memory(), Sent()
    handler = KeyedHandler(
        Collecting(),
        sent,  # type: ignore[arg-type]
        memory,  # type: ignore[arg-type]
        LETTERS,
        journal=NO_JOURNAL,
        stage="collect",
        topic_id=topic_id,
        now=lambda: 0.0,
        tally=tally or Tally(),
    )
    await handler.open()
    async with asyncio.timeout(5):
        await handler.process(batch_of("findings", records))
        await handler.flush()
    return handler, memory, sent


def foreign(offset: int, headers: list[tuple[str, Any]], value: bytes | None = b"junk") -> Any:
    return SimpleNamespace(offset=offset, key=b"k", value=value, headers=headers, partition=0, timestamp=0)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "a foreign record on a topic that only Wardwatch writes to"),
        ([("unknown", b"x")], "a foreign record on a topic that only Wardwatch writes to"),
        ([(HEADER, b"\x01short")], "a foreign record on a topic that only Wardwatch writes to"),
        ([(HEADER, None)], "a foreign record on a topic that only Wardwatch writes to"),
        ([(WATERMARK, b"")], "JSONDecodeError in collect: a defect of the product, please report it"),
    ],
)
async def test_a_foreign_record_is_a_dead_letter_and_holds_nobody(headers: list[Any], reason: str) -> None:
    handler, memory, sent = await keyed([derived(0, b"a"), foreign(1, headers), derived(2, b"b")])
    assert memory.held[b"k"] == b"a\nb"
    assert handler.state.position == 3
    (letter,) = [open_letter(o.value, bytes(PRIVATE)) for o in sent.outputs if o.topic == topics.DEAD_LETTERS]
    assert (letter.position, letter.reason, letter.value) == ("findings/0/1", reason, b"junk")


async def test_a_record_that_a_step_cannot_take_costs_itself() -> None:
    records = [derived(n, b"bad" if n % 3 == 1 else b"%d" % n) for n in range(9)]
    _, memory, sent = await keyed(records)
    assert memory.held[b"k"] == b"0\n2\n3\n5\n6\n8"
    letters = [output for output in sent.outputs if output.topic == topics.DEAD_LETTERS]
    assert [letter.key for letter in letters] == [b"findings/0/1", b"findings/0/4", b"findings/0/7"]


async def test_a_record_of_a_newer_version_stops_the_partition() -> None:
    newer = derived(0, b"a")
    newer.headers = [(HEADER, b"\x02" + newer.headers[0][1][1:])]
    with pytest.raises(NewerSchema, match="lineage of schema 2; this worker reads 1: upgrade it"):
        await keyed([newer])


@pytest.mark.parametrize("how", ["half folded", "not sent"])
async def test_a_batch_that_failed_half_way_becomes_durable_by_no_other_work(how: str) -> None:
    """Deliveries flush beside their lane: a mark past a record that nobody took would lose it."""
    handler, memory, sent = await keyed([derived(0, b"a")])
    durable = dict(memory.held)
    if how == "half folded":
        batch, failing = [derived(1, b"b"), derived(2, b"later")], patch.object(Collecting, "fold", _later)
    else:
        batch, failing = [derived(1, b"b")], patch.object(sent, "send", side_effect=DeliveryFailed("synthetic"))
    with failing, pytest.raises((NewerSchema, DeliveryFailed)):
        await handler.process(batch_of("findings", batch))
    with pytest.raises(HalfTaken):
        await handler.flush()
    assert memory.held == durable
    await handler.open()
    await handler.process(batch_of("findings", [derived(1, b"b")]))
    await handler.flush()
    assert memory.held[b"k"] == b"a\nb"


def _later(self: Collecting, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
    if record.value == b"later":
        raise NewerSchema("a value of schema 2")
    state.values.put(record.key, ["half"])
    return ()


@pytest.mark.parametrize(
    "headers",
    [
        [("source", None), ("event-id", None), ("note", b"\x00" * 900_000), ("x", None)],
        [(f"note-{number}", b"\x00" * 512) for number in range(1900)],
    ],
)
async def test_odd_headers_do_not_stop_ingest(headers: list[Any]) -> None:
    sent = Sent()
    reader: Any = None  # nothing here can be read, so nobody is asked to
    clocks = InputClocks(inputs=1, idle_after=5)
    handler = IngestHandler(
        Ingest(reader, LETTERS),
        sent,  # type: ignore[arg-type]
        clocks,
        journal=NO_JOURNAL,
        topic_id=TOPIC,
        name="audit.ehr/0",
        now=lambda: 0.0,
        tally=Tally(),
        skews=Skews(),
    )
    await handler.open()
    record = foreign(0, headers, value=None)
    record.topic = "audit.ehr"
    assert await handler.process(batch_of("audit.ehr", [record]))
    (output,) = sent.outputs
    assert len(output.value) < 1_000_000
    assert "note" not in open_letter(output.value, bytes(PRIVATE)).headers, "too long to be one that replaying needs"


async def test_state_of_a_topic_that_was_made_again_is_not_taken_for_the_new_one_s() -> None:
    """Its position would skip as many records of the new topic as the old one had."""
    _, memory, _ = await keyed([derived(n, b"%d" % n) for n in range(5)])
    again, _, _ = await keyed([derived(5, b"5")], memory=memory)
    assert again.state.position == 6
    with pytest.raises(TopicReplaced, match=r"deleted and made again .*\(step\.topic\.state\)"):
        await keyed([derived(0, b"0")], memory=memory, topic_id=b"\x08" * 16)


async def test_nothing_leaves_before_the_vault_has_whom_it_names_nor_without_its_key() -> None:
    sent = Sent()
    order: list[str] = []

    class Vault:
        failing = True

        async def settle(self, topic_id: bytes, partition: int, offset: int) -> None:
            order.append(f"vault after {len(sent.outputs)}")
            if self.failing:
                raise DeliveryFailed("away")

    class Keys:
        missing = True

        async def ready(self, latest: int) -> None:
            order.append(f"keys up to {latest}")
            if self.missing:
                raise MissingKey("synthetic")

    vault, keys = Vault(), Keys()
    handler = IngestHandler(
        Ingest(None, LETTERS),  # type: ignore[arg-type]  # nothing here can be read, so nobody is asked to
        sent,  # type: ignore[arg-type]
        InputClocks(inputs=1, idle_after=5),
        journal=NO_JOURNAL,
        topic_id=TOPIC,
        name="audit.ehr/0",
        now=lambda: 0.0,
        keys=keys,  # type: ignore[arg-type]
        vault=vault,  # type: ignore[arg-type]
        tally=Tally(),
        skews=Skews(),
    )
    await handler.open()
    records = [foreign(n, [], value=None) for n in range(3)]
    for number, record in enumerate(records):
        record.topic, record.timestamp = "audit.ehr", (5, 9, 7)[number]
    batch = batch_of("audit.ehr", records)
    with pytest.raises(MissingKey):
        await handler.process(batch)
    keys.missing = False
    with pytest.raises(DeliveryFailed):
        await handler.process(batch)
    assert sent.outputs == []
    vault.failing = False
    assert await handler.process(batch)
    assert order == ["keys up to 9", "keys up to 9", "vault after 0", "keys up to 9", "vault after 0"]
    assert len(sent.outputs) == 3
