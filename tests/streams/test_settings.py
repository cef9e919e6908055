"""Where settings come from, and which wins."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError
from receiving import receiving

from streams.settings import Settings
from streams.sinks.elasticsearch import Elasticsearch, StoreUnavailable


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of secrets, beside nothing else that is set."""
    monkeypatch.chdir(tmp_path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    monkeypatch.setenv("WARDWATCH_SECRETS", str(secrets))
    return secrets


def test_a_file_of_secrets_sets_what_its_variable_would(folder: Path) -> None:
    (folder / "wardwatch_elasticsearch_password").write_text("of the store\n")
    (folder / "WARDWATCH_RECEIVERS__ONCALL__URL").write_text("https://oncall.example/hook\n")
    (folder / "of_another_program").write_text("not ours")
    settings = Settings()
    assert settings.elasticsearch_password.get_secret_value() == "of the store"
    assert settings.receivers["oncall"].url == "https://oncall.example/hook"


def test_the_environment_wins_over_secrets_and_they_over_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("wardwatch.toml").write_text('kafka = "toml:1"\napplication = "toml"\nkibana_space = "toml"')
    (folder / "wardwatch_kafka").write_text("secret:1")
    (folder / "wardwatch_application").write_text("secret")
    monkeypatch.setenv("WARDWATCH_KAFKA", "environment:1")
    settings = Settings()
    assert (settings.kafka, settings.application, settings.kibana_space) == ("environment:1", "secret", "toml")


def test_a_folder_of_secrets_that_is_missing_is_told(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(SettingsError, match=r"WARDWATCH_SECRETS names .*secrets, which is no folder: mend the path"):
        Settings()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"elasticsearch_username": "soc", "elasticsearch_password": "p"}, b"Basic " + base64.b64encode(b"soc:p")),
        ({"elasticsearch_username": "soc", "elasticsearch_api_key": "a2V5"}, b"ApiKey a2V5"),
        ({}, None),
    ],
)
async def test_elasticsearch_is_asked_as_whom_settings_say(given: dict[str, str], sent: bytes | None) -> None:
    settings = Settings.model_validate(given)
    with receiving(lambda _: (401, {"x-elastic-product": "Elasticsearch"}, b"{}")) as receiver:
        store = Elasticsearch(receiver.url.removesuffix("/hook"), **settings.elasticsearch_login)
        with pytest.raises(StoreUnavailable):
            await store.set_up()
        await store.close()
    assert receiver.received[0].headers.get("authorization") == (sent.decode() if sent else None)


def test_an_address_of_rules_that_names_none_is_refused(folder: Path) -> None:
    Settings(rules_url="https://git.hospital.example/rules/{path}")
    for template in ("https://git.hospital.example/rules", "javascript:{id}", "https://git.hospital.example/{title}"):
        with pytest.raises(ValidationError, match="rules_url"):
            Settings(rules_url=template)
