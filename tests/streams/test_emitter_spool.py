"""An emitter with a spool, on a broker that goes and comes: in order, once, over the ends of both."""

from __future__ import annotations

import base64
import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alarming_pump import event
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from topic_reading import read_topic

from streams.embedded.kafka import EmbeddedKafka
from streams.emitter import BufferFull, DeliveryError, Emitter, Spool, SpoolError
from streams.outgoing import Outgoing

if TYPE_CHECKING:  # processes of these tests import them, and find no more than this folder
    from small_disk import SmallDisk

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()
PATIENCE = 30.0

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # kafka-python leaves sockets open
]


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    made = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), port=0)
    made.start()
    admin = KafkaAdminClient(bootstrap_servers=made.bootstrap)
    admin.create_topics([NewTopic("audit.iot", 1, 1)])
    admin.close()
    yield made
    made.stop()


def ids(broker: EmbeddedKafka) -> list[str]:
    """Ids in the order in which they first lie in the topic."""
    (records,) = read_topic(broker.bootstrap, "audit.iot").values()
    return list(dict.fromkeys(dict(record.headers)["event-id"].decode() for record in records))


def emitter(broker: EmbeddedKafka, folder: Path, **given: Any) -> Emitter:
    return Emitter(
        broker.bootstrap,
        producer="tests",
        spool=Spool(folder, key=KEY, **given.pop("spool", {})),
        spool_after=0.5,
        reconnect_backoff_max_ms=200,
        **given,
    )


KILLED = """
import sys
from streams.emitter import Emitter, Spool
sys.path[:0] = ["tests/streams"]
from alarming_pump import event
kafka, folder, key, first = sys.argv[1:]
emitter = Emitter(kafka, producer="tests", spool=Spool(folder, key=key), spool_after=0.5)
for number in range(int(first), int(first) + 300):
    emitter.emit(event(number), key="pump-1")
print("taken", flush=True)
import time
time.sleep(60)
"""


def test_what_was_emitted_arrives_in_order_whoever_goes_and_comes(broker: EmbeddedKafka, tmp_path: Path) -> None:
    """A process is killed while no broker is there, the next takes over its spool, the broker is killed under that one
    with events on their way, and comes back."""
    broker.stop()
    command = [sys.executable, "-c", KILLED, broker.bootstrap, str(tmp_path / "spool"), KEY, "0"]
    killed = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"taken\n"
    with pytest.raises(SpoolError, match=f"process {killed.pid} has the spool"):
        emitter(broker, tmp_path / "spool")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()

    second = emitter(broker, tmp_path / "spool")
    assert second.spooled > 0
    numbers = itertools.count(300)
    for _ in range(50):
        second.emit(event(next(numbers)), key="pump-1")  # behind what lies there
    broker.start()
    wait(lambda: second.spooled == 0)
    for _ in range(50):
        second.emit(event(next(numbers)), key="pump-1")
    second.flush()
    broker.kill()
    for _ in range(200):
        second.emit(event(next(numbers)), key="pump-1")
    second.flush(timeout=0.1)  # on disk now
    assert second.spooled > 0
    broker.start()
    second.emit(event(next(numbers)), key="pump-1")
    wait(lambda: second.spooled == 0)
    second.close()
    assert ids(broker) == [f"e{number:05}" for number in range(next(numbers))]
    gc.collect()


def test_a_full_spool_says_so_and_the_caller_holds_the_event(tmp_path: Path) -> None:
    nobody = EmbeddedKafka(tmp_path / "kafka", port=9)
    full = emitter(nobody, tmp_path / "spool", spool={"limit": 2000})
    taken = 0
    with pytest.raises(BufferFull, match="no broker takes events, and the spool is full: "):  # noqa: PT012
        for taken in range(100):
            full.emit(event(taken))
    assert 0 < taken < 10
    full.close(timeout=0.1)
    again = Spool(tmp_path / "spool", key=KEY)
    again.open()
    file = again.oldest()
    assert file is not None
    assert [Outgoing.unpack(packed).event_id for packed in again.read(file)] == [f"e{n:05}" for n in range(taken)]
    with pytest.raises(RuntimeError, match="the emitter is closed"):
        full.emit(event(0))


