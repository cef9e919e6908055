"""What deploys the product: the compose file against its specification and against what the code reads, the image's
recipe, the unit; and each service's process, started by hand with the environment that compose would give it."""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml
from answering import Asked, answering
from elasticsearch import Elasticsearch

from streams import cli
from streams.demo.records import audit_event, cloudtrail
from streams.embedded import kafka as embedded
from streams.embedded.kafka import EmbeddedKafka
from streams.emitter import Emitter
from streams.keys import load_keys, spare
from streams.pseudonyms import Pseudonyms
from streams.settings import Settings
from streams.topics import ALL

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
IMAGE = {name: service for name, service in SERVICES.items() if service["image"] == "wardwatch"}
OURS = {name: service for name, service in IMAGE.items() if "entrypoint" not in service}
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
UNITS = {
    "wardwatch-worker@.service": ["worker"],
    "wardwatch-events.service": ["worker", "--only", "events"],
}
SYSTEMD = ROOT / "deploy" / "systemd"
#: What opens what is sealed.
PRIVATE = {"vault.private", "dead-letters.private"}
SCRIPT = ROOT / "deploy" / "elasticsearch" / "credentials.sh"
#: What the image's ENTRYPOINT runs, after its interpreter.
ENTRYPOINT = ["-P", "-m", "streams.cli"]


