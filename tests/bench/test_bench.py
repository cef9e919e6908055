"""What the product promises of its speed, measured: ``./wardwatch test -m bench -s``, with the machine to itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.bench

HERE = Path(__file__).parent


def measured(script: str, *arguments: str) -> Any:
    """What a script's last line says; it is printed too, to be kept in RESULTS.md."""
    result = subprocess.run(
        [sys.executable, HERE / script, *arguments], stdout=subprocess.PIPE, text=True, check=True, timeout=1800
    )
    line = result.stdout.strip().splitlines()[-1]
    print(script, line)
    return json.loads(line)


def test_the_driver_is_ten_times_stock_faust_and_close_to_bytewax() -> None:
    ratio = measured("bench_driver.py")["ratio"]
    assert ratio["stock_faust"] >= 10
    assert ratio["bytewax"] >= 0.9


def test_the_whole_pipeline_is_twice_as_fast_as_stock_fausts_empty_agent() -> None:
    found = measured("bench_pipeline.py", "--events", "300000")
    assert found["ratio"]["events_per_second"] >= 2
    assert found["pipeline"]["cpu_us_per_event"] <= 50


def test_a_million_events_leave_a_worker_small() -> None:
    found = measured("bench_pipeline.py", "--events", "1000000", "--skip-stock")["pipeline"]
    assert found["memory_mb_after"] - found["memory_mb_idle"] <= 150


def test_emitting_costs_less_than_twice_what_bare_kafka_python_does() -> None:
    found = measured("bench_emitter.py")
    assert found["cpu_ratio"] >= 0.4
    assert found["many_ratio"] >= 2


def test_an_alert_is_in_elasticsearch_within_a_second() -> None:
    assert measured("bench_latency.py")["p99"] < 1


def test_up_is_ready_within_a_quarter_of_a_minute() -> None:
    assert max(measured("bench_start.py").values()) < 15


def test_a_killed_workers_partitions_alert_again_within_half_a_minute() -> None:
    assert measured("bench_takeover.py")["alerting_again"] < 30


@pytest.mark.outside_data
def test_detecting_in_files_is_faster_than_rsigma() -> None:
    found = measured("bench_sigma.py", "--events", "300000")
    assert found["cloud/attacks"]["ratio"] >= 2.5
    assert found["large/attacks"]["ratio"] >= 1.5
    assert found["cloud/harmless"]["ratio"] >= 5
    assert found["large/harmless"]["ratio"] >= 5
    assert all(each["megabytes"]["wardwatch"] < 120 for name, each in found.items() if name != "loading")
    assert found["loading"]["seconds"]["cold"] < 3
    assert found["loading"]["seconds"]["cached"] < 0.5
    assert found["cloud/attacks"]["wardwatch"] / found["large/attacks"]["wardwatch"] < 2.5


def test_correlations_take_hits_far_faster_than_a_partition_brings_them() -> None:
    for kind, found in measured("bench_correlate.py").items():
        assert found["memory"] >= 200_000, kind
        assert found["changelog"] >= 50_000, kind
