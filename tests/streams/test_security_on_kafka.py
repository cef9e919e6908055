"""The product on Kafka as it is in production: TLS, SCRAM, and an authorizer with the ACLs of ``deploy/kafka``."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from authority import Authority
from kafka import KafkaAdminClient
from not_let_in import REFUSED, STRANGER
from secured import ACLS, PASSWORD, ROOT, Secured, emit, refused, wait, without

from detectors.rules import load
from streams import producers, topics
from streams.admin import SetupError, create_topics, topic_ids
from streams.changelog import Changelog
from streams.commands import acls
from streams.commands.letters import envelopes, replay
from streams.commands.pseudonym_keys import NotDone, PseudonymKeys
from streams.commands.published import board, publish, release, withdraw
from streams.commands.reveal import in_vault, reveal
from streams.commands.status import read_status
from streams.demo.records import cloudtrail, device_event
from streams.emitter import Emitter
from streams.event_worker import EventsWorker
from streams.keys import load_keys
from streams.permissions import Acl, roles
from streams.pseudonyms import Pseudonyms
from streams.recorded import recorded
from streams.records import Output
from streams.refusals import Refused, look
from streams.rule_topic import Quarantine, RuleTopic
from streams.security import Security
from streams.sender import DeliveryFailed, Sender
from streams.settings import Settings
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore
from streams.sources.known import CATALOG

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("secured"))
    made.kafka.start()
    for principals, _ in acls.read_acls(ACLS).values():
        for principal in principals:
            made.kafka.add_user(principal.removeprefix("User:"), PASSWORD)
    yield made
    made.kafka.stop()


@pytest.fixture(scope="module")
def administrator(secured: Secured) -> Settings:
    return Settings(kafka=secured.kafka.bootstrap)


def test_what_a_new_role_lacks_is_named_before_anything_is_done(secured: Secured, administrator: Settings) -> None:
    """Each is asked for its part while nobody may do anything, setup also when it may look alone."""
    setup, names = secured.settings("setup"), [topic.name for topic in topics.ALL]
    told = refused(lambda: create_topics(setup))
    assert told.startswith("Kafka does not let User:wardwatch-setup Describe Topic audit.ehr, Describe Topic audit.iot")
    assert told.endswith(": have that allowed (deploy/kafka/acls.toml has all ACLs)")
    assert all(f"Describe Topic {name}" in told for name in names)
    assert "let User:wardwatch-setup Alter Cluster kafka-cluster: " in refused(lambda: acls.run(setup, ACLS))
    acls.run(administrator, ACLS)
    with without(administrator, "User:wardwatch-setup", Acl("Create", "Topic", "views")):
        told = refused(lambda: create_topics(setup))
    assert "let User:wardwatch-setup Create Topic views: " in told
    lines, as_told = wait(lambda: (found := acls.run(administrator, ACLS, only_look=True))[1] and found)
    assert as_told
    assert lines[0] == "emitter-ehr     1 permissions for User:wardwatch-emitter-ehr; 0 missing"


NOW = int(time.time() * 1000)
BAD = {"nothing": "in it"}
TRAIL = cloudtrail(
    id="synthetic-trail",
    time=NOW,
    name="StopLogging",
    service="cloudtrail",
    user="synthetic-user",
    address="192.0.2.1",
)
DEVICE = device_event(
    id="synthetic-device",
    time=NOW,
    device="pump-1",
    type="infusion-pump",
    event="alarm",
    action="occlusion",
    address="192.0.2.2",
    patient="Patient/synthetic-1",
)


RULE = """
title: Synthetic rule
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws}
detection: {s: {eventName: NoSuchCall}, condition: s}
"""


def test_the_whole_way_needs_each_of_the_acls_and_no_other(
    secured: Secured, administrator: Settings, tmp_path: Path
) -> None:
    """What the authorizer allowed it allowed by an ACL of the file, every ACL of the file was one by which it allowed
    something, and nothing was denied."""
    acls.run(administrator, ACLS)
    before = secured.kafka.decisions()  # setup may have made topics already
    create_topics(secured.settings("setup"))
    AlertStore(secured.settings("worker").store_path).close()
    worker = subprocess.Popen([sys.executable, "-m", "streams.worker"], env=secured.environment("worker"))
    events = subprocess.Popen(
        [sys.executable, "-m", "streams.worker", "--only", "events"], env=secured.environment("events")
    )
    try:
        emit(secured, "emitter-ehr", BAD, source="fhir")
        emit(secured, "emitter-iot", BAD, DEVICE, source="device")
        emit(secured, "emitter-cloud", BAD, TRAIL, source="cloudtrail")
        operator = secured.settings("operator")
        store = AlertStore(operator.store_path, read_only=True)
        wait(lambda: store.alerts(after=0, limit=1))
        wait(lambda: len(list(envelopes(operator))) == 3)
        store.close()
        assert len(replay(operator, load_keys(operator.home).dead_letter_private(), lambda _: True).sent) == 3
        status = wait(
            lambda: (s := read_status(secured.settings("console"), seconds=0.2)) and not any(s.lag.values()) and s
        )
        assert status.last_alert["findings"]
        look_behind(secured.settings("identity"))
        change_rules(secured.settings("detection"), secured.settings("worker"), tmp_path)
        wait(lambda: kept_events(operator) >= 2)
    finally:
        for process in (worker, events):
            process.terminate()
        assert [process.wait(30) for process in (worker, events)] == [0, 0]

    decisions = secured.kafka.decisions()
    assert [decision for decision in decisions if not decision.allowed] == []
    assert sorted({(d.principal, *d.rule) for d in [*before, *decisions] if d.rule}) == sorted(
        (principal, acl.resource, acl.name, acl.operation)
        for principals, given in acls.read_acls(ACLS).values()
        for principal in principals
        for acl in given
    )


def kept_events(settings: Settings) -> int:
    with closing(EventStore(settings.events_path, read_only=True)) as store:
        return store.count()


def look_behind(identity: Settings) -> None:
    """Reveal, rotate, and ask whether the first key is needed still."""
    keys = load_keys(identity.home)
    name = Pseudonyms(keys.pseudonym, keys.pseudonym_id).patient("Patient/synthetic-1")
    assert reveal(identity, keys, name, "synthetic case").identity.identifier == "Patient/synthetic-1"
    assert "names patients from" in next(PseudonymKeys(identity, keys, now=NOW).rotate(overlap_ms=0))
    later = PseudonymKeys(identity, load_keys(identity.home), now=NOW + 86_400_000)
    with pytest.raises(NotDone, match=f"{later.rows()[1].key} names patients now"):
        later.check_destroy(later.rows()[1].key)
    with suppress(NotDone):  # the worker may have something to take
        later.check_destroy(keys.pseudonym_id)


def change_rules(detection: Settings, worker: Settings, folder: Path) -> None:
    """Publish, see a worker put it into quarantine, release and withdraw it; read what is recorded."""
    path = folder / "synthetic.yml"
    path.write_text(RULE)
    assert publish(detection, path, shadow=False) == 1
    (loaded,) = load([path]).rules
    topic = RuleTopic(worker)
    topic.quarantine(loaded.id, Quarantine(loaded.version, loaded.title, "synthetic reason"))
    topic.close()
    release(detection, loaded.id)
    withdraw(detection, path.name)
    assert board(detection).files == {}
    assert list(recorded(detection, CATALOG, since=0))


def worker_starts(settings: Settings) -> None:
    topic_ids(settings, needed=roles(settings.application)["worker"])


def emit_one(settings: Settings) -> None:
    with Emitter(settings.kafka, producer="synthetic", security=settings.security) as emitter:
        emitter.emit(DEVICE)


READ_LETTERS, WRITE_LETTERS = Acl("Read", "Topic", "dead.letters"), Acl("Write", "Topic", "dead.letters")
CASES: list[tuple[str, Acl, Callable[[Settings], object]]] = [
    ("worker", Acl("Read", "Topic", "audit.ehr"), worker_starts),
    ("worker", Acl("Write", "Topic", "installation"), worker_starts),
    ("worker", Acl("Read", "Group", "wardwatch"), worker_starts),
    ("emitter-iot", Acl("Write", "Topic", "audit.iot"), emit_one),
    ("operator", READ_LETTERS, lambda s: list(envelopes(s))),
    ("operator", WRITE_LETTERS, lambda s: replay(s, b"", lambda _: False)),
    ("operator", Acl("Write", "Topic", "audit.cloud"), lambda s: replay(s, b"", lambda _: False)),
    ("events", Acl("Read", "Topic", "events"), EventsWorker),
    ("events", Acl("Read", "Group", "wardwatch.events"), EventsWorker),
    ("identity", Acl("Read", "Topic", "vault"), lambda s: in_vault(s, "patient:x")),
    ("identity", Acl("Write", "Topic", "audit.ehr"), lambda s: in_vault(s, "patient:x")),
    ("identity", Acl("Write", "Topic", "installation"), lambda s: PseudonymKeys(s, load_keys(s.home), now=NOW)),
    ("detection", Acl("Read", "Topic", "rules"), board),
    ("detection", Acl("Write", "Topic", "rules"), board),
    ("detection", Acl("Write", "Topic", "audit.ehr"), board),
    ("detection", Acl("Read", "Topic", "audit.iot"), lambda s: list(recorded(s, CATALOG, since=0))),
    ("console", Acl("Describe", "Topic", "views"), lambda s: read_status(s, seconds=0.1)),
    ("console", Acl("Describe", "Group", "wardwatch"), lambda s: read_status(s, seconds=0.1)),
    ("console", READ_LETTERS, lambda s: read_status(s, seconds=0.1)),
]


@pytest.mark.parametrize(("role", "gone", "do"), CASES, ids=[f"{role} {acl}" for role, acl, _ in CASES])
def test_a_refused_permission_names_the_acl_that_is_missing(
    secured: Secured, administrator: Settings, role: str, gone: Acl, do: Callable[[Settings], object]
) -> None:
    settings = secured.settings(role)
    with without(administrator, f"User:wardwatch-{role}", gone):
        told = refused(lambda: do(settings))
    assert f"Kafka does not let User:wardwatch-{role} {gone}: have that allowed" in told


async def until_refused(do: Callable[[], Awaitable[object]]) -> str:
    async with asyncio.timeout(10):
        while True:
            try:
                await do()
            except (DeliveryFailed, Refused) as exc:
                return str(exc)


async def test_a_worker_that_loses_a_permission_says_which(secured: Secured, administrator: Settings) -> None:
    client = {"bootstrap_servers": secured.kafka.at("SASL_SSL"), **secured.scram("worker").security.aiokafka()}
    sender = Sender(client=client, partitions={"findings": 1})
    output = Output("findings", b"k", b"v", 1, 0)
    log = Changelog(client=client, topic="behave.events.state", partition=0, transactional_id="wardwatch.synthetic")
    try:
        async with asyncio.timeout(10):  # and not after half a minute's goodbye
            await log.open(lambda *_: None)
        for gone, do in (
            (Acl("Write", "Topic", "findings"), lambda: sender.send(bytes(16), 0, [(0, [output])])),
            (Acl("Write", "TransactionalId", "wardwatch.*"), lambda: log.commit({b"k": b"v"})),
            (Acl("Read", "Topic", "behave.events.state"), lambda: log.open(lambda *_: None)),
        ):
            with without(administrator, "User:wardwatch-worker", gone):
                told = await until_refused(do)
            name = gone.name.replace("*", "synthetic")
            assert f"let User:wardwatch-worker {gone.operation} {gone.resource} {name}: " in told
    finally:
        await log.close()
        await sender.close()


@pytest.mark.parametrize(("listener", "changes", "reason"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_whoever_is_not_let_in_is_told_why(
    secured: Secured, listener: str, changes: dict[str, str], reason: str
) -> None:
    """Setup and emitter alike, at once and not when their time is up, in one sentence that quotes no secret."""
    security = secured.scram("worker", **changes)
    at = secured.kafka.bootstrap if listener == "CLIENT" else secured.kafka.at(listener)
    began = time.monotonic()
    with pytest.raises(SetupError) as caught:
        topic_ids(Settings(kafka=at, kafka_security=security))
    with pytest.raises(Refused) as also:
        Emitter(at, producer="synthetic", security=security.security)
    assert time.monotonic() - began < 8
    assert str(caught.value) == str(also.value)
    assert reason in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert ". " not in str(caught.value)


def test_the_paper_s_words_are_those_that_are_said() -> None:
    paper = (ROOT / "docs" / "kafka-security.md").read_text()
    rows = re.findall(r"^\| [^`]+ \| `([^`]+)` \|$", paper, re.MULTILINE)
    said = [*(reason for *_, reason in REFUSED), STRANGER]
    said += [f"does not let User:wardwatch-{role} {gone}" for role, gone in [("worker", "Write Topic events")]]
    assert len(rows) == 11
    assert [row for row in rows if not any(row in reason for reason in said)] == []


def test_a_client_certificate_from_elsewhere_is_refused(secured: Secured) -> None:
    stranger = Authority(secured.folder, "another authority").issue("stranger")
    with pytest.raises(Refused, match=STRANGER):
        look(secured.kafka.at("SSL"), mutual(secured, stranger.both))


def mutual(secured: Secured, file: Path) -> Security:
    return Security(protocol="SSL", ca_file=str(secured.authority.file), certificate_file=str(file))


def test_each_way_in_lets_emitter_and_worker_s_clients_in(secured: Secured, administrator: Settings) -> None:
    """With a certificate, PLAIN, and a token: the two clients that everything else is made of, and Faust's settings."""
    token = "eyJhbGciOiJub25lIn0." + _claims(sub="synthetic-service", exp=int(time.time()) + 600) + "."
    (secured.folder / "token").write_text(token)
    ca = str(secured.authority.file)
    ways = {
        "User:CN=synthetic-client": ("SSL", mutual(secured, secured.authority.issue("synthetic-client").both)),
        "User:plain": (
            "SASL_SSL",
            Security(protocol="SASL_SSL", ca_file=ca, mechanism="PLAIN", username="plain", password="plain-secret"),
        ),
        "User:synthetic-service": (
            "SASL_SSL",
            Security(
                protocol="SASL_SSL",
                ca_file=ca,
                mechanism="OAUTHBEARER",
                token_command=f"cat {secured.folder / 'token'}",
            ),
        ),
    }
    admin = KafkaAdminClient(bootstrap_servers=administrator.kafka)
    given = [acls._kafka(p, Acl(op, "Topic", "audit.iot")) for p in ways for op in ("Read", "Write")]
    admin.create_acls(given)
    admin.close()
    for principal, (listener, security) in ways.items():
        at = secured.kafka.at(listener)
        with Emitter(at, producer=principal, security=security) as emitter:
            sent = emitter.emit({**DEVICE, "id": principal})
        assert sent in asyncio.run(_ids(at, security)), principal


async def _ids(at: str, security: Security) -> list[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=at, **security.aiokafka())
    await consumer.start()
    tp = TopicPartition("audit.iot", 0)
    consumer.assign([tp])
    await consumer.seek_to_beginning(tp)
    end, found = (await consumer.end_offsets([tp]))[tp], []
    while await consumer.position(tp) < end:
        for record in (await consumer.getmany(timeout_ms=500)).get(tp, ()):
            found.append(dict(record.headers)["event-id"].decode())
    await producers.stop_reading(consumer)
    return found


def _claims(**claims: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
