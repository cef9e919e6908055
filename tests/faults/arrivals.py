"""What arrived, against what was emitted: nothing lost and nothing twice, in the stores and at the receivers too.

This oracle knows nothing of positions and topics: it has the emitted records, the pure reader, and what each place
outside holds.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import orjson
from defects import fails_on
from oracle import Judgement, reader
from receiving import Receiver
from topic_reading import read_topic
from traffic import Traffic

from detectors.base import Finding, digest
from detectors.rules import starter_rules
from streams import topics
from streams.codecs import alert_document, decode_finding, encode_finding
from streams.deadletters import open_letter
from streams.keys import load_keys
from streams.occasions import DETECTOR, SUBJECT
from streams.settings import Settings
from streams.sinks.elasticsearch import alert_source, finding_source
from streams.sinks.store import AlertStore
from streams.sources.catalog import by_name
from streams.state import PARTITION

__all__ = ["CORRELATIONS", "check_arrivals", "check_emitted", "clear_elasticsearch", "of_a_rule", "wait_until_durable"]

#: Ids of the correlations that ship.
CORRELATIONS = frozenset(plan.rule.id for plan in starter_rules().correlations.plans)
#: Most documents that one search gives.
WINDOW = 10_000


def check_arrivals(
    judgement: Judgement,
    settings: Settings,
    traffic: Traffic,
    *,
    receivers: Mapping[str, Receiver],
    elasticsearch: str,
    fragile: bool,
) -> None:
    """Hold every place that anything arrives at against what was emitted."""
    check_emitted(judgement, settings, traffic, fragile=fragile)
    _check_letters(judgement, settings, traffic)
    _check_receivers(judgement, receivers)
    _check_store(judgement, settings)
    if elasticsearch:
        _check_elasticsearch(judgement, elasticsearch)


def of_a_rule(finding: Finding) -> bool:
    """Whether one event was enough: a correlation's depends on what else there is, and the pure pipeline judges it."""
    return finding.detector == "sigma" and finding.rule["id"] not in CORRELATIONS


def check_emitted(judgement: Judgement, settings: Settings, traffic: Traffic, *, fragile: bool = True) -> None:
    """Each emitted record is one event, each event counts once, and its rules' findings are a fault-free run's."""
    pure = reader(settings)
    events: Counter[str] = Counter()
    findings: Counter[bytes] = Counter()
    for emission in traffic.emitted:
        received = emission.time + 3_600_000
        released = pure.read(emission.record, by_name(emission.source), fallback_id=str, received=received)
        events[released.event.id] += 1
        findings.update(encode_finding(finding) for finding in released.findings)
    judgement.expect("events emitted", judgement.events, events)
    sigma = Counter({raw: n for raw, n in judgement.findings.items() if of_a_rule(decode_finding(raw))})
    judgement.expect("findings of rules in a fault-free run", sigma, findings)
    alerts = {digest("alert", decode_finding(raw).id) for raw in judgement.findings}
    told = {i: alert.findings[0] for i, alert in judgement.alerts.items()}
    own = {i for i, finding in told.items() if finding.detector == DETECTOR}
    judgement.counts["troubles of the pipeline"] = len({(told[i].title, told[i].evidence[SUBJECT]) for i in own})
    judgement.expect("alerts of findings", set(judgement.alerts) - own, alerts)
    judgement.counts["alerts of the pipeline"] = len(own)
    judgement.counts["emitted"] = len(events)
    judgement.counts["findings of rules"] = len(findings)
    if fragile:
        failing = sum(fails_on(event_id) for event_id in events)
        judgement.counts["failing events"] = failing
        missing = len(events) - failing - judgement.counted
        if not 0 <= missing <= judgement.late:  # one that is late is counted as that, as often as it comes
            judgement.wrong.append(f"events counted once: {missing} missing, {judgement.late} late")


def _check_letters(judgement: Judgement, settings: Settings, traffic: Traffic) -> None:
    """Every poison record is a dead letter, whole, and nothing else of ingest's is."""
    private = load_keys(settings.home).dead_letter_private()
    letters: dict[str, bytes] = {}
    for records in read_topic(settings.kafka, topics.DEAD_LETTERS).values():
        for record in records:
            if record.value is None:
                continue  # it was replayed
            letter = open_letter(record.value, private)
            if letter.stage == "ingest":
                letters[letter.position] = letter.value
    judgement.expect("poison in dead letters", Counter(letters.values()), traffic.poisoned)


