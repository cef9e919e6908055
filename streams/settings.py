"""Every setting, from environment (``WARDWATCH_…``), a folder of secrets and one TOML file; the earlier wins."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from streams.receivers import AnyReceiver, ReceiverName, check_url
from streams.security import Security

__all__ = ["KafkaSecurity", "Login", "Settings"]


def producer_name(name: str) -> str:
    """``name``, where dead letters may show it in clear. Raises ValueError."""
    if not re.fullmatch(r"(?:[A-Za-z._-]|[0-9]{1,3}(?![0-9])){1,64}", name):
        raise ValueError(
            "a producer's name is letters, dots, dashes and at most three digits in a row, up to 64 in all"
        )
    return name


#: Of a kind that dead letters show in clear (:mod:`streams.deadletters`).
ProducerName = Annotated[str, AfterValidator(producer_name)]
Token = Annotated[SecretStr, Field(min_length=24, max_length=512)]


def _file() -> Path:
    """The settings file: the one that ``WARDWATCH_CONFIG`` names, else ``wardwatch.toml`` here if there is one.

    Raises SettingsError where the named one is missing.
    """
    named = os.environ.get("WARDWATCH_CONFIG")
    if named and not Path(named).is_file():
        raise SettingsError(f"WARDWATCH_CONFIG names {named}, which is no file: mend the path, or unset it")
    return Path(named or "wardwatch.toml")


def _secrets() -> list[str]:
    """The folder that ``WARDWATCH_SECRETS`` names: a file ``WARDWATCH_NAME`` in it sets what the variable would.

    Raises SettingsError where it is missing.
    """
    named = os.environ.get("WARDWATCH_SECRETS")
    if named and not Path(named).is_dir():
        raise SettingsError(f"WARDWATCH_SECRETS names {named}, which is no folder: mend the path, or unset it")
    return [named] if named else []


class Login(TypedDict):
    """Who asks Elasticsearch or Kibana: an API key, else a user and their password, else nobody."""

    api_key: str
    username: str
    password: str


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


class RuleContext(TypedDict):
    """What rules are read with, as :func:`detectors.rules.load` takes it."""

    lists: list[Path]
    pipelines: list[Path]


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
    elasticsearch_username: str = Field("", description="user, where there is no API key")
    elasticsearch_password: SecretStr = Field(SecretStr(""), description="the user's password")
    kibana: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="URL of Kibana, for setup; Elasticsearch's key or user serves it too",
    )
    kibana_space: str = Field("", pattern="^[a-z0-9_-]*$", description="id of the space of the dashboard")
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
    rule_lists: list[Path] = Field(
        default_factory=list, description="folders of lists that rules name: indicators, placeholders"
    )
    rule_pipelines: list[Path] = Field(
        default_factory=list, description="files of pySigma pipelines that fit your rules to the names of fields"
    )
    rules_url: str = Field(
        "", description="where people read a rule, an address with {path} or {id} in it, for links in alerts"
    )
    rule_matches_per_minute: int = Field(
        1000, ge=0, description="matches of one rule in one worker, past which it is quarantined; 0: no limit"
    )
    rule_seconds_per_minute: float = Field(
        6.0,
        ge=0,
        description="seconds a rule may take of a worker's minute before it is quarantined; 0: no limit",
    )
    ehr_zone: str = Field(
        "", description="IANA time zone of audit messages and HL7 v2 whose times have no offset; empty: refuse them"
    )
    sources: list[Path] = Field(default_factory=list, description="files or folders of TOML files that map tables")
    intake_tokens: dict[ProducerName, Token] = Field(
        default_factory=dict, description="who may send by HTTP: each producer's name and token"
    )
    embedded_store: bool = Field(default=True, description="keep alerts in the embedded store, for the console")
    events_index: bool = Field(default=False, description="keep events in Elasticsearch")
    events_store: bool = Field(default=True, description="keep events in a file, where events_index is false")
    events_sources: list[str] = Field(default_factory=list, description="names of sources whose events are kept")
    events_rules: list[Path] = Field(
        default_factory=list, description="Sigma rules on ECS fields, one of which an event must match to be kept"
    )
    events_sample: float = Field(1.0, ge=0, le=1, description="share of events that is kept")
    events_days: int = Field(90, ge=1, le=36_500, description="days that the file keeps an event")
    events_megabytes: int = Field(2048, ge=8, description="MB that the file's events may take; the oldest make room")
    events_zone: str = Field("UTC", description="IANA time zone of the hour and weekday kept with indexed events")
    events_metrics_port: int = Field(0, ge=0, le=65535, description="as metrics_port, of the worker that keeps events")
    events_heartbeat_url: SecretStr = Field(
        SecretStr(""), description="called each minute while a worker that keeps events is well"
    )
    receivers: dict[ReceiverName, AnyReceiver] = Field(
        default_factory=dict, description="where on-call is reached, by name"
    )
    private_hosts: list[str] = Field(
        default_factory=list, description="hosts inside your network that receivers may be at, as they name them"
    )
    proxy: SecretStr = Field(
        SecretStr(""), description="HTTP proxy through which receivers outside your network are asked"
    )
    public_url: str = Field(
        "", pattern=r"^(https?://[^\s#]+)?$", description="the web page as people on call reach it, for links"
    )
    stuck_after: float = Field(60.0, gt=0, description="seconds that one record may take; then the worker ends itself")
    idle_after: float = Field(5.0, gt=0, description="seconds after which a silent input stops holding time back")
    topic_check_interval: float = Field(30.0, gt=0, description="seconds between two looks whether topics are the same")
    watermark_interval: float = Field(1.0, gt=0, description="seconds between two watermarks")
    trouble_after: float = Field(
        120.0, gt=0, description="seconds that trouble must last until the pipeline alerts about itself"
    )
    lag_limit: int = Field(100_000, ge=0, description="records a worker's step may be behind; 0: never told")
    dead_letter_limit: int = Field(100, ge=0, description="dead letters of a worker in five minutes; 0: never told")
    quiet_after: float = Field(14_400.0, ge=0, description="seconds a source may be silent; 0: never told")
    skew_limit: float = Field(240.0, ge=0, description="seconds a source's or worker's clock may be off; 0: never told")
    heartbeat_url: SecretStr = Field(SecretStr(""), description="called each minute while a worker is well")
    metrics_port: int = Field(0, ge=0, le=65535, description="of a worker's Prometheus metrics; 0: none")
    metrics_address: str = Field("127.0.0.1", description="where metrics are served")
    log_format: Literal["text", "json"] = Field("text", description="how a worker logs")

    @field_validator("heartbeat_url", "events_heartbeat_url")
    @classmethod
    def _address(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("a heartbeat is an http:// or https:// address")
        return url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            NestedSecretsSettingsSource(file_secret_settings, secrets_dir=_secrets()),
            TomlConfigSettingsSource(settings_cls, toml_file=_file()),
        )

    @property
    def elasticsearch_login(self) -> Login:
        """For Elasticsearch, and for Kibana, which asks it who that is."""
        return {
            "api_key": self.elasticsearch_api_key.get_secret_value(),
            "username": self.elasticsearch_username,
            "password": self.elasticsearch_password.get_secret_value(),
        }

    @field_validator("proxy")
    @classmethod
    def _proxy_is_an_address(cls, proxy: SecretStr) -> SecretStr:
        if proxy.get_secret_value():
            check_url(proxy.get_secret_value())
        return proxy

    @model_validator(mode="after")
    def _receivers_are_reached_safely(self) -> Settings:
        """What a receiver's address alone tells; what its host resolves to is looked at whenever it is asked."""
        from streams.sinks.addresses import (  # noqa: PLC0415  # for this alone
            Addresses,
            AddressRefused,
            host_name,
            is_literal,
        )

        private = {host_name(host) for host in self.private_hosts}
        for name, receiver in self.receivers.items():
            host, clear = receiver.target
            field = "host" if receiver.kind == "email" else "url"
            if clear and host_name(host) not in private:
                raise ValueError(
                    f"receiver {name}, {field}: alerts go in the clear to hosts in private_hosts alone: use TLS, or "
                    f"add {host} there if it is inside your network"
                )
            if is_literal(host):
                try:
                    Addresses(self.private_hosts).check(host, host_name(host))
                except AddressRefused as exc:
                    raise ValueError(f"receiver {name}, {field}: {exc}") from exc
        return self

    @field_validator("rules_url")
    @classmethod
    def _rules_are_read_somewhere(cls, template: str) -> str:
        from detectors.rules.links import check_template  # noqa: PLC0415  # rules are heavy

        return check_template(template)

    @field_validator("ehr_zone", "events_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        from streams.sources.local_time import zone_named  # noqa: PLC0415  # nothing of it is needed but here

        zone_named(name)
        return name

    @property
    def of_events(self) -> Settings:
        """As the worker that keeps events has them: a consumer group of its own, and what watches it."""
        own = {
            "application": f"{self.application}.events",
            "metrics_port": self.events_metrics_port,
            "heartbeat_url": self.events_heartbeat_url,
        }
        return self.model_copy(update=own)

    @property
    def events_kept(self) -> bool:
        """Whether this installation is to keep events."""
        return self.events_index or self.events_store

    @property
    def security(self) -> Security:
        """How clients reach Kafka."""
        return self.kafka_security.security

    @property
    def store_path(self) -> Path:
        """The embedded store's file."""
        return self.home / "alerts.sqlite"

    @property
    def events_path(self) -> Path:
        """The embedded event store's file."""
        return self.home / "events.sqlite"

    @property
    def rule_context(self) -> RuleContext:
        return {
            "lists": [path.expanduser() for path in self.rule_lists],
            "pipelines": [path.expanduser() for path in self.rule_pipelines],
        }

    @property
    def home(self) -> Path:
        """The data folder, absolute."""
        return self.data_dir.expanduser().absolute()
