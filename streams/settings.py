"""Every setting, from environment (``WARDWATCH_…``) and one TOML file; the environment wins."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from detectors.base import Severity
from streams.security import Security

__all__ = ["KafkaSecurity", "Receiver", "Settings"]


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


class KafkaSecurity(BaseModel):
    """How Kafka is reached: :class:`streams.security.Security`, whose names and defaults these are."""

    model_config = ConfigDict(extra="forbid")

    protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    ca_file: str = Field("", description="PEM of the authorities that sign brokers' certificates; empty: the system's")
    certificate_file: str = Field("", description="PEM of this client's certificate, for mutual TLS")
    key_file: str = Field("", description="PEM of its key; empty: in certificate_file")
    key_password: SecretStr = Field(SecretStr(""), description="opens the key")
    key_password_file: str = Field("", description="a file that holds it")
    mechanism: str = Field("SCRAM-SHA-512", description="SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER")
    username: str = Field("", description="who this is, for SCRAM and PLAIN")
    password: SecretStr = Field(SecretStr(""), description="the password")
    password_file: str = Field("", description="a file that holds it")
    token_file: str = Field("", description="a file that holds an OAUTHBEARER token, read for every connection")
    token_command: str = Field("", description="a command that prints one")
    token_url: str = Field("", description="an OIDC token endpoint that gives one for client credentials")
    token_client: str = Field("", description="this client's id there")
    token_secret: SecretStr = Field(SecretStr(""), description="its secret there")
    token_secret_file: str = Field("", description="a file that holds it")
    token_scope: str = Field("", description="the scope to ask for")

    @model_validator(mode="after")
    def _whole(self) -> KafkaSecurity:
        """Refused here, so that every command says it, and says it before it asks Kafka."""
        _ = self.security
        return self

    @cached_property
    def security(self) -> Security:
        given: dict[str, Any] = dict(self)
        return Security(**{n: v.get_secret_value() if isinstance(v, SecretStr) else v for n, v in given.items()})


class Settings(BaseSettings):
    """One worker's settings. Unknown keys in the file are refused, so that a typing error is seen."""

    model_config = SettingsConfigDict(env_prefix="WARDWATCH_", env_nested_delimiter="__", extra="forbid")

    kafka: str = Field(
        "127.0.0.1:8901", description="Kafka bootstrap servers, host:port, comma separated; as set, where up serves"
    )
    kafka_security: KafkaSecurity = Field(
        default_factory=KafkaSecurity, description="TLS and SASL; see docs/kafka-security.md"
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
    def security(self) -> Security:
        """How clients reach Kafka."""
        return self.kafka_security.security

    @property
    def store_path(self) -> Path:
        """The embedded store's file."""
        return self.home / "alerts.sqlite"

    @property
    def home(self) -> Path:
        """The data folder, absolute."""
        return self.data_dir.expanduser().absolute()
