"""Jars: what lies in the cache is what the lock says, whatever happened to it or on the way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from streams.embedded import jars
from streams.embedded.jars import EmbeddedError, fetch_jars
from streams.embedded.kafka import JARS

CONTENT = {"org.example:one:1.0": b"the first jar", "org.example:two:2.0:linux": b"the second jar"}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}))
    return path


class Repository:
    """Stands for the network; counts what it was asked for."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.asked: list[str] = []

    def __call__(self, coordinate: str, incoming: Path) -> Path:
        self.asked.append(coordinate)
        path = incoming / coordinate.replace(":", "-")
        path.write_bytes(self.content[coordinate])
        return path


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    stands_in = Repository(dict(CONTENT))
    monkeypatch.setattr(jars, "_download", stands_in)
    return stands_in


def test_files_come_once_in_the_order_of_the_lock(tmp_path: Path, lock: Path, repository: Repository) -> None:
    said: list[str] = []
    first = fetch_jars(lock, cache=tmp_path, say=said.append)
    assert [path.read_bytes() for path in first] == list(CONTENT.values())
    assert said == ["fetched 2 of 2 files"]
    assert fetch_jars(lock, cache=tmp_path, say=said.append) == first
    assert sorted(repository.asked) == sorted(CONTENT)
    assert len(said) == 1


def test_a_damaged_file_is_fetched_again_and_only_it(tmp_path: Path, lock: Path, repository: Repository) -> None:
    first, _ = fetch_jars(lock, cache=tmp_path)
    first.write_bytes(b"the fir")
    repository.asked.clear()
    assert fetch_jars(lock, cache=tmp_path)[0].read_bytes() == b"the first jar"
    assert repository.asked == ["org.example:one:1.0"]


def test_a_file_that_is_not_the_locked_one_is_refused_and_not_kept(
    tmp_path: Path, lock: Path, repository: Repository
) -> None:
    repository.content["org.example:one:1.0"] = b"another jar"
    with pytest.raises(EmbeddedError, match=r"org\.example:one:1\.0 as fetched is not the file that was locked"):
        fetch_jars(lock, cache=tmp_path)
    kept = [path.read_bytes() for path in tmp_path.rglob("*.jar")]
    assert set(kept) <= {b"the second jar"}
    assert not list((tmp_path / "jars").glob("incoming-*"))


def test_without_a_network_the_sentence_names_the_mend(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "none.conf"))
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:9/maven2")
    with pytest.raises(EmbeddedError, match="needs a network that reaches Maven Central"):
        fetch_jars(lock, cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, lock: Path, repository: Repository) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedError, match="cannot keep fetched files in"):
        fetch_jars(lock, cache=tmp_path / "file")


def test_kafkas_lock_names_kafka_and_a_logger_each_with_a_hash() -> None:
    locked = json.loads(JARS.read_text())
    assert {"org.apache.kafka:kafka_2.13:4.2.0", "org.slf4j:slf4j-simple:1.7.36"} <= set(locked)
    assert all(len(bytes.fromhex(digest)) == 32 for digest in locked.values())