def secrets_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Names of the files in /run/secrets, and the secrets they hold."""
    named = [one if isinstance(one, dict) else {"source": one} for one in service.get("secrets", [])]
    return {one.get("target", one["source"]): one["source"] for one in named}


# -- the file


def test_the_file_is_what_the_specification_says() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**COMPOSE, "services": {"kafka": {"imagge": "x"}}})


def test_what_a_service_refers_to_is_there() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], (name, other)
            else:
                assert not SERVICES[other]["restart"].startswith("unless"), (name, other, "never completes")
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= COMPOSE["volumes"].keys(), name
        assert set(secrets_of(service).values()) <= COMPOSE["secrets"].keys(), name
        assert {config["source"] for config in service.get("configs", [])} <= COMPOSE["configs"].keys(), name
    for config in COMPOSE["configs"].values():
        assert (ROOT / config["file"]).is_file()


def test_what_stays_is_watched_and_what_it_keeps_is_in_a_volume() -> None:
    for name, service in SERVICES.items():
        if service["restart"] == "unless-stopped":
            assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys(), name
            assert service["volumes"], name


def test_images_have_short_official_names_and_the_versions_that_are_tested() -> None:
    images = {service["image"] for service in SERVICES.values()}
    jars = json.loads((ROOT / "tests" / "servers" / "elasticsearch-jars.json").read_text())
    (version,) = {jar.split(":")[2] for jar in jars if jar.startswith("org.elasticsearch:elasticsearch:")}
    assert version.startswith("8.19.")
    assert images == {
        f"elasticsearch:{version}", f"kibana:{version}", f"apache/kafka:{embedded.VERSION}", "wardwatch",
    }  # fmt: skip


def test_secrets_are_files_and_nothing_has_a_default_password() -> None:
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert all(secret["file"].startswith("secrets/") for secret in COMPOSE["secrets"].values())
    assert "/secrets/" in ignored
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("password|secret|api_?key|token", variable, re.IGNORECASE):
                assert str(value).startswith("/run/secrets"), (name, variable)


def test_ports_are_given_to_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_that_the_code_reads(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    service = OURS[name]
    given = {**service["environment"], **dict.fromkeys(secrets_of(service), "synthetic")}
    names = {variable.removeprefix("WARDWATCH_").lower() for variable in given} - {"secrets"}
    assert names <= set(Settings.model_fields)
    monkeypatch.chdir(tmp_path)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("WARDWATCH_SECRETS", str(tmp_path))
    settings = Settings()
    assert settings.elasticsearch_login["password"] == "synthetic"
    assert settings.kafka == "kafka:9092"


def volumes_of(service: Mapping[str, Any]) -> dict[str, str]:
    """What is mounted, by where."""
    return {volume.split(":")[1]: volume.split(":", 1)[0] for volume in service["volumes"]}


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_runs_a_command_there_is_with_as_little_as_it_needs(name: str) -> None:
    service = OURS[name]
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    assert service["command"][0] in commands
    if "healthcheck" in service:
        assert service["healthcheck"]["test"][2:] == [*ENTRYPOINT, "doctor", "--role", name]


@pytest.mark.parametrize("name", IMAGE)
def test_a_container_of_ours_can_write_its_volumes_alone(name: str) -> None:
    service = IMAGE[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_container_that_stays_has_what_opens_the_vault() -> None:
    staying = [name for name, service in IMAGE.items() if service["restart"] == "unless-stopped"]
    assert set(staying) == {"worker", "events"}
    for name in staying:
        assert "wardwatch-keys" not in volumes_of(IMAGE[name]).values(), name
        assert IMAGE[name]["depends_on"]["keys"] == {"condition": "service_completed_successfully"}
    for name in ("setup", "identity"):
        assert volumes_of(IMAGE[name]) == {"/var/lib/wardwatch": "wardwatch-keys"}
    assert "wardwatch-keys:/keys:ro" in IMAGE["keys"]["volumes"]
    users = [OURS[name]["environment"]["WARDWATCH_ELASTICSEARCH_USERNAME"] for name in OURS]
    assert len(set(users)) == len(users), "each its own"


def copy_keys(made: Path, worker: Path) -> None:
    """The service ``keys``, with folders instead of volumes."""
    (option, script), (shell,) = IMAGE["keys"]["command"], IMAGE["keys"]["entrypoint"]
    for inside, outside in (("/var/lib/wardwatch", worker), ("/keys/keys", made / "keys"), ("$$", "$")):
        assert inside in script
        script = script.replace(inside, str(outside))
    subprocess.run([shell, option, script], check=True, timeout=30)


def test_workers_are_given_the_keys_they_need_and_later_ones_too(tmp_path: Path) -> None:
    made, worker = tmp_path / "made", tmp_path / "worker"
    keys = load_keys(made)
    copy_keys(made, worker)
    assert {p.name for p in keys.folder.iterdir()} - {p.name for p in (worker / "keys").iterdir()} == PRIVATE
    assert {path.stat().st_mode & 0o777 for path in (worker / "keys").iterdir()} == {0o600}
    given = load_keys(worker)
    assert (given.pseudonyms, given.vault_public, given.webhook) == (keys.pseudonyms, keys.vault_public, keys.webhook)
    assert not (worker / "keys" / "vault.private").exists()
    name = spare(keys)
    copy_keys(made, worker)
    assert list(load_keys(worker).spare) == [name]
    assert load_keys(worker).pseudonyms == keys.pseudonyms


def test_kafka_allows_what_the_topics_need() -> None:
    environment = SERVICES["kafka"]["environment"]
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) >= max(topic.max_message for topic in ALL)
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    listeners = {listener.split(":")[0] for listener in environment["KAFKA_LISTENERS"].split(",")}
    protocols = {pair.split(":")[0] for pair in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    advertised = {listener.split(":")[0] for listener in environment["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    assert listeners == protocols == advertised | {environment["KAFKA_CONTROLLER_LISTENER_NAMES"]}


# -- the image


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def test_the_image_is_made_in_two_stages_and_runs_as_nobody_special() -> None:
    stages = [argument for name, argument in instructions() if name == "FROM"]
    assert len(stages) == 2
    assert len({stage.split()[0] for stage in stages}) == 1
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", stages[1]), "pinned to a patch"
    last = instructions()[[name for name, _ in instructions()].index("FROM", 1) :]
    assert [argument for name, argument in last if name == "USER"] == ["1000:1000"]
    assert not any("pip" in argument or "gcc" in argument for name, argument in last if name == "RUN")
    (entrypoint,) = (json.loads(argument) for name, argument in last if name == "ENTRYPOINT")
    assert entrypoint[1:] == ENTRYPOINT
    (command,) = (json.loads(argument) for name, argument in last if name == "CMD")
    assert command == ["worker"]


def test_every_file_that_the_image_takes_is_there_and_is_let_through() -> None:
    through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    taken = {
        source.rstrip("/")
        for name, argument in instructions()
        if name == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    }
    assert taken == through
    assert all((ROOT / source).exists() for source in taken)


def test_the_image_has_what_the_server_asks_for_and_not_what_tests_do() -> None:
    """The recipe's own line, run here."""
    (line,) = re.findall(r'python -c "(.*?)" > server\.txt', dict_of_runs())
    made = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert made.splitlines() == [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["server"],
    ]
    assert "--require-hashes" in dict_of_runs()


