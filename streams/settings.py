"""Every setting, from environment (``WARDWATCH_…``) and one TOML file; the environment wins."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from detectors.base import Severity

__all__ = ["Receiver", "Settings"]


def _file() -> Path:
    """The settings file: the one that ``WARDWATCH_CONFIG`` names, else ``wardwatch.toml`` here if there is one.

    Raises SettingsError where the named one is missing.
    """
    named = os.environ.get("WARDWATCH_CONFIG")
    if named and not Path(named).is_file():
        raise SettingsError(f"WARDWATCH_CONFIG names {named}, which is no file: mend the path, or unset it")
    return Path(named or "wardwatch.toml")


class Receiver(BaseModel):
    """Where on-call is reached: one webhook."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern="^https?://", description="where alerts are posted")
    secret: SecretStr | None = Field(
        default=None,
        description="whsec_… to sign with, or several while one replaces another; else the installation's own key",
    )
    minimum_severity: Severity = Field(default="low", description="alerts below it are not sent")

    @field_validator("secret")
    @classmethod
    def _whole(cls, secret: SecretStr | None) -> SecretStr | None:
        """Refused here, so that nobody learns of it when the first alert is due."""
        from streams.sinks.webhook import decode_secret  # noqa: PLC0415  # an HTTP client, for this alone

        if secret is not None:
            decode_secret(secret.get_secret_value())
        return secret


class Settings(BaseSettings):
    """One worker's settings. Unknown keys in the file are refused, so that a typing error is seen."""

    model_config = SettingsConfigDict(env_prefix="WARDWATCH_", env_nested_delimiter="__", extra="forbid")

    kafka: str = Field(
        "127.0.0.1:8901", description="Kafka bootstrap servers, host:port, comma separated; as set, where up serves"
    )
    application: str = Field("wardwatch", description="consumer group, and prefix of transactional ids")
    partitions: int = Field(4, ge=1, le=512, description="partitions of every topic, fixed by setup")
    replication: int = Field(1, ge=1, le=7, description="replicas of every topic")
    session_timeout: float = Field(10.0, ge=1.5, description="seconds after which a dead worker's partitions move")
    data_dir: Path = Field(Path("~/.wardwatch"), description="keys, embedded store, embedded Kafka")
    elasticsearch: str = Field(
        "", pattern="^(https?://.+)?$", description="URL of Elasticsearch; empty: the embedded store alone"
    )
    elasticsearch_api_key: SecretStr = Field(SecretStr(""), description="API key, base64")
    pseudonym_key: SecretStr = Field(
        SecretStr(""),
        description="pseudonym keys, base64, oldest first with spaces between; empty: those in the folder",
    )
    pseudonym_key_command: str = Field("", description="command that prints them, run where pseudonym_key is empty")
    vault: bool = Field(default=True, description="keep who a pseudonym is, sealed, for wardwatch reveal")
    vault_private_key: SecretStr = Field(SecretStr(""), description="the vault's private key, base64, for reveal alone")
    vault_private_key_command: str = Field("", description="command that prints it")
    rotation_notice: float = Field(
        300.0, ge=1, description="seconds from the announcement of a pseudonym key to its start; everywhere the same"
    )
    rules: list[Path] = Field(
        default_factory=list, description="files or folders of Sigma rules, beside the starter pack"
    )
    embedded_store: bool = Field(default=True, description="keep alerts in the embedded store, for the console")
    receivers: dict[str, Receiver] = Field(default_factory=dict, description="webhooks by name")
    idle_after: float = Field(5.0, gt=0, description="seconds after which a silent input stops holding time back")
    topic_check_interval: float = Field(30.0, gt=0, description="seconds between two looks whether topics are the same")
    watermark_interval: float = Field(1.0, gt=0, description="seconds between two watermarks")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_file()))

    @property
    def store_path(self) -> Path:
        """The embedded store's file."""
        return self.home / "alerts.sqlite"

    @property
    def home(self) -> Path:
        """The data folder, absolute."""
        return self.data_dir.expanduser().absolute()