def _check_receivers(judgement: Judgement, receivers: Mapping[str, Receiver]) -> None:
    """Each delivery arrived where it belongs; what came again was the same."""
    for name, receiver in receivers.items():
        bodies: dict[str, set[bytes]] = defaultdict(set)
        for got in receiver.received:
            if len(got.body) == int(got.headers["content-length"]):  # else the link was cut in the middle of it
                bodies[got.headers["webhook-id"]].add(got.body)
        want = {i: {body} for i, body in judgement.deliveries.items() if i.endswith(f".{name}")}
        judgement.expect(f"deliveries at {name}", dict(bodies), want)
        judgement.counts[f"deliveries at {name}"] = len(bodies)
        judgement.counts[f"requests at {name}"] = len(receiver.received)


def _check_store(judgement: Judgement, settings: Settings) -> None:
    store = AlertStore(settings.store_path, read_only=True)
    held = {alert["id"]: alert for alert in store.alerts(limit=1_000_000)}
    store.close()
    for alert in held.values():
        del alert["sequence"], alert["stored"]
    judgement.expect("alerts in the embedded store", held, {i: _json(alert_document(a)) for i, a in _alerts(judgement)})
    judgement.counts["stored"] = len(held)


def _check_elasticsearch(judgement: Judgement, url: str) -> None:
    """Every alert and every finding is there once, as it was made."""
    held: dict[str, dict[str, Any]] = {"alerts": {}, "findings": {}}
    with httpx.Client(base_url=url, timeout=30) as client:
        for index in _indices(client):
            client.post(f"/{index}/_refresh")
            for hit in client.get(f"/{index}/_search", params={"size": WINDOW}).json()["hits"]["hits"]:
                place = held["alerts" if "-alerts-" in index else "findings"]
                if hit["_id"] in place:
                    judgement.wrong.append(f"Elasticsearch holds a document twice, once in {index}")
                place[hit["_id"]] = hit["_source"]
    alerts = {i: _json(alert_source(alert)) for i, alert in _alerts(judgement)}
    findings = {f.id: _json(finding_source(f)) for _, alert in _alerts(judgement) for f in alert.findings}
    assert len(alerts) < WINDOW, "more alerts than one search gives"
    judgement.expect("alerts in Elasticsearch", held["alerts"], alerts)
    judgement.expect("findings in Elasticsearch", held["findings"], findings)
    judgement.counts["indexed"] = len(held["alerts"])


def clear_elasticsearch(url: str) -> None:
    """Remove what other tests left there."""
    with httpx.Client(base_url=url, timeout=30) as client:
        for index in _indices(client):
            client.delete(f"/{index}").raise_for_status()


def _indices(client: httpx.Client) -> list[str]:
    return [found["index"] for found in client.get("/_cat/indices/wardwatch-*", params={"format": "json"}).json()]


def _alerts(judgement: Judgement) -> list[tuple[str, Any]]:
    return list(judgement.alerts.items())


def _json(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def wait_until_durable(
    settings: Settings, ends: Callable[[str], dict[int, int]], *, seconds: float, then: Callable[[], object]
) -> None:
    """Wait until each step's own position is at the end of what it reads, and no delivery waits. Raises TimeoutError.

    What the group committed says less: it is a hint, and a run may have set it to anything.
    """
    steps = (
        (topics.EVENTS, "behave"),
        (topics.VIEWS, "behave"),
        (topics.MATCHES, "correlate"),
        (topics.FINDINGS, "alert"),
        (topics.NOTIFICATIONS, "notify"),
    )
    deadline = time.monotonic() + seconds
    for topic, step in steps:
        targets = ends(topic)
        while True:
            states = {
                p: _state(records) for p, records in read_topic(settings.kafka, topics.state_of(topic, step)).items()
            }
            behind = {p: end for p, end in targets.items() if end and _position(states[p]) < end}
            waiting = sum(key[:1] != b"\x00" for state in states.values() for key in state) if step == "notify" else 0
            if not behind and not waiting:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{step} of {topic}: {behind} not durable, {waiting} deliveries wait")
            then()
            time.sleep(0.3)


def _state(records: list[Any]) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for record in records:
        if record.value is None:
            state.pop(record.key, None)
        else:
            state[record.key] = record.value
    return state


def _position(state: dict[bytes, bytes]) -> int:
    return int(orjson.loads(state[PARTITION])["position"]) if PARTITION in state else 0