def dict_of_runs() -> str:
    return "\n".join(argument for name, argument in instructions() if name == "RUN")


# -- the unit


def unit(name: str) -> dict[str, list[str]]:
    """Directives of the unit's service, each with all its values."""
    found: dict[str, list[str]] = {}
    text = (SYSTEMD / name).read_text()
    for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
        if line.strip() and not line.startswith("#"):
            directive, _, value = line.partition("=")
            found.setdefault(directive, []).append(value)
    return found


def test_there_is_a_unit_for_each_worker_of_the_containers() -> None:
    assert {path.name for path in SYSTEMD.iterdir()} == UNITS.keys()
    assert list(UNITS.values()) == [OURS[name]["command"] for name in ("worker", "events")]


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_gives_settings_that_the_code_reads_and_a_command_there_is(name: str) -> None:
    sections = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    sections.optionxform = str  # type: ignore[assignment,method-assign]
    sections.read(SYSTEMD / name)
    assert sections.sections() == ["Unit", "Service", "Install"]
    named = [value.partition("=")[0] for value in unit(name)["Environment"]]
    named += [value.partition(":")[0] for value in unit(name)["LoadCredential"]]
    settings = {name.removeprefix("WARDWATCH_").lower() for name in named if name.startswith("WARDWATCH_")}
    assert settings - {"config", "secrets"} <= set(Settings.model_fields)
    assert "WARDWATCH_SECRETS=%d" in unit(name)["Environment"]
    assert unit(name)["ExecStart"][0].split()[1:] == [*ENTRYPOINT, *UNITS[name]]


def test_each_unit_has_a_key_of_its_own() -> None:
    keys = [unit(name)["LoadCredential"][0].partition(":")[2] for name in UNITS]
    assert len(set(keys)) == len(keys)
    assert all(key in (ROOT / "docs" / "deploy.md").read_text() for key in keys)


@pytest.mark.parametrize("unit_name", UNITS)
@pytest.mark.parametrize(
    "directive",
    [
        "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
        "CapabilityBoundingSet=", "RestrictNamespaces=yes", "SystemCallFilter=@system-service", "UMask=0077",
        "StateDirectoryMode=0700", "Restart=always", "User=wardwatch",
    ],
)  # fmt: skip
def test_the_unit_is_hardened(unit_name: str, directive: str) -> None:
    name, _, value = directive.partition("=")
    assert value in unit(unit_name)[name]


def seconds(value: str) -> int:
    return int(value.removesuffix("s"))


def test_a_worker_is_given_the_time_it_takes_to_leave() -> None:
    from streams.worker import LEAVING

    for name in ("worker", "events"):
        assert seconds(OURS[name]["stop_grace_period"]) > 2 * LEAVING
    for name in UNITS:
        assert seconds(unit(name)["TimeoutStopSec"][0]) > 2 * LEAVING


# -- the users


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of secrets as whoever deploys makes it, with a password for each name."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in COMPOSE["secrets"]:
        (folder / name).write_text(f"synthetic-{name}\n")
    return folder


