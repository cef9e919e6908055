"""Settings of a secured Kafka: what each client gets, what is refused before anybody is asked, what stays secret."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from pydantic import SecretStr, ValidationError

from streams.commands.terminal import sentences
from streams.permissions import Acl, roles
from streams.security import MECHANISMS, PROTOCOLS, Security
from streams.settings import KafkaSecurity, Settings

SCRAM = {"protocol": "SASL_SSL", "username": "synthetic", "password": "secret"}
TOKEN = {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_services_and_the_server_have_the_same_settings() -> None:
    """One is read by the standard library alone, the other by pydantic: same names, same defaults."""
    server = {
        name: (v.get_secret_value() if isinstance(v := f.default, SecretStr) else v)
        for name, f in KafkaSecurity.model_fields.items()
    }
    assert server == {f.name: f.default for f in fields(Security) if f.default is not MISSING}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"protocol": "TLS"}, "'TLS' is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ({**SCRAM, "mechanism": "GSSAPI"}, "'GSSAPI' is none of SCRAM-SHA-512"),
        ({"ca_file": "x"}, "protocol PLAINTEXT uses none: set SSL or SASL_SSL"),
        ({"username": "x"}, "protocol PLAINTEXT sends none: set SASL_SSL"),
        ({"protocol": "SSL", "username": "x"}, "protocol SSL sends none"),
        ({"protocol": "SSL", "key_file": "x"}, "key_file is set without certificate_file"),
        ({**SCRAM, "protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN"}, "would send a secret unencrypted"),
        ({**TOKEN, "protocol": "SASL_PLAINTEXT", "token_file": "x"}, "would send a secret unencrypted"),
        ({"protocol": "SASL_SSL"}, "SCRAM-SHA-512 needs a username"),
        ({**SCRAM, "token_file": "x"}, "SCRAM-SHA-512 uses none: set mechanism OAUTHBEARER"),
        (TOKEN, "from one place: token_file, token_command or token_url"),
        ({**TOKEN, "token_file": "x", "token_command": "y"}, "from one place"),
        ({**TOKEN, "token_url": "https://x"}, "token_url is set without token_client"),
        ({**TOKEN, "token_url": "http://x", "token_client": "y"}, "token_url http://x is not https"),
        ({**SCRAM, "password_file": "x"}, "password and password_file are both set: take one out"),
        ({**SCRAM, "password": "", "password_file": "/nowhere"}, "/nowhere cannot be read (No such file"),
        ({"protocol": "SSL", "ca_file": "/nowhere"}, "/nowhere cannot be read (No such file"),
        ({"protocol": "SSL", "ca_file": __file__}, "holds no certificates in PEM form: mend ca_file"),
        ({"protocol": "SSL", "certificate_file": "/nowhere"}, "/nowhere cannot be read (No such file"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_cannot_work_is_refused_before_kafka_is_asked(
    given: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        Security(**given)
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(f"WARDWATCH_KAFKA_SECURITY__{name.upper()}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    (sentence,) = sentences(refused.value)
    assert sentence.startswith("setting WARDWATCH_KAFKA_SECURITY: ")
    assert reason in sentence


def test_a_key_and_its_password(authority: Authority) -> None:
    locked = authority.issue("locked", password=b"key-secret")
    other = authority.issue("other")
    mutual = {"protocol": "SSL", "ca_file": str(authority.file), "certificate_file": str(locked.certificate)}
    assert Security(**mutual, key_file=str(locked.key), key_password="key-secret").kafka_python()["ssl_context"]
    for given, mend in [
        ({"key_file": str(locked.key), "key_password": "wrong"}, "mend key_password"),
        ({"key_file": str(locked.key)}, "mend key_password"),  # and nobody is asked at the terminal
        ({"key_file": str(other.key)}, "is not that of certificate_file: name its own"),
        ({"key_file": str(locked.certificate)}, "look whether it is one in PEM form"),
    ]:
        with pytest.raises(ValueError, match=mend):
            Security(**mutual, **given)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_all_three_clients_are_told_the_same(protocol: str, mechanism: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"protocol": protocol}
    if "SASL" in protocol:
        if protocol == "SASL_PLAINTEXT" and not mechanism.startswith("SCRAM"):
            return
        token = {"token_file": str(tmp_path / "token")}
        given |= {"mechanism": mechanism} | (token if mechanism == "OAUTHBEARER" else {**SCRAM, "protocol": protocol})
    security = Security(**given)
    ours, theirs, faust = security.kafka_python(), security.aiokafka(), security.faust()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"sasl_oauth_token_provider"}:
        assert ours[name] is theirs[name] or ours[name] == theirs[name]
    assert ours["security_protocol"] == protocol
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    told = dict(credentials_to_aiokafka_auth(faust))
    context = told.pop("ssl_context", None)
    assert context is theirs.get("ssl_context")
    for name in told.keys() - {"sasl_oauth_token_provider"}:
        assert told[name] == theirs[name]
    assert told.keys() | {"ssl_context"} == theirs.keys() | {"ssl_context"}


def test_certificates_and_names_are_always_verified() -> None:
    for security in (Security(protocol="SSL"), Security(**SCRAM)):
        assert security.context.check_hostname
        assert security.context.verify_mode.name == "CERT_REQUIRED"
        assert security.context.minimum_version.name == "TLSv1_2"
    assert not {name for name in inspect.signature(Security).parameters if "verify" in name or "check" in name}


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-file-secret\r\nrest")
    security = Security(**SCRAM, token_secret="secret", key_password="secret")
    shown = f"{security} {security!r} {KafkaSecurity(**SCRAM)} {KafkaSecurity(**SCRAM).model_dump()}"
    assert "secret'" not in shown.replace("_secret'", "")
    assert security.kafka_python()["sasl_plain_password"] == "secret"
    filed = Security(protocol="SASL_SSL", username="x", password_file=str(tmp_path / "password"))
    assert filed.kafka_python()["sasl_plain_password"] == "from-file-secret"
    (tmp_path / "password").write_text("")
    with pytest.raises(ValueError, match="is empty where password_file names it"):
        Security(protocol="SASL_SSL", username="x", password_file=str(tmp_path / "password"))


def test_a_service_reads_the_same_file_and_environment_as_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wardwatch.toml").write_text(
        '[kafka_security]\nprotocol = "SASL_SSL"\nusername = "from-file"\npassword = "p"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDWATCH_KAFKA_SECURITY__USERNAME", "from-environment")
    ours = Security.from_environment()
    assert ours.username == "from-environment"
    assert ours == Settings().security
    monkeypatch.setenv("WARDWATCH_KAFKA_SECURITY__USER", "x")
    with pytest.raises(ValueError, match="kafka_security has no setting user: it has ca_file, "):
        Security.from_environment()
    assert Security.from_environment({"WARDWATCH_CONFIG": str(tmp_path / "none.toml")}) == Security()


@pytest.mark.parametrize("application", ["wardwatch", "other"])
def test_names_in_acls_are_those_of_the_application(application: str) -> None:
    worker = roles(application)["worker"]
    assert Acl("Read", "Group", application) in worker
    assert Acl("Write", "TransactionalId", f"{application}.*") in worker
    assert all(len(set(acls)) == len(acls) for acls in roles(application).values())
