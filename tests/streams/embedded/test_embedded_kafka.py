"""The embedded broker: found again, damaged, in the way, and orphaned."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from streams.embedded import kafka as embedded
from streams.embedded.java import port_is_free
from streams.embedded.kafka import EmbeddedError, EmbeddedKafka

pytestmark = pytest.mark.kafka


def topics(broker: EmbeddedKafka) -> list[str]:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        return sorted(admin.list_topics())
    finally:
        admin.close()


def make_topic(broker: EmbeddedKafka, name: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        admin.close()


def leader(broker: EmbeddedKafka, topic: str) -> int:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        (description,) = admin.describe_topics([topic])
        return int(description["partitions"][0]["leader_id"])
    finally:
        admin.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    one = EmbeddedKafka(tmp_path / "a folder, with a comma", port=0)
    yield one
    one.stop()


def test_it_finds_its_data_after_a_stop_and_after_a_kill_and_lets_no_second_one_in(
    broker: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.start()
    make_topic(broker, "first")  # at once: ready means that topics can be made
    broker.stop()
    assert not broker.running()
    assert port_is_free(int(broker.bootstrap.split(":")[1]))
    broker.start()
    make_topic(broker, "second")
    monkeypatch.setattr(embedded, "_PATIENCE", 0.0)
    with pytest.raises(EmbeddedError, match=r"another Kafka uses .* choose another folder with --data-dir"):
        EmbeddedKafka(broker.log.parent, port=0).start()
    broker.kill()
    broker.start()
    assert leader(broker, "first") == 1  # at once: ready means that what was there is served again
    assert topics(broker) == ["first", "second"]
    assert "orrupt" not in broker.log.read_text()


def test_a_damaged_folder_is_one_sentence_and_starts_again_once_moved_away(broker: EmbeddedKafka) -> None:
    broker.start()
    broker.stop()
    data = broker.log.parent / "data"
    (data / "meta.properties").write_bytes(b"\x00garbage")
    with pytest.raises(EmbeddedError, match="data is damaged, restore it, or move it away") as caught:
        broker.start()
    assert len(str(caught.value).splitlines()) == 1
    assert not broker.running()
    (data / "meta.properties").unlink()
    with pytest.raises(EmbeddedError, match=r"meta\.properties is missing"):
        broker.start()
    data.rename(data.with_name("moved away"))
    broker.start()
    assert topics(broker) == []


@pytest.mark.parametrize(
    ("answer", "serves"),
    [
        (struct.pack(">iiii", 60, 1, 0, 1) + bytes(48), True),
        (struct.pack(">iiii", 60, 1, 0, 0) + bytes(48), False),  # it answers, but counts no broker as alive yet
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"", False),
    ],
)
def test_ready_is_an_answer_that_counts_a_broker(answer: bytes, serves: bool) -> None:
    def reply() -> None:
        connection, _ = server.accept()
        with connection:
            asked = connection.recv(100)
            assert int.from_bytes(asked[:4], "big") == len(asked) - 4
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        replier = Thread(target=reply)
        replier.start()
        assert embedded._serves(server.getsockname()[1]) is serves
        replier.join()
    assert not embedded._serves(closed_port())


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"port {port} is in use: .* choose another with --port"):
            EmbeddedKafka(tmp_path, port=port).start()


def test_one_that_ended_for_a_full_disk_says_so(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, port=0)
    assert "ended by itself" in broker.why_ended()
    broker.log.write_text("ERROR Error while appending\njava.io.IOException: No space left on device\n")
    assert broker.why_ended() == f"the disk under {tmp_path} is full: make room and start again"


def test_a_nearly_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(EmbeddedError, match="nearly full: Kafka needs 512 MB free"):
        EmbeddedKafka(tmp_path, port=0).start()


@pytest.mark.parametrize(
    ("code", "sentence"), [(errno.ENOSPC, "is full: make room"), (errno.EROFS, "cannot be written: choose another")]
)
def test_what_the_disk_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(EmbeddedError, match=sentence):
        EmbeddedKafka(tmp_path, port=0).start()


ORPHAN = """
import sys, time
from pathlib import Path
from threading import Thread
from streams.embedded.kafka import EmbeddedKafka
broker = EmbeddedKafka(Path(sys.argv[1]), port=0)
starter = Thread(target=broker.start)  # the thread that starts it ends at once: the broker must not end with it
starter.start()
starter.join()
print(broker.pid, broker.bootstrap, flush=True)
time.sleep(600)
"""


def test_it_ends_when_its_parent_is_killed_and_starts_again_at_once(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid, bootstrap = parent.stdout.readline().split()
        port = int(bootstrap.split(":")[1])
        os.kill(int(pid), 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    # It holds port and folder as long as it lives, so a successor that starts has seen it end.
    successor = EmbeddedKafka(tmp_path, port=port)
    try:
        successor.start()
        assert topics(successor) == []
    finally:
        successor.stop()
