"""The compose file against its specification, and against what the code reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import typer.main
from composed import COMPOSE, ENTRYPOINT, IMAGE, OURS, ROOT, SERVICES, copy_keys, secrets_of, volumes_of

from streams import cli
from streams.embedded import kafka as embedded
from streams.keys import load_keys, spare
from streams.settings import Settings
from streams.topics import ALL

#: What opens what is sealed.
PRIVATE = {"vault.private", "dead-letters.private"}


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
