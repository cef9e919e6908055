"""Receivers as settings: what is wrong is told by receiver and field, and who hears of what."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from synthetic_alerts import alert

from detectors.base import Alert
from streams.commands.terminal import sentences
from streams.receivers import WebhookReceiver
from streams.routing import Routes
from streams.settings import Settings

HTTPS = "https://public.example/hook"
PAGER = {"kind": "pagerduty", "routing_key": "0" * 32}
MAIL = {"kind": "email", "host": "mail.example", "sender": "a@b.example", "to": ["c@d.example"]}


def told(receiver: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Settings(receivers={"oncall": receiver}, **others)
    return sentences(caught.value)


def _field(name: str, reason: str) -> str:
    return f"setting WARDWATCH_RECEIVERS__ONCALL__{name}: {reason}"


@pytest.mark.parametrize(
    ("receiver", "sentence"),
    [
        ({}, _field("URL", "Field required")),
        ({"url": HTTPS, "colour": "red"}, _field("COLOUR", "there is no such setting")),
        ({"url": "ftp://a.example"}, _field("URL", "an address begins with https:// or http:// and a host")),
        ({"url": "https://"}, _field("URL", "an address begins with https:// or http:// and a host")),
        ({"url": "https://a.example:99999"}, _field("URL", "the port of an address is a number up to 65535")),
        ({"kind": "slack", "url": "secret"}, _field("URL", "an address begins with https:// or http:// and a host")),
        (
            {"url": HTTPS, "minimum_severity": "urgent"},
            _field(
                "MINIMUM_SEVERITY",
                "Input should be 'informational', 'low', 'medium', 'high' or 'critical'",
            ),
        ),
        ({"url": HTTPS, "per_hour": -1}, _field("PER_HOUR", "Input should be greater than or equal to 0")),
        ({"url": HTTPS, "ca_file": "/no/such.pem"}, _field("CA_FILE", "/no/such.pem is no file")),
        ({**PAGER, "routing_key": "short"}, _field("ROUTING_KEY", "an integration key has 32 letters and digits")),
        ({**MAIL, "to": []}, _field("TO", "List should have at least 1 item after validation, not 0")),
        (
            {**MAIL, "to": ["SOC <c@d.example>"]},
            _field("TO__0", "a mail address is name@domain, without spaces or a display name"),
        ),
        (
            {**MAIL, "sender": "a@b.example\nBcc: x@y.example"},
            _field("SENDER", "a mail address is name@domain, without spaces or a display name"),
        ),
        ({**MAIL, "username": "u"}, "setting WARDWATCH_RECEIVERS__ONCALL: username and password come together"),
        (
            {**MAIL, "username": "u", "password": "p", "tls": "none"},
            'setting WARDWATCH_RECEIVERS__ONCALL: a password is not sent in the clear: tls is "starttls" or "tls"',
        ),
        (
            {"kind": "fax"},
            "setting WARDWATCH_RECEIVERS__ONCALL: kind is none of webhook, pagerduty, slack, teams, alertmanager and "
            "email",
        ),
        (
            {"url": "http://public.example"},
            "receiver oncall, url: alerts go in the clear to hosts in private_hosts alone: use TLS, or add "
            "public.example there if it is inside your network",
        ),
        (
            {**MAIL, "tls": "none"},
            "receiver oncall, host: alerts go in the clear to hosts in private_hosts alone: use TLS, or add "
            "mail.example there if it is inside your network",
        ),
        (
            {"url": "https://10.1.2.3/"},
            "receiver oncall, url: its host is at a private address: add it to private_hosts if that is meant",
        ),
        (
            {"url": "https://[::ffff:127.0.0.1]/"},
            "receiver oncall, url: its host is at a loopback address: add it to private_hosts if that is meant",
        ),
    ],
)
def test_what_is_wrong_is_told_by_receiver_and_field(receiver: dict[str, Any], sentence: str) -> None:
    assert told(receiver) == [sentence]


def test_a_name_is_one_that_headers_and_ids_can_hold() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(receivers={"☎": {"url": HTTPS}})
    assert sentences(caught.value) == [
        "setting WARDWATCH_RECEIVERS__☎__[KEY]: a receiver's name is of up to 64 letters, digits, dots, dashes and "
        "underscores"
    ]


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "socks5://user:synthetic-secret@proxy.example"])
def test_a_proxy_is_an_http_address(proxy: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(proxy=proxy)
    (sentence,) = sentences(caught.value)
    assert sentence == "setting WARDWATCH_PROXY: an address begins with https:// or http:// and a host"


@pytest.mark.parametrize("secret", ["whsec_synthetic", "synthetic-routing-key"])
def test_no_secret_is_told_with_what_is_wrong(secret: str) -> None:
    for receiver in (
        {"url": HTTPS, "secret": secret},
        {**PAGER, "routing_key": secret},
        {"kind": "slack", "url": secret},
    ):
        assert secret not in "".join(told(receiver))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "siem.example", "SIEM.example."])
def test_a_host_inside_is_named(host: str) -> None:
    named = ["127.0.0.1", "::1", "Siem.Example"]
    assert Settings(receivers={"oncall": {"url": f"http://{host}:8080/"}}, private_hosts=named).receivers


def test_lists_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "WARDWATCH_RECEIVERS__ONCALL__"
    monkeypatch.setenv(f"{prefix}URL", HTTPS)
    monkeypatch.setenv(f"{prefix}SOURCES", "fhir, cloud*")
    monkeypatch.setenv(f"{prefix}DETECTORS", '["rate.*"]')
    receiver = Settings().receivers["oncall"]
    assert (receiver.sources, receiver.detectors) == (["fhir", "cloud*"], ["rate.*"])


RATE = {"detector": "rate.user", "rule": {}}


@pytest.mark.parametrize(
    ("fields", "one", "hears"),
    [
        ({}, alert("a", severity="low"), True),
        ({}, alert("a", severity="informational"), False),
        ({"minimum_severity": "high"}, alert("a", severity="medium"), False),
        ({"minimum_severity": "high"}, alert("a", severity="high"), True),
        ({"sources": ["fhir"]}, alert("a"), True),
        ({"sources": ["FHIR"]}, alert("a"), False),
        ({"sources": ["cloud*", "f*"]}, alert("a"), True),
        ({"sources": ["cloud*"]}, alert("a"), False),
        ({"detectors": ["sigma"]}, alert("a"), True),
        ({"detectors": ["rate.*"]}, alert("a"), False),
        ({"detectors": ["rate.*"]}, alert("a", **RATE), True),
        ({"detectors": ["r1"]}, alert("a"), True),
        ({"detectors": ["Synthetic alert ?"]}, alert("a"), True),
        ({"detectors": ["Synthetic"]}, alert("a"), False),
        ({"detectors": ["r1"], "sources": ["device"]}, alert("a"), False),
    ],
)
def test_who_hears_of_what(fields: dict[str, Any], one: Alert, hears: bool) -> None:
    routes = Routes({"oncall": WebhookReceiver(url=HTTPS, **fields), "other": WebhookReceiver(url=HTTPS)})
    assert ("oncall" in routes.of(one)) is hears
