"""What the examples and the shippers' settings send is what ingest reads: by running them, and by what they say."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import NewTopic
from servers.elasticsearch_server import __file__ as servers

from streams import topics
from streams.embedded import kafka as embedded
from streams.embedded.jars import fetch_jars
from streams.embedded.java import JavaProcess
from streams.sources.catalog import by_name, recognise

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "examples" / "clients"
SHIPPERS = ROOT / "deploy" / "shippers"
TABLE = tomllib.loads((ROOT / "examples" / "tables" / "acme-ehr.toml").read_text())


def test_the_java_client_s_event_is_there_under_its_id_and_is_read(kafka: str, tmp_path: Path) -> None:
    jars = fetch_jars(Path(embedded.__file__).with_name("kafka-jars.json"))
    compiler = fetch_jars(Path(servers).with_name("compiler-jars.json"))
    path = os.pathsep.join(map(str, jars))
    batch = "org.eclipse.jdt.internal.compiler.batch.Main"
    source = str(CLIENTS / "java" / "Emit.java")
    compile_ = ["-cp", os.pathsep.join(map(str, compiler)), batch, "-21", "-proc:none", "-classpath", path]
    JavaProcess([*compile_, "-d", str(tmp_path), source], log=tmp_path / "compiled", folder=tmp_path).wait_done(
        seconds=60
    )
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    if "audit.iot" not in admin.list_topics():
        admin.create_topics([NewTopic("audit.iot", 1, 1)])
    admin.close()
    log = tmp_path / "ran"
    java = ["-cp", f"{path}{os.pathsep}{tmp_path}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "Emit", kafka]
    JavaProcess(java, log=log, folder=tmp_path).wait_done(seconds=60)
    event_id = log.read_text().split()[-1]
    consumer = KafkaConsumer(
        "audit.iot", bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    found = next(record for record in consumer if dict(record.headers).get("event-id") == event_id.encode())
    consumer.close()
    assert dict(found.headers)["producer"] == b"pump-gateway"
    assert found.key == b"pump-12"
    draft = by_name(dict(found.headers)["source"].decode()).normalise(json.loads(found.value))
    assert (draft.id, draft.device) == (event_id, "device:pump-12")


def test_every_client_sends_the_same_to_the_same() -> None:
    programs = [path for path in CLIENTS.rglob("*") if path.suffix in (".java", ".mjs", ".go")]
    assert len(programs) == 3
    for path in programs:
        said = path.read_text()
        for word in ("audit.iot", "wardwatch.device/1", "pump-12", "occlusion", "source", "producer", "event-id"):
            assert word in said, (path, word)


def shipped() -> dict[str, list[tuple[str, str]]]:
    """Each shipper's (topic, header source)."""
    filebeat = yaml.safe_load((SHIPPERS / "filebeat.yml").read_text())["output.kafka"]
    vector = yaml.safe_load((SHIPPERS / "vector.yaml").read_text())
    fluent = yaml.safe_load((SHIPPERS / "fluent-bit.yaml").read_text())["pipeline"]
    connect = json.loads((SHIPPERS / "kafka-connect.json").read_text())["config"]
    named = {header["key"]: header["value"] for header in filebeat["headers"]}
    pairs: dict[str, list[tuple[str, str]]] = {"filebeat.yml": [(filebeat["topic"], named["source"])]}
    pairs["vector.yaml"] = [
        (sink["topic"], source)
        for sink in vector["sinks"].values()
        for given in sink["inputs"]
        for source in re.findall(r'"source": "([^"]+)"', vector["transforms"][given]["source"])
    ]
    pairs["fluent-bit.yaml"] = [(output["topics"], "") for output in fluent["outputs"]]
    pairs["kafka-connect.json"] = [(connect["topic"], connect["transforms.source.value.literal"])]
    return pairs


def test_every_shipper_names_a_topic_and_a_source_of_it() -> None:
    found = shipped()
    assert set(found) == {path.name for path in SHIPPERS.iterdir()}
    for pairs in found.values():
        for topic, source in pairs:
            assert topic in topics.INPUTS
            if source:
                assert topic == (TABLE["topic"] if source == TABLE["name"] else by_name(source).topic)
    assert len(found["vector.yaml"]) == 3


def test_what_fluent_bit_ships_without_a_header_is_known_by_its_shape() -> None:
    stamp = "2026-03-01T08:00:00.000000Z"
    line: dict[str, Any] = {"@timestamp": stamp, "log": "1772352000: No will message specified."}
    assert recognise(line, "audit.iot").name == "mosquitto"
    event = {"@timestamp": stamp, "schema": "wardwatch.device/1"}
    assert recognise(event, "audit.iot").name == "device"
