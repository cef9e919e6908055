"""How a client reaches a Kafka that is secured, told once: TLS, SASL and tokens, as each Kafka client wants them.

    Security(protocol="SASL_SSL", ca_file="ca.pem", username="pump-gateway", password_file="/run/secrets/kafka")

Part of the base install: it needs nothing but the Kafka client that is asked for. Server certificates are always
verified, with their names; no setting turns that off, and none sends a password or a token unencrypted.
"""

from __future__ import annotations

import os
import shlex
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from streams.tokens import Credentials, TokenSource, from_command, from_endpoint, from_file

__all__ = ["MECHANISMS", "PROTOCOLS", "Security", "read_secret"]

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")


@dataclass(frozen=True, kw_only=True)
class Security:
    """The settings, by Kafka's own names where there are any; see ``docs/kafka-security.md``.

    Raises ValueError, in one sentence, on settings that contradict each other or files that cannot be read.
    """

    #: Of each field, how the environment names it.
    PREFIX: ClassVar[str] = "WARDWATCH_KAFKA_SECURITY__"

    protocol: str = "PLAINTEXT"  #: one of PROTOCOLS
    ca_file: str = ""  #: PEM of the authorities that sign brokers' certificates; empty: those of the system
    certificate_file: str = ""  #: PEM of this client's certificate and its chain, for mutual TLS
    key_file: str = ""  #: PEM of its key; empty: in ``certificate_file``
    key_password: str = field(default="", repr=False)
    key_password_file: str = ""
    mechanism: str = "SCRAM-SHA-512"  #: one of MECHANISMS; with SASL alone
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    token_file: str = ""  #: holds an OAUTHBEARER token; read again for every connection
    token_command: str = ""  #: prints one; run without a shell
    token_url: str = ""  #: OIDC token endpoint that gives one for client credentials (RFC 6749, section 4.4)
    token_client: str = ""  #: this client's id there
    token_secret: str = field(default="", repr=False)
    token_secret_file: str = ""
    token_scope: str = ""

    def __post_init__(self) -> None:
        self._check()
        if self.tls:
            _ = self.context
        if self.sasl:
            _ = self.tokens if self.mechanism == "OAUTHBEARER" else self._password

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Security:
        """Those of the table ``kafka_security`` in the settings file, and of the environment, which wins.

        What a service without the server's settings uses; the names are the same. Raises ValueError.
        """
        environment = os.environ if environment is None else environment
        file = Path(environment.get("WARDWATCH_CONFIG") or "wardwatch.toml")
        table = tomllib.loads(file.read_text("utf-8")).get("kafka_security", {}) if file.is_file() else {}
        given = {
            name.removeprefix(cls.PREFIX).lower(): v for name, v in environment.items() if name.startswith(cls.PREFIX)
        }
        settings = {**table, **given}
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise ValueError(f"kafka_security has no setting {', '.join(unknown)}: it has {', '.join(sorted(known))}")
        return cls(**settings)

    @property
    def tls(self) -> bool:
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @property
    def principal(self) -> str:
        """Who Kafka takes this client for, as ACLs name it, where that can be known here; else empty."""
        return f"User:{self.username}" if self.sasl and self.mechanism != "OAUTHBEARER" else ""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Verifies the broker and its name, TLS 1.2 or later; carries this client's certificate where there is one."""
        context = _trusting(self.ca_file)
        if self.certificate_file:
            key_password = read_secret("key_password", self.key_password, self.key_password_file)
            try:
                # Always a callable: without one OpenSSL would ask at the terminal, and a service has none.
                context.load_cert_chain(self.certificate_file, self.key_file or None, lambda: key_password)
            except ssl.SSLError as exc:
                named = self.key_file or self.certificate_file
                if exc.reason == "KEY_VALUES_MISMATCH":
                    raise ValueError(f"the key in {named} is not that of certificate_file: name its own") from exc
                raise ValueError(
                    f"the key in {named} does not open: look whether it is one in PEM form, and mend key_password"
                ) from exc
            except OSError as exc:
                raise ValueError(_unreadable(self.certificate_file, exc)) from exc
        return context

    @cached_property
    def tokens(self) -> TokenSource:
        """Where OAUTHBEARER tokens come from. One for all connections of a process."""
        if self.token_file:
            return TokenSource(from_file(Path(self.token_file)), reuse=False)
        if self.token_command:
            return TokenSource(from_command(shlex.split(self.token_command)))
        secret = read_secret("token_secret", self.token_secret, self.token_secret_file)
        credentials = Credentials(self.token_client, secret, self.token_scope)
        return TokenSource(from_endpoint(self.token_url, credentials, _trusting(self.ca_file, beside_system=True)))

    def kafka_python(self) -> dict[str, Any]:
        """Connection settings of kafka-python's clients."""
        client: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            client["ssl_context"] = self.context
        if self.sasl:
            client |= self._sasl()
            if self.mechanism == "OAUTHBEARER":
                from streams.token_providers import for_kafka_python  # noqa: PLC0415  # where it is wanted

                client["sasl_oauth_token_provider"] = for_kafka_python(self.tokens)
        return client

    def aiokafka(self) -> dict[str, Any]:
        """Connection settings of aiokafka's clients."""
        client: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            client["ssl_context"] = self.context
        if self.sasl:
            client |= self._sasl()
            if self.mechanism == "OAUTHBEARER":
                from streams.token_providers import for_aiokafka  # noqa: PLC0415  # the server's install alone has it

                client["sasl_oauth_token_provider"] = for_aiokafka(self.tokens)
        return client

    def faust(self) -> Any:
        """Faust's ``broker_credentials``; None where there are none."""
        import faust  # noqa: PLC0415  # the server's install alone has it

        context = self.context if self.tls else None
        if self.sasl:
            if self.mechanism == "OAUTHBEARER":
                from faust.auth import OAuthCredentials  # noqa: PLC0415

                from streams.token_providers import for_aiokafka  # noqa: PLC0415

                return OAuthCredentials(oauth_cb=for_aiokafka(self.tokens), ssl_context=context)
            return faust.SASLCredentials(
                username=self.username, password=self._password, mechanism=self.mechanism, ssl_context=context
            )
        return faust.SSLCredentials(context) if self.tls else None

    def _sasl(self) -> dict[str, Any]:
        if self.mechanism == "OAUTHBEARER":
            return {"sasl_mechanism": self.mechanism}
        return {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self._password,
        }

    @cached_property
    def _password(self) -> str:
        return read_secret("password", self.password, self.password_file)

    def _check(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol {self.protocol!r} is none of {', '.join(PROTOCOLS)}")
        if self.mechanism not in MECHANISMS:
            raise ValueError(f"mechanism {self.mechanism!r} is none of {', '.join(MECHANISMS)}")
        if not self.tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ValueError(f"certificates are set, and protocol {self.protocol} uses none: set SSL or SASL_SSL")
        if not self.sasl and (self.username or self._has_token):
            raise ValueError(f"a name or a token is set, and protocol {self.protocol} sends none: set SASL_SSL")
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file is set without certificate_file: name the certificate that belongs to it")
        if self.sasl:
            self._check_sasl()

    def _check_sasl(self) -> None:
        if not self.tls and not self.mechanism.startswith("SCRAM"):
            raise ValueError(f"{self.mechanism} over {self.protocol} would send a secret unencrypted: set SASL_SSL")
        if self.mechanism == "OAUTHBEARER":
            if sum(map(bool, (self.token_file, self.token_command, self.token_url))) != 1:
                raise ValueError("OAUTHBEARER takes its token from one place: token_file, token_command or token_url")
            if self.token_url and not self.token_client:
                raise ValueError("token_url is set without token_client: name this client as the token endpoint does")
        elif not self.username:
            raise ValueError(f"{self.mechanism} needs a username")
        elif self._has_token:
            raise ValueError(f"a token is set, and {self.mechanism} uses none: set mechanism OAUTHBEARER")

    @property
    def _has_token(self) -> bool:
        return bool(self.token_file or self.token_command or self.token_url)


def read_secret(name: str, value: str, file: str) -> str:
    """``value``, or the first line of ``file``. Raises ValueError where both or neither say anything."""
    if value and file:
        raise ValueError(f"{name} and {name}_file are both set: take one out")
    if not file:
        return value
    try:
        secret = Path(file).expanduser().read_text("utf-8").split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(_unreadable(file, exc)) from exc
    if not secret:
        raise ValueError(f"{file} is empty where {name}_file names it: write the secret into it")
    return secret


def _trusting(ca_file: str, *, beside_system: bool = False) -> ssl.SSLContext:
    """A context that verifies servers by ``ca_file``, by the system's authorities where there is none, or by both."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        if beside_system:
            context.load_default_certs()
    except ssl.SSLError as exc:
        raise ValueError(f"{ca_file} holds no certificates in PEM form: mend ca_file") from exc
    except OSError as exc:
        raise ValueError(_unreadable(ca_file, exc)) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unreadable(file: str, exc: Exception) -> str:
    return f"{file} cannot be read ({getattr(exc, 'strerror', None) or 'it is no text'}): mend the path or its rights"
