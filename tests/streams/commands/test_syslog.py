"""The command: audit messages by mutual TLS into a real Kafka, and what becomes of them while Kafka takes none."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from authority import Authority
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError
from topic_reading import read_topic

from streams.commands import emit
from streams.commands.syslog import Forwarder
from streams.emitter import BufferFull, Emitter
from streams.reading import parse
from streams.settings import Settings
from streams.sources.catalog import by_name

ROOT = Path(__file__).parents[3]
MESSAGE = (
    "<85>1 2026-01-05T08:00:00Z pacs.example app 1 IHE+DICOM - <AuditMessage><EventIdentification "
    'EventActionCode="R" EventDateTime="2026-01-05T08:00:00Z" EventOutcomeIndicator="0"><EventID csd-code="110110"/>'
    '</EventIdentification><ActiveParticipant UserID="{run}-{number}" UserIsRequestor="true"/>'
    '<AuditSourceIdentification AuditSourceID="synthetic-pacs"/></AuditMessage>'
)


@pytest.fixture
def served(kafka: str, tmp_path: Path) -> Any:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    if "audit.ehr" not in admin.list_topics():
        with suppress(TopicAlreadyExistsError):
            admin.create_topics([NewTopic("audit.ehr", 2, 1)])
    admin.close()
    authority = Authority(tmp_path)
    server = authority.issue("server", hosts=("127.0.0.1",))
    files = ("--cert", str(server.certificate), "--key", str(server.key), "--client-ca", str(authority.file))
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "syslog", "--host", "127.0.0.1", "--port", "0", *files],
        cwd=ROOT,
        env={**os.environ, "WARDWATCH_KAFKA": kafka, "WARDWATCH_DATA_DIR": str(tmp_path / "home")},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, authority
    process.kill()
    process.wait()
    if process.stderr:
        process.stderr.close()


def arrived(kafka: str, run: str) -> dict[str, dict[str, bytes]]:
    """Users of this run's messages in Kafka, and the headers of each."""
    found: dict[str, dict[str, bytes]] = {}
    for records in read_topic(kafka, "audit.ehr").values():
        for record in records:
            if run.encode() not in record.value:
                continue
            headers = dict(record.headers)
            together = orjson.loads(record.value) if record.value[:1] == b"[" else [record.value]
            for message in together:
                raw = message.encode() if isinstance(message, str) else message
                draft = by_name(headers["source"].decode()).normalise(parse(raw))
                assert draft.actor not in found, "a message is there twice"
                found[draft.actor] = headers
    return found


def test_every_message_of_a_sender_is_in_kafka_at_the_end(served: Any, kafka: str, unique: str) -> None:
    process, authority = served
    listening = process.stderr.readline()
    assert listening.startswith("listening on 127.0.0.1:"), listening
    port = int(listening.rpartition(":")[2].partition(",")[0])

    async def send() -> None:
        context = authority.client(authority.issue("pacs"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        for number in range(300):
            message = MESSAGE.format(run=unique, number=number).encode()
            writer.write(b"%d %s" % (len(message), message))
        await writer.drain()
        process.send_signal(signal.SIGTERM)  # what was sent before it is read still
        await reader.read()
        writer.close()

    asyncio.run(send())
    said = process.stderr.read()
    assert process.wait(60) == 0, said
    assert said == "300 messages taken, 0 skipped, 0 given up\n"
    found = arrived(kafka, unique)
    assert found.keys() == {f"user:{unique}-{number}" for number in range(300)}
    headers = next(iter(found.values()))
    assert (headers["source"], headers["producer"]) == (b"atna", b"wardwatch-syslog")


def test_files_of_audit_messages_are_emitted_as_they_are(kafka: str, unique: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    file.write_text("\n".join(MESSAGE.format(run=unique, number=number) for number in range(3)) + "\n<85>1 broken\n")
    settings, told = Settings(kafka=kafka, data_dir=tmp_path), io.StringIO()
    assert emit.run(settings, [str(file)], source="auto", producer="tests", errors=told) == 1
    assert told.getvalue().splitlines() == [
        f"{file}:4: the syslog message carries neither XML nor JSON",
        "3 events sent, 1 not",
    ]
    assert arrived(kafka, unique).keys() == {f"user:{unique}-{number}" for number in range(3)}


class Full:
    """Stands for the emitter while Kafka takes nothing: full for some calls, then not."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.emitted: list[bytes] = []

    def emit(self, message: bytes, *, source: str) -> str:
        assert source == "atna"
        if self.times:
            self.times -= 1
            raise BufferFull("no room")
        self.emitted.append(message)
        return "id"


def test_a_message_waits_until_there_is_room_and_is_given_up_only_at_the_end() -> None:
    full = Full(times=3)
    forwarder = Forwarder(cast(Emitter, full))
    asyncio.run(forwarder.take(b"message"))
    assert (full.emitted, full.times, forwarder.given_up) == ([b"message"], 0, 0)
    full.times = 1
    forwarder.end()
    asyncio.run(forwarder.take(b"another"))
    assert (full.emitted, forwarder.given_up) == ([b"message"], 1)
