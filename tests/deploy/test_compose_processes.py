"""Each service's process, started by hand with the environment that compose would give it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from answering import Asked, answering
from composed import ENTRYPOINT, OURS, ROOT, copy_keys, seconds, secrets_in, secrets_of, volumes_of
from elasticsearch import Elasticsearch

from streams.demo.records import audit_event, cloudtrail
from streams.embedded.kafka import EmbeddedKafka
from streams.emitter import Emitter
from streams.keys import load_keys
from streams.pseudonyms import Pseudonyms
from streams.topics import ALL


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return secrets_in(tmp_path)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """One of its own: setup makes the topics, and the first worker says whose keys they are."""
    own = EmbeddedKafka(tmp_path / "kafka", port=0)
    own.start()
    yield own.bootstrap
    own.stop()


@pytest.mark.kafka
def test_each_process_does_its_work_with_the_environment_that_compose_gives_it(
    broker: str, elasticsearch_url: str, secrets: Path, tmp_path: Path
) -> None:
    loaded: list[Asked] = []

    def kibana(asked: Asked) -> tuple[int, dict[str, str], bytes]:
        if asked.method == "GET":
            return 200, {}, b'{"version": {"number": "8.19.21"}}'
        loaded.append(asked)
        return 200, {}, b'{"success": true, "successCount": 4}'

    with answering(kibana) as serving, Elasticsearch(elasticsearch_url) as client:
        for name in client.indices.get(index="wardwatch-*"):
            client.indices.delete(index=name)
        places = {
            "kafka:9092": broker,
            "http://elasticsearch:9200": elasticsearch_url,
            "http://kibana:5601": serving.url,
        }

        def environment(name: str) -> dict[str, str]:
            mounted = tmp_path / f"secrets-of-{name}"
            mounted.mkdir(exist_ok=True)
            for target, source in secrets_of(OURS[name]).items():
                (mounted / target).write_text((secrets / source).read_text())
            folder = {"/var/lib/wardwatch": str(tmp_path / volumes_of(OURS[name])["/var/lib/wardwatch"])}
            given = {key: (places | folder).get(value, value) for key, value in OURS[name]["environment"].items()}
            assert given["WARDWATCH_SECRETS"] == "/run/secrets"
            return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given, "WARDWATCH_SECRETS": str(mounted)}

        def run(name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, *ENTRYPOINT, *command],
                cwd=tmp_path, env=environment(name), capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip

        made = run("setup", OURS["setup"]["command"])
        assert (made.returncode, made.stderr) == (0, "")
        partitions = OURS["setup"]["environment"]["WARDWATCH_PARTITIONS"]
        assert made.stdout.startswith(f"topics         {len(ALL)} made ({partitions} partitions, 1 replica each)")
        assert f"{serving.url}/app/dashboards#/view/wardwatch-overview" in made.stdout
        assert len(loaded) == 1

        copy_keys(tmp_path / "wardwatch-keys", tmp_path / "wardwatch-data")
        workers = [
            subprocess.Popen([sys.executable, *ENTRYPOINT, *OURS[name]["command"]], cwd=tmp_path, env=environment(name))
            for name in (*["worker"] * OURS["worker"]["deploy"]["replicas"], "events")
        ]
        try:
            with Emitter(broker, producer="deploy-test") as emitter:
                emitter.emit(
                    cloudtrail(
                        id="deploy-1", time=int(time.time() * 1000), name="StopLogging", service="cloudtrail",
                        user="synthetic-admin", address="192.0.2.1",
                    )
                )  # fmt: skip
                emitter.emit(
                    audit_event(
                        id="deploy-2", time=int(time.time() * 1000), interaction="read", staff="synthetic-p1",
                        address="192.0.2.7", patient="synthetic-000001",
                    )
                )  # fmt: skip
            deadline = time.monotonic() + 90
            while not all(
                client.count(index=f"wardwatch-{kind}-*", ignore_unavailable=True)["count"] >= count
                for kind, count in (("alerts", 1), ("events", 2))
            ):
                assert time.monotonic() < deadline
                assert all(worker.poll() is None for worker in workers)
                time.sleep(0.2)
                client.indices.refresh(index="wardwatch-*", ignore_unavailable=True)
            for name in ("worker", "events"):
                well = run(name, OURS[name]["healthcheck"]["test"][5:])
                assert well.returncode == 0, well.stdout
                assert not re.search("^(error|warning)", well.stdout, re.MULTILINE), well.stdout
                assert "vault key      not here" in well.stdout
            assert "the keys here are the installation's" in run("worker", ["doctor", "--role", "worker"]).stdout
            whole = run("identity", OURS["identity"]["command"])
            assert (whole.returncode, "identities can be revealed" in whole.stdout) == (0, True), whole.stdout
            answer = json.loads(run("identity", ["who", "Patient/synthetic-000001", "--json"]).stdout)
            assert "user:Practitioner/synthetic-p1" in [access["actor"] for access in answer["accesses"]]
            keys = load_keys(tmp_path / "wardwatch-keys")
            pseudonym = Pseudonyms(keys.pseudonym, keys.pseudonym_id).patient("Patient/synthetic-000001")
            shown = run("identity", ["reveal", pseudonym, "--reason", "synthetic case 1"])
            assert (shown.returncode, shown.stdout) == (0, "Patient/synthetic-000001\n"), shown.stderr
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGTERM)
            codes = [worker.wait(seconds(OURS["worker"]["stop_grace_period"])) for worker in workers]
        assert codes == [0, 0, 0]
