"""Why Kafka does not let a client in, in one sentence: what clients report as a timeout is told apart here.

:func:`look` speaks to a broker as any client does at first, byte by byte, for a few milliseconds: what it finds wrong
is certain. :func:`missing_permission` names the ACL that a refused request lacked.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from kafka.errors import KafkaError
from kafka.net.sasl import get_sasl_mechanism

from streams.security import Security
from streams.tokens import TokenError

__all__ = ["Refused", "look", "missing_permission", "not_allowed"]

#: Seconds that connecting, and each answer, may take before nothing is certain.
_PATIENCE = 3.0

_API_VERSIONS, _SASL_HANDSHAKE, _METADATA, _SASL_AUTHENTICATE = 18, 17, 3, 36
_ILLEGAL_SASL_STATE = 34
#: Kafka's error codes for what may not be done, which its clients give their errors as errno.
_NOT_AUTHORIZED = {29: "topic", 30: "group", 31: "cluster", 53: "transactional_id"}
#: First byte of a TLS alert (RFC 8446, section 5.1): what a TLS server answers to plain text.
_ALERT = 0x15

#: OpenSSL's codes for why a certificate is not accepted (x509_vfy.h).
_NAME_DIFFERS = (62, 64)
_NOT_YET_VALID, _EXPIRED, _REVOKED = 9, 10, 23
#: Alerts by which a broker refuses a client's certificate, as OpenSSL names them.
_CLIENT_CERTIFICATE = {
    "CERTIFICATE_REQUIRED": "asks for a client certificate: set certificate_file and key_file",
    "HANDSHAKE_FAILURE": "asks for a client certificate: set certificate_file and key_file",
    "BAD_CERTIFICATE": "refuses this client's certificate: get one from the authority that Kafka trusts",
    "UNKNOWN_CA": "does not trust this client's certificate: get one from the authority that Kafka trusts",
    "CERTIFICATE_UNKNOWN": "does not take this client's certificate: look whether it is expired, or of an authority "
    "that Kafka does not trust",
    "CERTIFICATE_EXPIRED": "refuses this client's certificate, which is expired: get a new one",
    "CERTIFICATE_REVOKED": "refuses this client's certificate, which is revoked: get a new one",
    "UNSUPPORTED_CERTIFICATE": "refuses this client's certificate: get one for client authentication",
}


class Refused(KafkaError):  # type: ignore[misc]
    """Kafka does not let this client in, or not do what it asked. The message is one sentence."""

    def __str__(self) -> str:  # kafka-python's begins with the name of the class
        return str(self.args[0])


class _Broken(Exception):
    """The other side ended the connection instead of answering."""


class _Wire(Protocol):
    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...


class _Broker(NamedTuple):
    name: str
    host: str
    port: int


def look(servers: str, security: Security) -> None:
    """Raise Refused where the first of ``servers`` that can be reached will certainly not serve this client.

    ``servers``: as in the setting ``kafka``. Returns where all is well, and where nobody answers: clients wait for
    that.
    """
    for broker in _brokers(servers):
        try:
            with socket.create_connection((broker.host, broker.port), timeout=_PATIENCE) as connection:
                _knock(broker, connection, security)
                return
        except _Broken:
            return
        except OSError:
            continue  # the next may be there


def _brokers(servers: str) -> list[_Broker]:
    """Raises Refused on an address without a port."""
    brokers = []
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            raise Refused(f"{server.strip()!r} is no address of a broker: write host:port")
        brokers.append(_Broker(server.strip(), host.strip("[]"), int(port)))
    return brokers


def _knock(broker: _Broker, connection: socket.socket, security: Security) -> None:
    if security.tls:
        with _shake_hands(broker, connection, security) as encrypted:
            _converse(broker, encrypted, security)
    else:
        _converse(broker, connection, security)


def _shake_hands(broker: _Broker, connection: socket.socket, security: Security) -> ssl.SSLSocket:
    try:
        return security.context.wrap_socket(connection, server_hostname=broker.host)
    except ssl.SSLCertVerificationError as exc:
        raise Refused(_certificate(broker, security, exc)) from exc
    except ssl.SSLError as exc:
        raise Refused(_alert(broker, security, exc) or _no_tls(broker, security)) from exc
    except (ConnectionError, TimeoutError) as exc:
        raise Refused(_no_tls(broker, security)) from exc


def _no_tls(broker: _Broker, security: Security) -> str:
    plain = "PLAINTEXT" if security.protocol == "SSL" else "SASL_PLAINTEXT"
    return (
        f"{broker.name} speaks no TLS where protocol is {security.protocol}: name the port of its TLS listener, or set "
        f"protocol {plain}"
    )


def _certificate(broker: _Broker, security: Security, exc: ssl.SSLCertVerificationError) -> str:
    if exc.verify_code in _NAME_DIFFERS:
        return (
            f"the certificate of {broker.name} is for another name: write the name that is in it into the setting "
            "kafka, or have one made for this name"
        )
    if exc.verify_code == _EXPIRED:
        return f"the certificate of {broker.name} is expired: have it renewed, or look whether the clock here is right"
    if exc.verify_code == _NOT_YET_VALID:
        return f"the certificate of {broker.name} is not valid yet: look whether the clock here is right"
    if exc.verify_code == _REVOKED:
        return f"the certificate of {broker.name} is revoked: have a new one made"
    by = security.ca_file or "the system's authorities"
    return (
        f"the certificate of {broker.name} is not trusted by {by} ({exc.verify_message}): name in ca_file the "
        "authority that signed it"
    )


def _alert(broker: _Broker, security: Security, exc: ssl.SSLError) -> str:
    """What the broker said of our certificate or our TLS; empty where it said nothing of the kind."""
    reason = exc.reason or ""
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return f"{broker.name} speaks no TLS of version 1.2 or later: mend ssl.enabled.protocols there"
    said = [words for name, words in _CLIENT_CERTIFICATE.items() if reason.endswith(f"ALERT_{name}")]
    return f"{broker.name} {said[0]}" if said else ""


def _converse(broker: _Broker, wire: _Wire, security: Security) -> None:
    try:
        _ask(wire, _API_VERSIONS, 0, b"")
    except ssl.SSLError as exc:  # with TLS 1.3 a client's certificate is refused after the handshake
        if said := _alert(broker, security, exc):
            raise Refused(said) from exc
        raise _Broken from exc
    except (_Broken, ConnectionError) as exc:
        if security.tls:
            raise _Broken from exc
        raise Refused(
            f"{broker.name} does not speak Kafka without TLS: set protocol "
            f"{'SASL_SSL' if security.sasl else 'SSL'} in kafka_security, or name its plaintext port"
        ) from exc
    if security.sasl:
        _introduce(broker, wire, security)
    else:
        try:
            _ask(wire, _METADATA, 4, struct.pack(">ib", 0, 0))  # no topics, no creation
        except (_Broken, ConnectionError) as exc:
            secured = "SASL_SSL" if security.tls else "SASL_PLAINTEXT"
            raise Refused(
                f"{broker.name} asks who this is where protocol is {security.protocol}: set protocol {secured}, a "
                "username and a password_file in kafka_security"
            ) from exc


def _introduce(broker: _Broker, wire: _Wire, security: Security) -> None:
    mechanism = security.mechanism.encode()
    answer = _ask(wire, _SASL_HANDSHAKE, 1, struct.pack(">h", len(mechanism)) + mechanism)
    error, count = struct.unpack_from(">hi", answer)
    if error == _ILLEGAL_SASL_STATE:
        plain = "SSL" if security.tls else "PLAINTEXT"
        raise Refused(
            f"{broker.name} asks nobody who they are where protocol is {security.protocol}: set protocol {plain}, or "
            "name the port of its SASL listener"
        )
    if error:
        known, at = [], 6
        for _ in range(count):
            (size,) = struct.unpack_from(">h", answer, at)
            known.append(answer[at + 2 : at + 2 + size].decode("ascii", "replace"))
            at += 2 + size
        raise Refused(
            f"{broker.name} knows no {security.mechanism}: set mechanism to one it has ({', '.join(known) or 'none'})"
        )
    try:
        _authenticate(broker, wire, security)
    except TokenError as exc:
        raise Refused(str(exc)) from exc


def _authenticate(broker: _Broker, wire: _Wire, security: Security) -> None:
    """By kafka-python's own mechanisms, whose client would only try again until its time is up."""
    mechanism = get_sasl_mechanism(security.mechanism)(host=broker.host, **security.kafka_python())
    while not mechanism.is_done():
        said = mechanism.auth_bytes()
        answer = _ask(wire, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(said)) + said)
        error, size = struct.unpack_from(">hh", answer)
        if error:
            raise Refused(_no_entry(broker, security))
        try:
            mechanism.receive(answer[max(size, 0) + 8 :])
        except ValueError as exc:
            raise Refused(
                f"{broker.name} does not prove that it knows {security.username}'s password: look what answers there"
            ) from exc
    if not mechanism.is_authenticated():
        raise Refused(_no_entry(broker, security))


