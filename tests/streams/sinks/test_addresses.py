"""Requests go to no address inside, however it is spelled, resolved or redirected to, unless its host is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receiving import receiving
from synthetic_alerts import alert

from streams.notify import alert_body
from streams.receivers import EmailReceiver, WebhookReceiver
from streams.sinks.addresses import Addresses, AddressRefused, inside
from streams.sinks.attempts import Outcome
from streams.sinks.catalog import make_sink

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("8.8.8.8", ""),
        ("2001:4860:4860::8888", ""),
        ("::ffff:8.8.8.8", ""),
        ("64:ff9b::808:808", ""),  # NAT64 of 8.8.8.8, as DNS64 gives it to hosts without IPv4
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("0.1.2.3", "private"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),  # carriers' NAT
        ("192.0.0.8", "private"),
        ("198.18.0.1", "private"),
        ("203.0.113.7", "private"),
        ("240.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("169.254.169.254", "link-local"),  # where clouds keep credentials
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("fc00::1", "private"),
        ("fd12::1", "private"),
        ("fec0::1", "private"),
        ("2001:db8::1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("::127.0.0.1", "loopback"),  # IPv4-compatible
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("64:ff9b:1::1", "private"),
        ("2002:7f00:1::1", "loopback"),  # 6to4
        ("2002:a9fe:a9fe::1", "link-local"),
        ("2001:0:a00:1::", "private"),  # Teredo
    ],
)
def test_what_lies_inside(address: str, kind: str) -> None:
    assert inside(address) == kind


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_within_ipv6_is_judged_as_itself(address: object) -> None:
    for spelled in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert bool(inside(spelled)) == bool(inside(str(address)))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "::1", "::ffff:127.0.0.1"],
)
async def test_no_spelling_of_loopback_is_asked(host: str) -> None:
    with receiving() as receiver:
        port = receiver.server.server_port
        shown = f"[{host}]" if ":" in host else host
        outcome = await attempt(f"http://{shown}:{port}/", Addresses())
        assert outcome.verdict == "retry"
        # The client itself takes some spellings for no URL; the check does not count on it.
        assert "add it to private_hosts" in outcome.detail or outcome.detail == "InvalidURL"
        assert receiver.received == []


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "0"])
async def test_no_spelling_of_loopback_passes_the_check(host: str) -> None:
    with pytest.raises(AddressRefused):
        await Addresses().of(host, 80)


async def attempt(url: str, addresses: Addresses, body: bytes = b"{}") -> Outcome:
    sink = make_sink(WebhookReceiver(url=url), addresses=addresses, webhook_key=KEY)
    try:
        return await sink.attempt("id", body, 1_700_000_000)
    finally:
        await sink.close()


async def test_a_name_is_resolved_once_and_what_was_checked_is_asked() -> None:
    """DNS rebinding: the second answer is another one. The request keeps the name."""
    asked: list[tuple[str, int]] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with receiving() as receiver:
        port = receiver.server.server_port
        named = Addresses(["Receiver.Example."], lookup=lookup)
        assert (await attempt(f"http://receiver.example:{port}/", named)).verdict == "delivered"
        assert receiver.received[0].headers["host"] == f"receiver.example:{port}"
        assert asked == [("receiver.example", port)]


@pytest.mark.parametrize("found", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]])
async def test_a_name_that_leads_inside_is_not_asked(found: list[str]) -> None:
    with receiving() as receiver:
        url = f"http://public.example:{receiver.server.server_port}/"
        outcome = await attempt(url, Addresses(["other.example"], lookup=lambda *_: found))
        assert outcome == Outcome(
            "retry", "its host is at a loopback address: add it to private_hosts if that is meant"
        )
        assert receiver.received == []


async def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with receiving() as receiver:
        addresses = Addresses(["both.example"], lookup=lambda *_: ["::1", "127.0.0.1"])
        assert (await attempt(f"http://both.example:{receiver.server.server_port}/", addresses)).verdict == "delivered"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_never_followed(status: int) -> None:
    with receiving() as inside_, receiving(lambda _: (status, {"location": inside_.url}, b"")) as receiver:
        outcome = await attempt(receiver.url, Addresses(["127.0.0.1"]))
        assert outcome == Outcome("retry", f"status {status}")
        assert inside_.received == []


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0"])
def test_no_name_leads_to_what_no_name_may(address: str) -> None:
    addresses = Addresses(["metadata.example"])
    with pytest.raises(AddressRefused, match="no name may lead there"):
        addresses.check("metadata.example", address)


def test_a_link_local_address_is_asked_where_it_is_named_itself() -> None:
    Addresses(["169.254.10.20"]).check("169.254.10.20", "169.254.10.20")
    with pytest.raises(AddressRefused):
        Addresses(["0.0.0.0"]).check("0.0.0.0", "0.0.0.0")


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would resolve the name by itself, and unchecked."""
    with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await attempt(receiver.url, Addresses(["127.0.0.1"]))).verdict == "delivered"
        assert proxy.received == []


async def test_mail_goes_to_checked_addresses_too() -> None:
    receiver = EmailReceiver(
        kind="email",
        host="mail.example",
        port=9,
        tls="none",
        sender="ward@hospital.example",
        to=["soc@hospital.example"],
    )
    sink = make_sink(receiver, addresses=Addresses(lookup=lambda *_: ["10.0.0.1"]), webhook_key=KEY)
    outcome = await sink.attempt("id", alert_body(alert()), 1_700_000_000)
    await sink.close()
    assert outcome == Outcome("retry", "its host is at a private address: add it to private_hosts if that is meant")