def run_credentials(secrets: Path, url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SECRETS": str(secrets), "ELASTICSEARCH": url}
    return subprocess.run(["sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_kibana_and_workers_are_given_users_of_their_own(secrets: Path) -> None:
    with answering(lambda _: (200, {}, b"{}")) as elasticsearch:
        result = run_credentials(secrets, elasticsearch.url)
    assert (result.returncode, result.stderr) == (0, "")
    asked = [(each.method, each.path, json.loads(each.body)) for each in elasticsearch.asked]
    assert asked[0] == ("POST", "/_security/user/kibana_system/_password", {"password": "synthetic-kibana_password"})
    roles = {path.rpartition("/")[2]: body for method, path, body in asked[1::2] if method == "PUT"}
    privileges = {name: set(role["indices"][0]["privileges"]) for name, role in roles.items()}
    assert {name: role["indices"][0]["names"] for name, role in roles.items()} == {
        "wardwatch_worker": ["wardwatch-alerts-*", "wardwatch-findings-*"],
        "wardwatch_events": ["wardwatch-events-*"],
        "wardwatch_identity": ["wardwatch-events-*", "wardwatch-alerts-*"],
    }
    for name in ("wardwatch_worker", "wardwatch_events"):
        assert not {"all", "manage", "delete", "write", "read"} & privileges[name]
    assert "index" not in privileges["wardwatch_events"], "what is kept is not changed"
    assert privileges["wardwatch_identity"] == {"read"}
    assert [(path, body) for _, path, body in asked[2::2]] == [
        (f"/_security/user/{user}", {"password": f"synthetic-{secret}_password", "roles": [role]})
        for user, secret, role in (
            ("wardwatch", "wardwatch", "wardwatch_worker"),
            ("wardwatch_events", "events", "wardwatch_events"),
            ("wardwatch_identity", "identity", "wardwatch_identity"),
        )
    ]
    basic = base64.b64encode(b"elastic:synthetic-elastic_password").decode()
    assert {each.headers["authorization"] for each in elasticsearch.asked} == {f"Basic {basic}"}


@pytest.mark.parametrize("password", ["", 'a"b', "two words", "$(id)"])
def test_a_password_that_could_be_misread_is_refused_before_anything_is_asked(secrets: Path, password: str) -> None:
    (secrets / "wardwatch_password").write_text(password)
    with answering(lambda _: (200, {}, b"{}")) as elasticsearch:
        result = run_credentials(secrets, elasticsearch.url)
    assert result.returncode != 0
    assert (
        result.stderr == "secret wardwatch_password is empty or has other characters than letters, digits, . _ and -\n"
    )
    assert elasticsearch.asked == []


def test_users_that_are_refused_end_the_service(secrets: Path) -> None:
    with answering(lambda asked: (403 if "role" in asked.path else 200, {}, b"{}")) as elasticsearch:
        result = run_credentials(secrets, elasticsearch.url)
    assert result.returncode != 0
    assert "403" in result.stderr
    assert len(elasticsearch.asked) == 2
    assert "synthetic" not in result.stdout + result.stderr


# -- the processes


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


def test_the_passwords_that_the_guide_makes_are_ones_that_the_services_take(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    lines = re.findall(r"^    ((?:umask|for name) .*)$", guide, re.MULTILINE)
    assert len(lines) == 2
    subprocess.run(["sh", "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    made = sorted((tmp_path / "secrets").iterdir())
    assert [path.name for path in made] == sorted(Path(each["file"]).name for each in COMPOSE["secrets"].values())
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}, "Elasticsearch refuses any but 400 and 600"
    assert len({path.read_text() for path in made}) == len(made)
    assert all(len(path.read_text()) >= 24 for path in made)
    with answering(lambda _: (200, {}, b"{}")) as elasticsearch:
        assert run_credentials(tmp_path / "secrets", elasticsearch.url).returncode == 0