def _no_entry(broker: _Broker, security: Security) -> str:
    if security.mechanism == "OAUTHBEARER":
        return f"{broker.name} does not accept the token: look whether it is expired, and whether it is meant for Kafka"
    return (
        f"{broker.name} does not accept {security.username} and the password ({security.mechanism}): mend username or "
        "password_file, or have that user made in Kafka for this mechanism"
    )


def _ask(wire: _Wire, api: int, version: int, body: bytes) -> bytes:
    """The body of the answer to one request, by Kafka's protocol guide. Raises _Broken where it is none."""
    request = struct.pack(">hhih", api, version, 1, -1) + body
    wire.sendall(struct.pack(">i", len(request)) + request)
    head = _read(wire, 8)
    size, correlation = struct.unpack(">ii", head)
    if head[0] == _ALERT or correlation != 1 or not 4 <= size < 1 << 20:
        raise _Broken
    return _read(wire, size - 4)


def _read(wire: _Wire, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = wire.recv(size - len(data))
        if not part:
            raise _Broken
        data += part
    return data


def missing_permission(exc: BaseException, client: Mapping[str, Any], **asked: str) -> str:
    """The ACL whose absence ``exc`` tells of; empty where it tells of something else.

    ``client``: the connection settings, for who asked. ``asked``: what was, of ``topic``, ``group``, ``cluster`` or
    ``transactional_id``, as an ACL names it: ``topic="Write Topic events"``.
    """
    permission = asked.get(_NOT_AUTHORIZED.get(getattr(exc, "errno", None) or 0, ""))
    return not_allowed(client.get("sasl_plain_username"), [permission]) if permission else ""


def not_allowed(username: str | None, permissions: Iterable[str]) -> str:
    """One sentence for ACLs that are missing. ``username``: None where Kafka knows this client by something else."""
    who = f"User:{username}" if username else "this client"
    return f"Kafka does not let {who} {', '.join(permissions)}: have that allowed (deploy/kafka/acls.toml has all ACLs)"
