"""Workers of one installation share its keys, or do not start."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from streams import installation
from streams.admin import SetupError
from streams.epochs import Epochs, MissingKey
from streams.installation import Installation, KeyWatch, agree
from streams.keys import load_keys, spare
from streams.settings import Settings
from streams.sources.base import BadRecord


@pytest.fixture
def settings(kafka: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(installation, "INSTALLATION", unique)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(unique, 1, 1)])
    admin.close()
    return Settings(kafka=kafka, data_dir=tmp_path / "first")


def test_a_worker_with_keys_of_its_own_is_refused(settings: Settings, tmp_path: Path) -> None:
    first = load_keys(settings.home)
    agree(settings, first)
    agree(settings, first)
    other = load_keys(tmp_path / "other")
    with pytest.raises(SetupError, match=r"other/keys .*\(pseudonym, dead letters, webhook, vault\).* copy"):
        agree(settings, other)
    shutil.copytree(first.folder, tmp_path / "copied" / "keys")
    agree(settings, load_keys(tmp_path / "copied"))
    (other.folder / "pseudonym.key").unlink()
    shutil.copy(first.folder / "pseudonym.key", other.folder)
    with pytest.raises(SetupError, match=r"\(dead letters, webhook, vault\)"):
        agree(settings, load_keys(tmp_path / "other"))


def test_of_workers_that_start_at_once_one_wins(settings: Settings, tmp_path: Path) -> None:
    def start(number: int) -> bool:
        try:
            agree(settings, load_keys(tmp_path / f"host-{number}"))
        except SetupError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(start, range(4))) == 1


def test_junk_and_a_newer_record(settings: Settings) -> None:
    keys = load_keys(settings.home)
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    for value in (b"", b"junk", b"[]", None, b'{"v": 2, "keys": {}}'):
        producer.send(installation.INSTALLATION, value, key=b"k").get(timeout=10)
    producer.close()
    with pytest.raises(SetupError, match="schema 2; this worker reads 1: upgrade it"):
        agree(settings, keys)


async def test_no_record_is_read_before_it_is_known_which_key_it_belongs_to(settings: Settings) -> None:
    """A worker looks again by the time of the records it is given, and asks no clock of its own."""
    keys = load_keys(settings.home)
    epochs = Epochs(agree(settings, keys), keys.held)
    read = Installation(settings)
    watch = KeyWatch(read, epochs, lambda: load_keys(settings.home), notice=100)
    first = keys.pseudonym_id
    begin = 1_800_000_000_000  # of records; the log's own time is another matter
    await watch.ready(begin)
    other = Installation(settings)
    name = spare(keys)
    other.write(epoch={"key": name, "notice": 100_000, "overlap": 0})
    (start,) = (epoch.start for epoch in other.refresh().epochs if epoch.key == name)
    await watch.ready(begin + 49_000)
    assert len(epochs.agreement.epochs) == 1, "within half the notice nothing can have begun"
    await watch.ready(begin + 50_000)
    assert [epoch.key for epoch in epochs.agreement.epochs] == [first, name]
    assert epochs.at(start - 1)[0].patient("Patient/synthetic-1").startswith(f"patient:{first}.")
    assert epochs.at(start)[0].patient("Patient/synthetic-1").startswith(f"patient:{name}.")
    assert name in load_keys(settings.home).pseudonyms, "what was announced waits no longer"

    other.write(destroyed=first)
    await watch.refresh()
    assert first not in load_keys(settings.home).held, "it is deleted at every worker"
    with pytest.raises(BadRecord, match="was destroyed"):
        epochs.at(start - 1)
    agree(settings, load_keys(settings.home))
    read.close()
    other.close()


async def test_ingest_waits_for_a_key_that_is_not_here_and_takes_it_once_it_is(
    settings: Settings, tmp_path: Path
) -> None:
    keys = load_keys(settings.home)
    epochs = Epochs(agree(settings, keys), keys.held)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(keys.folder, elsewhere / "keys")
    name = spare(load_keys(elsewhere))
    with closing(Installation(settings)) as read:
        watch = KeyWatch(read, epochs, lambda: load_keys(settings.home), notice=100)
        read.write(epoch={"key": name, "notice": 100_000, "overlap": 0})
        (start,) = (epoch.start for epoch in read.refresh().epochs if epoch.key == name)
        await watch.ready(start - 1)
        with pytest.raises(MissingKey, match=f"{name} is in use and not here: copy it"):
            await watch.ready(start)
        with pytest.raises(SetupError, match=r"\(pseudonym\)"):
            agree(settings, keys)
        shutil.copy(elsewhere / "keys" / "pseudonym.2.next", keys.folder)
        await watch.ready(start)
        assert epochs.at(start)[0].names(epochs.at(start)[0].patient("Patient/synthetic-1"))
