"""Every setting, from environment (``WARDWATCH_…``) and one TOML file; the environment wins."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from streams.receivers import AnyReceiver, ReceiverName, check_url

__all__ = ["Settings"]


def _file() -> Path:
    """The settings file: the one that ``WARDWATCH_CONFIG`` names, else ``wardwatch.toml`` here if there is one.

    Raises SettingsError where the named one is missing.
    """
    named = os.environ.get("WARDWATCH_CONFIG")
    if named and not Path(named).is_file():
        raise SettingsError(f"WARDWATCH_CONFIG names {named}, which is no file: mend the path, or unset it")
    return Path(named or "wardwatch.toml")


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
    rules: list[Path] = Field(
        default_factory=list, description="files or folders of Sigma rules, beside the starter pack"
    )
    embedded_store: bool = Field(default=True, description="keep alerts in the embedded store, for the console")
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

    @property
    def store_path(self) -> Path:
        """The embedded store's file."""
        return self.home / "alerts.sqlite"

    @property
    def home(self) -> Path:
        """The data folder, absolute."""
        return self.data_dir.expanduser().absolute()
