"""Clocks ten minutes off: on workers, services, the broker. Every time that is told is right, and so are counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from arrivals import of_a_rule, wait_until_durable
from cluster import Cluster
from oracle import Judgement, judge
from receiving import receiving
from test_full_disk import until
from topic_reading import read_topic

from streams import topics
from streams.occasions import DETECTOR, SUBJECT
from streams.sinks.store import AlertStore
from streams.state import PARTITION
from streams.troubles import KINDS

LONG = pytest.mark.skipif(os.environ.get("WARDWATCH_LONG") != "1", reason="WARDWATCH_LONG=1 runs it")
OFF = 600

pytestmark = pytest.mark.faults

SetOff = Callable[[int], dict[str, str]]


@pytest.mark.parametrize(
    ("workers", "services", "timely"),
    [
        # Beside a broker that is right, one service's events are too far ahead for any window, the other's late.
        ((-OFF, OFF), {"fhir": -OFF, "device": OFF}, {"fhir"}),
        # A broker whose clock is ahead or behind is one whom all others are behind or ahead of.
        pytest.param((-OFF, -OFF), {"fhir": -OFF, "device": -OFF}, {"fhir", "device"}, marks=LONG),
        pytest.param((OFF, OFF), {"fhir": OFF, "device": OFF}, set(), marks=LONG),
    ],
    ids=["workers and services", "broker ahead", "broker behind"],
)
def test_every_time_is_right_and_told_who_is_wrong(
    tmp_path: Path, wrong_clock: SetOff, workers: tuple[int, int], services: dict[str, int], timely: set[str]
) -> None:
    with receiving() as oncall:
        cluster = Cluster(
            tmp_path,
            environment={
                "WARDWATCH_PRIVATE_HOSTS": '["127.0.0.1"]',
                "WARDWATCH_RECEIVERS__ONCALL__URL": oncall.url,
                "WARDWATCH_RECEIVERS__ONCALL__MINIMUM_SEVERITY": "informational",
                "WARDWATCH_TROUBLE_AFTER": "2",
            },
        )
        cluster.start()
        began = time.time()
        emitting: dict[str, subprocess.Popen[str]] = {}
        try:
            for off in workers:
                cluster.add_worker(environment=wrong_clock(off))
            for source, off in services.items():
                emitting[source] = service(cluster.kafka.bootstrap, source, wrong_clock(off))
            wanted = {KINDS["clock"].title, KINDS["skew"].title}
            until(lambda: all(skewed(cluster, source) for source in services) and wanted <= told(cluster), 90)
            counted = {source: int(process.communicate("", 60)[0]) for source, process in emitting.items()}
            cluster.settle(seconds=60)
            wait_until_durable(cluster.settings, cluster.ends, seconds=60, then=lambda: None)
            ended = time.time()
            assert cluster.stop_workers() == [0, 0]
            judgement = judge(cluster.settings)
            untimely, late = counts(cluster)
        finally:
            for process in emitting.values():
                process.kill()
                process.communicate()
            cluster.stop()
    assert judgement.wrong == []
    assert judgement.events == Counter(f"{source}-{n}" for source, count in counted.items() for n in range(count))
    assert (untimely, late) == (sum(counted[source] for source in services.keys() - timely), 0)
    check_times(judgement, services, began, ended, timely)
    seen = Counter(alert.findings[0].source for alert in judgement.alerts.values() if of_a_rule(alert.findings[0]))
    assert {source: seen[source] for source in services} == counted
    stored = AlertStore(cluster.settings.store_path, read_only=True)
    assert {alert["id"] for alert in stored.alerts(limit=1000)} == set(judgement.alerts)
    stored.close()
    delivered = {orjson.loads(got.body)["data"]["id"] for got in oncall.received}
    assert delivered == set(judgement.alerts), "one alert an event, and one an occasion"


def check_times(judgement: Judgement, services: dict[str, int], began: float, ended: float, timely: set[str]) -> None:
    """Alerts of events are dated as these are; the pipeline's own by the broker, whatever a worker's clock says."""
    own: Counter[tuple[str, str]] = Counter()
    for alert in judgement.alerts.values():
        (finding,) = alert.findings
        off = 0 if finding.detector == DETECTOR else services[finding.source]
        assert began - 10 <= finding.time / 1000 - off <= ended + 10, (finding.title, finding.source)
        if finding.detector == DETECTOR:
            own[finding.title, str(finding.evidence[SUBJECT])] += 1
        else:
            assert finding.timely == (finding.source in timely)
    assert set(own.values()) == {1}, "one an occasion, though workers' clocks differ"


def service(kafka: str, source: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("emitting.py"), kafka, source],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def skewed(cluster: Cluster, source: str) -> bool:
    return f"Events of {source} are dated " in "".join(w.log.read_text() for w in cluster.workers)


def told(cluster: Cluster) -> set[str]:
    store = AlertStore(cluster.settings.store_path, read_only=True)
    try:
        return {alert["title"] for alert in store.alerts(limit=1000)}
    finally:
        store.close()


def counts(cluster: Cluster) -> tuple[int, int]:
    """Events that no window took for their date, and for coming too late."""
    untimely = late = 0
    for records in read_topic(cluster.settings.kafka, topics.state_of(topics.EVENTS, "behave")).values():
        last = [orjson.loads(record.value) for record in records if record.key == PARTITION][-1]
        untimely += last["counts"]["untimely"]
        late += last["counts"]["late"]
    return untimely, late
