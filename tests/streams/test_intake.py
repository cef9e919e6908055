"""The HTTP intake on real Kafka: 202 means that it is there; whatever is wrong is said, and then nothing is sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.errors import KafkaTimeoutError
from authority import Authority
from intake_events import AUDIT, DEVICE
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from pydantic import ValidationError
from topic_reading import read_topic

from streams import topics
from streams.admin import SetupError
from streams.commands.intake import run
from streams.deadletters import DeadLetters
from streams.embedded.java import free_port
from streams.intake import Headers, KafkaBroker, create_intake
from streams.intake_body import LARGEST, MOST, events
from streams.records import RawRecord
from streams.settings import Settings
from streams.sources.known import CATALOG, Sources

ROOT = Path(__file__).parents[2]
TOKEN = "synthetic-token-of-the-laboratory"
TOKENS = {"laboratory": TOKEN, "radiology": "synthetic-token-of-the-radiology"}
AUTHORISED = {"authorization": f"Bearer {TOKEN}"}


class HeldBroker:
    """Takes events and has them when told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes | None, dict[str, bytes]]] = []
        self.acknowledged: list[asyncio.Future[Any]] = []

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def ready(self) -> bool:
        return True

    async def send(self, topic: str, value: bytes, key: bytes | None, headers: Headers) -> asyncio.Future[Any]:
        self.sent.append((topic, value, key, dict(headers)))
        self.acknowledged.append(asyncio.get_running_loop().create_future())
        return self.acknowledged[-1]


@asynccontextmanager
async def serving(broker: Any, sources: Sources = CATALOG, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_intake(broker, TOKENS, sources, **more)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://intake", headers=AUTHORISED) as client:
            yield client


@pytest.fixture
def inputs(kafka: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    missing = set(topics.INPUTS) - set(admin.list_topics())
    if missing:
        admin.create_topics([NewTopic(name, 1, 1) for name in missing])
    admin.close()
    return kafka


def arrived(kafka: str, ids: list[str]) -> list[Any]:
    """The records under these ids, in the order of the ids."""
    found = {
        dict(record.headers).get("event-id", b"").decode(): record
        for topic in topics.INPUTS
        for records in read_topic(kafka, topic).values()
        for record in records
    }
    return [found[id_] for id_ in ids]


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await client.get("/v1/health")).status_code != 200:
            await asyncio.sleep(0.05)


async def test_what_is_accepted_is_in_kafka_whole(inputs: str, unique: str) -> None:
    bare = {name: value for name, value in AUDIT.items() if name != "id"}
    batch = [{**AUDIT, "id": f"{unique}-1"}, {**DEVICE, "id": f"{unique}-2"}, bare]
    zipped = {"content-encoding": "gzip", "idempotency-key": unique}
    async with serving(KafkaBroker({"bootstrap_servers": inputs})) as client:
        await ready(client)
        answer = await client.post("/v1/events", content=gzip.compress(json.dumps(batch).encode()), headers=zipped)
        assert answer.status_code == 202, answer.text
        ids = answer.json()["ids"]
        again = await client.post(
            "/v1/events", content="\n".join(map(json.dumps, batch)), headers={"idempotency-key": unique}
        )
        other = await client.post("/v1/events", json=bare)
    assert ids[:2] == [f"{unique}-1", f"{unique}-2"]
    assert again.json()["ids"] == ids
    assert other.json()["ids"][0] not in ids
    records = await asyncio.to_thread(arrived, inputs, ids)
    assert [record.topic for record in records] == ["audit.ehr", "audit.iot", "audit.ehr"]
    assert [json.loads(record.value) for record in records] == batch
    assert [record.key for record in records] == [None, b"device:pump-12", None]
    assert {dict(record.headers)["producer"] for record in records} == {b"laboratory"}
    assert [dict(record.headers)["source"] for record in records] == [b"fhir", b"device", b"fhir"]


async def test_202_waits_for_the_broker_s_word() -> None:
    broker = HeldBroker()
    async with serving(broker) as client:
        posting = asyncio.create_task(client.post("/v1/events", json=[AUDIT, DEVICE]))
        while len(broker.acknowledged) < 2:
            await asyncio.sleep(0)
        broker.acknowledged[0].set_result(None)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not posting.done()
        broker.acknowledged[1].set_result(None)
        assert (await posting).status_code == 202
        posting = asyncio.create_task(client.post("/v1/events", json=[AUDIT, DEVICE]))
        while len(broker.acknowledged) < 4:
            await asyncio.sleep(0)
        broker.acknowledged[2].set_result(None)
        broker.acknowledged[3].set_exception(KafkaTimeoutError())
        answer = await posting
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_while_kafka_is_away_the_answer_is_when_to_try_again() -> None:
    async with serving(KafkaBroker({"bootstrap_servers": f"127.0.0.1:{free_port()}"})) as client:
        answer = await client.post("/v1/events", json=AUDIT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await client.get("/v1/health")).json() == {"kafka": False}


async def test_what_waits_for_kafka_is_bounded_also_for_clients_that_gave_up() -> None:
    broker = HeldBroker()
    size = len(json.dumps(AUDIT, separators=(",", ":")))
    async with serving(broker, patience=0.01, waiting=size) as client:
        assert (await client.post("/v1/events", json=AUDIT)).status_code == 503
        answer = await client.post("/v1/events", json=AUDIT)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        broker.acknowledged[0].set_result(None)
        await asyncio.sleep(0)
        assert (await client.post("/v1/events", json=AUDIT)).status_code == 503
    assert len(broker.sent) == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer synthetic-token-of-nobody-at-all"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"content-encoding": "br"}, 415),
        ({"content-encoding": "gzip"}, 400),
        ({"content-length": str(LARGEST + 1)}, 413),
        ({"idempotency-key": "x" * 257}, 400),
        ({"wardwatch-source": "fihr"}, 400),
        ({"wardwatch-source": "device"}, 400),
    ],
)
async def test_what_is_not_taken_is_refused_and_nothing_is_sent(headers: dict[str, str], status: int) -> None:
    broker = HeldBroker()
    async with serving(broker) as client:
        answer = await client.post("/v1/events", content=json.dumps(AUDIT), headers=headers)
        assert (await client.get("/v1/events")).status_code == 405
    assert answer.status_code == status
    assert answer.json()["error"]
    assert answer.headers.get("www-authenticate", "") == ("Bearer" if status == 401 else "")
    assert not broker.sent


