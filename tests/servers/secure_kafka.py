"""Apache Kafka as it is in production: TLS, SASL and an authorizer that lets nobody do what no ACL allows.

One listener for each way in. The plain one is for tests to look behind the scenes: whoever comes there is a super
user, and no client of the product does. What the authorizer decided, and by which ACL, is in the log.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from authority import Authority
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from streams.embedded.java import free_port
from streams.embedded.kafka import EmbeddedKafka

__all__ = ["Decision", "SecureKafka"]

_LISTENERS = {"SASL_SSL": "SASL_SSL", "SCRAM_ONLY": "SASL_SSL", "SSL": "SSL", "WRONG_NAME": "SSL", "EXPIRED": "SSL"}
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"

#: What the authorizer writes of each decision.
_DECISION = re.compile(
    r"Principal = (\S+) is (Allowed|Denied) operation = (\w+) from host = \S+ on resource = (\w+):LITERAL:(\S+) "
    r"for request = (\w+) .*? based on rule (.*)"
)
_RULE = re.compile(r"resourceType=(\w+), resourceName=(\S+), patternType=(\w+),.*?operation=(\w+)")


class Decision(NamedTuple):
    principal: str
    allowed: bool
    operation: str
    resource: str
    name: str
    rule: tuple[str, str, str] | None  #: resource, name and operation of the ACL by which it was allowed


def _acl(matched: re.Match[str] | None) -> tuple[str, str, str] | None:
    if matched is None:
        return None
    kind, name, pattern, operation = matched.groups()
    resource, done = ("".join(word.capitalize() for word in text.split("_")) for text in (kind, operation))
    return resource, name + ("*" if pattern == "PREFIXED" else ""), done


class SecureKafka(EmbeddedKafka):
    """:attr:`bootstrap` is the plain listener; :meth:`at` gives the others by name, and any other name as it is."""

    def __init__(self, folder: Path, authority: Authority, *, session: float = 0, **kwargs: Any) -> None:
        """``session``: seconds after which whoever came by SCRAM must say anew who they are; 0: never."""
        super().__init__(folder, port=0, **kwargs)
        self._session = session
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = authority
        self._ports = {name: free_port() for name in _LISTENERS}
        self._read = 0

    def at(self, listener: str, host: str = "localhost") -> str:
        return f"{host}:{self._ports[listener]}" if listener in self._ports else listener

    def add_user(self, name: str, password: str, mechanism: str = "SCRAM-SHA-512") -> None:
        """A user for SCRAM. Those of PLAIN are in the settings: ``plain`` alone."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, ScramMechanism[mechanism.replace("-", "_")], password, 4096)]
            )
        finally:
            admin.close()

    def decisions(self) -> list[Decision]:
        """What the authorizer decided of the product's clients since this was last asked."""
        text = self.log.read_text(errors="replace")
        new, self._read = text[self._read :], len(text)
        found = []
        for principal, verdict, operation, resource, name, _, rule in _DECISION.findall(new):
            matched = _RULE.search(rule)
            if principal != "User:ANONYMOUS":
                found.append(Decision(principal, verdict == "Allowed", operation, resource, name, _acl(matched)))
        return found

    def _java(self, options: list[str], *args: Any) -> Any:
        return super()._java([*options, "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug"], *args)

    def _write_settings(self, name: str, data: str) -> None:
        super()._write_settings(name, data)
        file = self._folder / name
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines())
        right = self.authority.issue("broker", hosts=("localhost", "127.0.0.1"))
        for listener, port in self._ports.items():
            settings["listeners"] += f",{listener}://127.0.0.1:{port}"
            settings["advertised.listeners"] += f",{listener}://localhost:{port}"
            settings["listener.security.protocol.map"] += f",{listener}:{_LISTENERS[listener]}"
        stores = {
            "": right,
            "wrong_name": self.authority.issue("elsewhere", hosts=("kafka.hospital.example",)),
            "expired": self.authority.issue("expired", hosts=("localhost",), days=(-2, -1)),
        }
        for listener, issued in stores.items():
            prefix = f"listener.name.{listener}." if listener else ""
            settings |= {
                f"{prefix}ssl.keystore.type": "PEM",
                f"{prefix}ssl.keystore.location": str(issued.both),
                f"{prefix}ssl.truststore.type": "PEM",
                f"{prefix}ssl.truststore.location": str(self.authority.file),
            }
        settings |= {
            "listener.name.ssl.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "connection.failed.authentication.delay.ms": "0",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN,OAUTHBEARER",
        }
        prefix = "listener.name.sasl_ssl"
        settings |= {
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            f"{prefix}.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
            f"{prefix}.plain.sasl.jaas.config": f'{_PLAIN} required user_plain="plain-secret";',
            f"{prefix}.oauthbearer.sasl.jaas.config": f'{_BEARER} required unsecuredLoginStringClaim_sub="broker";',
            f"{prefix}.scram-sha-512.connections.max.reauth.ms": f"{self._session * 1000:.0f}",
            "listener.name.scram_only.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram_only.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
        }
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
