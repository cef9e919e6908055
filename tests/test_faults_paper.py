"""What docs/faults.md quotes is what is said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import orjson
import pytest
from format_samples import FOLDER, KEY, load

from streams import topics
from streams.blocks import unpack
from streams.conditions import Conditions, Look
from streams.lineage import SCHEMA, NewerSchema
from streams.settings import Settings
from streams.sinks.database import StoreError, check_version, not_opened, not_written
from streams.sinks.store import VERSION
from streams.spool import Spool, SpoolError

PAPER = (Path(__file__).parents[1] / "docs" / "faults.md").read_text()


def quoted(told: BaseException | str, *places: str) -> bool:
    """Whether the paper has it, with ``…`` or nothing for what differs from place to place."""
    text = str(told)
    for place in places:
        text = text.replace(place, "…")
    return text in PAPER


def test_what_stores_say(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "small.sqlite")
    database.execute("pragma max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        database.execute("create table much (content blob)")
    assert quoted(not_written(Path("alerts.sqlite"), full.value))
    assert quoted(not_opened(Path("alerts.sqlite"), full.value), "alerts.sqlite")
    database.close()
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute(f"pragma user_version = {VERSION + 1}")
    with pytest.raises(StoreError) as later:
        check_version(other, tmp_path, VERSION)
    other.close()
    assert quoted(later.value, str(tmp_path))


def test_what_is_said_of_a_later_version(tmp_path: Path) -> None:
    sample = load(FOLDER / f"v{SCHEMA}" / f"{topics.EVENTS}.json")[0]
    with pytest.raises(NewerSchema) as later:
        unpack(sample._replace(value=orjson.dumps([SCHEMA + 1])))
    assert quoted(later.value)
    path = tmp_path / "000000000001.spool"
    path.write_bytes(b"WWSPOOL\x02" + bytes(60))
    with pytest.raises(SpoolError) as spooled:
        Spool(tmp_path, key=KEY).read(path)
    assert quoted(spooled.value, str(path))


def test_what_is_said_of_a_clock() -> None:
    conditions = Conditions(Settings())
    told = [conditions.judge(Look(clock={"HOST": 600.0}), now=now) for now in (0, 120)][-1]
    assert quoted(told[0].reason)
    assert f"`{told[0].rule['id']}`" in PAPER
