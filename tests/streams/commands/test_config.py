"""What ``config`` tells: values, where they are from, what is no setting; and never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams import cli
from streams.settings import Settings

SECRET = "c3ludGhldGljLXNlY3JldC1vZi1hLXRlc3Q="  # synthetic


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing set in it or in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARDWATCH_DATA_DIR", raising=False)
    return tmp_path


def told(*arguments: str) -> tuple[int, dict[str, Any], str]:
    result = CliRunner().invoke(cli.app, ["config", "--json", *arguments])
    return result.exit_code, json.loads(result.stdout), result.stderr


def test_every_setting_is_told_with_its_default(place: Path) -> None:
    code, found, _ = told()
    assert (code, found["unknown"]) == (0, [])
    names = [one["name"].partition("__")[0] for one in found["settings"]]
    assert list(dict.fromkeys(names)) == list(Settings.model_fields)
    assert {one["origin"] for one in found["settings"]} == {"default"}


def test_each_tells_where_it_is_from(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "secrets").mkdir()
    (place / "secrets" / "wardwatch_elasticsearch_api_key").write_text(SECRET)
    (place / "wardwatch.toml").write_text(
        'kafka = "toml:9092"\npartitions = 12\n[receivers.oncall]\nurl = "https://oncall.example/hook/token"\n'
    )
    monkeypatch.setenv("WARDWATCH_SECRETS", str(place / "secrets"))
    monkeypatch.setenv("WARDWATCH_KAFKA", "environment:9092")
    monkeypatch.setenv("WARDWATCH_RECEIVERS__ONCALL__SECRET", f"whsec_{SECRET}")
    _, found, _ = told()
    by_name = {one["name"]: (one["value"], one["origin"]) for one in found["settings"]}
    assert by_name["kafka"] == ("environment:9092", "WARDWATCH_KAFKA")
    assert by_name["partitions"] == (12, "wardwatch.toml")
    assert by_name["elasticsearch_api_key"] == ("***", str(place / "secrets" / "wardwatch_elasticsearch_api_key"))
    assert by_name["receivers__oncall__url"] == ("https://oncall.example/***", "wardwatch.toml")
    assert by_name["receivers__oncall__secret"] == ("***", "WARDWATCH_RECEIVERS__ONCALL__SECRET")
    assert by_name["receivers__oncall__minimum_severity"] == ("low", "default")
    assert by_name["application"] == ("wardwatch", "default")


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_is_ever_told(place: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    secret = "synthetic-hidden-value"
    for name in ("ELASTICSEARCH_API_KEY", "ELASTICSEARCH_PASSWORD", "KAFKA_SECURITY__PASSWORD"):
        monkeypatch.setenv(f"WARDWATCH_{name}", secret)
    monkeypatch.setenv("WARDWATCH_KAFKA_SECURITY__PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("WARDWATCH_KAFKA_SECURITY__USERNAME", "soc")
    monkeypatch.setenv("WARDWATCH_ELASTICSEARCH", f"https://soc:{secret}@store.example:9200")
    monkeypatch.setenv("WARDWATCH_KIBANA", f"https://soc:{secret}@kibana.example/base")
    monkeypatch.setenv(
        "WARDWATCH_RECEIVERS", json.dumps({"a": {"url": f"https://hooks.example/T0/{secret}?k={secret}"}})
    )
    result = CliRunner().invoke(cli.app, ["config", *(["--json"] if as_json else [])])
    assert result.exit_code == 0
    assert secret not in result.output
    for shown in ("https://***@store.example:9200", "https://***@kibana.example/base", "https://hooks.example/***"):
        assert shown in result.stdout


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("WARDWATCH_PARTITONS", "WARDWATCH_PARTITIONS"),
        ("WARDWATCH_ELASTIC_SEARCH", "WARDWATCH_ELASTICSEARCH"),
        ("WARDWATCH_RECEIVER__ONCALL__URL", "WARDWATCH_RECEIVERS__ONCALL__URL"),
        ("WARDWATCH_XYZZY", ""),
    ],
)
def test_a_name_that_is_none_is_told_with_the_nearest(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "4")
    code, found, stderr = told()
    assert code == 1
    assert found["unknown"] == [{"name": name, "origin": "environment", "nearest": nearest}]
    meant = f": did you mean {nearest}" if nearest else ""
    assert stderr == f"wardwatch: {name} in environment is no setting{meant}\n"


def test_one_in_a_file_of_secrets_or_in_the_settings_file_is_told_too(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "secrets").mkdir()
    (place / "secrets" / "WARDWATCH_ELASTICSEARCH_PASSWORT").write_text("x")
    (place / "wardwatch.toml").write_text("partition = 4")
    monkeypatch.setenv("WARDWATCH_SECRETS", str(place / "secrets"))
    result = CliRunner().invoke(cli.app, ["config"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"wardwatch: WARDWATCH_ELASTICSEARCH_PASSWORT in {place / 'secrets'} is no setting: "
        "did you mean WARDWATCH_ELASTICSEARCH_PASSWORD",
        "wardwatch: partition in wardwatch.toml is no setting: did you mean partitions",
    ]


def test_names_that_others_read_are_none_of_these(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHON", "TEST_KAFKA", "TEST_DATA", "LONG", "PARENT"):
        monkeypatch.setenv(f"WARDWATCH_{name}", "x")
    assert told()[0] == 0
