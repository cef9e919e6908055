"""A certificate authority for tests, and what it signs: certificates that are right, and each kind of wrong.

X.509 on elliptic curves with what Python 3.13 asks for (RFC 5280, 4.2.1): the authority says what its key is for, and
each certificate says whose key signed it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "Issued"]

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Issued:
    certificate: Path
    key: Path
    both: Path  #: key and certificate in one file, as Kafka's PEM key store wants it


class Authority:
    """Signs for names; :attr:`file` is what those trust who trust it."""

    def __init__(self, folder: Path, name: str = "synthetic authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common(name)
        certificate = (
            self._builder(self._name, self._key.public_key(), (-2, 2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
        )
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self._signed(certificate))

    def issue(
        self, name: str, *, hosts: tuple[str, ...] = (), days: tuple[int, int] = (-1, 1), password: bytes = b""
    ) -> Issued:
        """``hosts``: names and addresses in it. ``days``: from and to, from now. ``password``: of the key file."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_common(name), key.public_key(), days)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        certificate = self._signed(builder)
        protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
        stem = name.replace(":", "_")
        files = [self._folder / f"{stem}.{kind}.pem" for kind in ("certificate", "key", "both")]
        for file, content in zip(files, (certificate, pem, pem + certificate), strict=True):
            file.write_bytes(content)
        return Issued(*files)

    def server(self, *hosts: str) -> ssl.SSLContext:
        """How a server of these names or addresses speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(hosts[0], hosts=hosts).both)
        return context

    def client(self, own: Issued | None = None) -> ssl.SSLContext:
        """How a client speaks that trusts this authority; ``own``: the certificate it shows.

        As strict as Python 3.13's is by default, whatever runs the test.
        """
        context = ssl.create_default_context(cafile=str(self.file))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if own:
            context.load_cert_chain(own.both)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