def test_on_a_full_disk_nothing_is_lost_and_nothing_is_taken_that_could_be(
    broker: EmbeddedKafka,
    tmp_path: Path,
    small_disk: Callable[[Path, int], SmallDisk],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is under way when broker and disk fail together waits in memory; the broker takes it, or the disk does."""
    disk = small_disk(tmp_path / "disk", 1)
    with emitter(broker, disk.seen / "spool") as full:
        full.emit(event(90_000), key="pump-1")
        told = {}
        for first in (90_001, 90_101):
            wait(lambda: not full._outbox._away)
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                for number in range(first, first + 50):
                    full.emit(event(number), key="pump-1")
                disk.fill()
                wait(lambda: full._outbox._away)
                with pytest.raises(BufferFull) as refused:
                    full.emit(event(first + 50), key="pump-1")
                told[first] = str(refused.value)
                with pytest.raises(OSError, match=r"50 events are neither delivered nor on disk: .*No space left"):
                    full.flush(timeout=0.1)
                if first == 90_001:
                    disk.free()
                    for number in range(first + 50, first + 100):
                        full.emit(event(number), key="pump-1")  # on disk, behind what was under way
                    assert full.spooled > 0
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            wait(lambda: not full._outbox._away)
    assert set(told.values()) == {
        f"no broker takes events, and the spool is full: {disk.seen}/spool takes nothing (No space left on device)"
    }
    assert "50 events wait in memory for the broker, or for room: " in caplog.text
    assert [i for i in ids(broker) if "e90000" <= i < "e90200"] == [f"e{n:05}" for n in range(90_000, 90_151)]


def test_closed_on_a_full_disk_it_tells_what_nobody_took(
    broker: EmbeddedKafka, tmp_path: Path, small_disk: Callable[[Path, int], SmallDisk]
) -> None:
    disk = small_disk(tmp_path / "disk", 1)
    full = emitter(broker, disk.seen / "spool")
    full.emit(event(94_999), key="pump-1")
    wait(lambda: not full._outbox._away)
    disk.fill()
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        for number in range(95_000, 95_005):
            full.emit(event(number), key="pump-1")
        wait(lambda: full._outbox._away)
        with pytest.raises(DeliveryError, match="5 events") as told:
            full.close(timeout=0.5)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    assert [failure.event_id for failure in told.value.failures] == [f"e{n:05}" for n in range(95_000, 95_005)]


PREFORK = """
import os, sys
from streams.emitter import Emitter, Spool
sys.path[:0] = ["tests/streams"]
from alarming_pump import event
kafka, folder, key, base = sys.argv[1:5]
spooling, before = sys.argv[5:] == ["both"], sys.argv[5:] == ["both"]
spool = Spool(folder, key=key) if spooling else None
base = int(base)
emitter = Emitter(kafka, producer="tests", spool=spool, linger_ms=200)
if before:
    emitter.emit(event(base))  # waits still when the process forks
children = []
for number in range(3):
    child = os.fork()
    if not child:
        for event_number in range(10):
            emitter.emit(event(base + 100 * number + event_number + 1))
        emitter.close()
        sys.exit(0)
    children.append(child)
emitter.emit(event(base + 5000))
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
emitter.close()
sys.exit(max(codes))
"""


@pytest.mark.parametrize(("base", "how"), [(70000, "neither"), (80000, "both")])
def test_workers_forked_off_a_master_each_send_their_own(
    broker: EmbeddedKafka, tmp_path: Path, base: int, how: str
) -> None:
    """As a prefork server does it: the emitter is made once, before any of them. Without a spool and an event before
    the fork, and with both."""
    command = [sys.executable, "-c", PREFORK, broker.bootstrap, str(tmp_path), KEY, str(base), how]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    children = [f"e{base + 100 * number + n + 1}" for number in range(3) for n in range(10)]
    left = [file for file in tmp_path.rglob("*.spool") if file.stat().st_size > 32]
    if left:  # a child that ended before it had come to a broker left its events to the next process
        with emitter(broker, tmp_path) as heir:
            wait(lambda: heir.spooled == 0)
    wanted = sorted([*children, f"e{base + 5000}", *([f"e{base}"] if how == "both" else [])])
    assert sorted(found for found in ids(broker) if found >= f"e{base}" and found < f"e{base + 10000}") == wanted