async def test_a_body_that_grows_past_the_limit_is_cut_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST // 65_536 + 2):
            yield b"x" * 65_536

    broker = HeldBroker()
    async with serving(broker) as client:
        assert (await client.post("/v1/events", content=endless())).status_code == 413
        bomb = gzip.compress(b"[" + b" " * (2 * LARGEST))
        answer = await client.post("/v1/events", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413
    assert not broker.sent


@pytest.mark.parametrize("name", ["laboratory", "lab-2", "team.a_b", "x" * 64])
def test_a_producer_that_settings_allow_is_one_that_dead_letters_name(name: str) -> None:
    assert name in Settings(intake_tokens={name: TOKEN}).intake_tokens
    raw = RawRecord("audit.ehr", 0, 0, 1, b"{}", {"producer": name.encode()})
    letter = json.loads(DeadLetters(bytes(range(32))).output(raw, stage="ingest", reason="synthetic").value)
    assert letter["headers"] == {"producer": name}


@pytest.mark.parametrize("given", [{"4711 Ada": TOKEN}, {"a" * 65: TOKEN}, {"a1234": TOKEN}, {"lab": "short"}])
def test_a_producer_or_token_that_will_not_do_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(intake_tokens=given)


@pytest.mark.parametrize(
    ("tokens", "more", "told"),
    [
        ({}, {}, "nobody may send"),
        ({"a": TOKEN, "b": TOKEN}, {}, "the same token"),
        ({"a": TOKEN}, {"host": "0.0.0.0"}, "no loopback address"),
        ({"a": TOKEN}, {"cert": Path("x")}, "belong together"),
        ({"a": TOKEN}, {"cert": Path("x"), "key": Path("y")}, "is no file"),
    ],
)
def test_what_must_not_be_served_is_one_sentence(tokens: dict[str, str], more: dict[str, Any], told: str) -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "cert": None, "key": None, **more}
    with pytest.raises(SetupError, match=told):
        run(Settings(intake_tokens=tokens), CATALOG, **options)


def test_the_command_serves_over_tls_until_it_is_told_to_end(inputs: str, tmp_path: Path, unique: str) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server", hosts=("127.0.0.1",))
    port = free_port()
    environment = {
        "PYTHONPATH": str(ROOT),
        "WARDWATCH_KAFKA": inputs,
        "WARDWATCH_INTAKE_TOKENS": json.dumps(TOKENS),
        "WARDWATCH_DATA_DIR": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "streams.cli",
        "intake",
        "--port",
        str(port),
        "--cert",
        str(server.certificate),
        "--key",
        str(server.key),
    ]
    serving = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=authority.client(), headers=AUTHORISED
        ) as client:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and serving.poll() is None:
                try:
                    if client.get("/v1/health").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            answer = client.post("/v1/events", json={**AUDIT, "id": unique})
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "ids": [unique]})
        assert "server" not in answer.headers
    finally:
        serving.send_signal(signal.SIGTERM)
        _, told = serving.communicate(timeout=30)
    assert TOKEN.encode() not in told
    assert arrived(inputs, [unique])[0].topic == "audit.ehr"


def test_the_page_s_request_is_one_that_is_taken() -> None:
    page = (ROOT / "docs" / "services.md").read_text()
    (shown,) = re.findall(r"^    curl (.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    words = shlex.split(shown.replace("\\\n", " "))
    headers = {
        name.lower(): value for name, value in (words[n + 1].split(": ", 1) for n, w in enumerate(words) if w == "-H")
    }
    body = words[words.index("--data-binary") + 1].encode()
    (event,) = events(body, headers["wardwatch-source"], CATALOG)
    assert event.topic == "audit.iot"
    assert words[-1].endswith("/v1/events")
    assert headers["authorization"].startswith("Bearer ")
    assert headers.keys() == {"authorization", "wardwatch-source", "idempotency-key"}
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert Settings(**tomllib.loads(text)).intake_tokens
    for said in (
        f"{LARGEST // 1024**2} MiB",
        f"{MOST:,} events",
        "202",
        "400",
        "401",
        "413",
        "429",
        "503",
        "Retry-After",
    ):
        assert said in page
