"""Workers of one installation share its keys, or do not start."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from streams import installation
from streams.admin import SetupError
from streams.installation import agree
from streams.keys import load_keys
from streams.settings import Settings


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
    with pytest.raises(SetupError, match=r"other/keys are not those .*\(pseudonym, dead letters, webhook\).* copy"):
        agree(settings, other)
    shutil.copytree(first.folder, tmp_path / "copied" / "keys")
    agree(settings, load_keys(tmp_path / "copied"))
    (other.folder / "pseudonym.key").unlink()
    shutil.copy(first.folder / "pseudonym.key", other.folder)
    with pytest.raises(SetupError, match=r"\(dead letters, webhook\)"):
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
