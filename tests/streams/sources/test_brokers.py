"""MQTT brokers' logs: who signed in as what from where, what was denied, and nothing a client can forge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from broker_records import EMQX_EVENTS, MOSQUITTO_LINES, emqx

from streams.sources.base import BadRecord
from streams.sources.broker import ACTS
from streams.sources.catalog import SOURCES
from streams.sources.emqx import EMQX
from streams.sources.mosquitto import MOSQUITTO


@pytest.mark.parametrize(("line", "act", "outcome", "actor", "device", "address", "reason"), MOSQUITTO_LINES)
@pytest.mark.parametrize("name", ["message", "log"])
def test_each_line_of_mosquitto_says_what_it_says(
    name: str, line: str, act: str, outcome: str, actor: str, device: str, address: str, reason: str
) -> None:
    record = {name: f"1772352000: {line}\n"}
    draft = MOSQUITTO.normalise(record)
    fields = draft.fields
    assert draft.time == 1772352000000
    assert (fields["event.action"], fields["event.outcome"], draft.actor) == (act, outcome, actor)
    assert draft.device == (f"device:{device}" if device else "")
    assert draft.address == (f"address:{address}" if address else "")
    assert (fields.get("source.ip", ""), fields.get("event.reason", "")) == (address, reason)
    assert MOSQUITTO.recognises(record)
    dated = {name: f"2026-03-01T09:00:00+0100: {line}"}
    assert MOSQUITTO.recognises(dated) == (act != "mqtt-log")
    assert not MOSQUITTO.recognises({name: line})
    assert "ward/" not in repr(draft.fields)


@pytest.mark.parametrize(
    ("record", "time"),
    [
        ({"message": "2026-03-01T09:00:00+0100: Client a disconnected."}, 1772352000000),
        ({"message": "Client a disconnected.", "@timestamp": "2026-03-01T08:00:00.000Z"}, 1772352000000),
        ({"message": "1772352000: Client a disconnected.", "@timestamp": "2026-03-01T09:00:00Z"}, 1772352000000),
        ({"message": "2026-03-01T09:00:00: Client a disconnected."}, "the line's time has no offset from UTC"),
        ({"message": "Client a disconnected."}, "the shipper says none"),
        ({"message": 1}, "message is no line"),
        ({}, "message is missing"),
    ],
)
def test_the_time_is_the_line_s_or_the_shipper_s(record: dict[str, Any], time: int | str) -> None:
    if isinstance(time, int):
        assert MOSQUITTO.normalise(record).time == time
    else:
        with pytest.raises(BadRecord, match=time):
            MOSQUITTO.normalise(record)


@pytest.mark.parametrize(("record", "said"), EMQX_EVENTS)
def test_each_event_of_emqx_says_what_it_says(record: dict[str, Any], said: tuple[str, ...]) -> None:
    draft = EMQX.normalise(record)
    fields = draft.fields
    found = (fields["event.action"], fields["event.type"][0], fields["event.outcome"], draft.actor)
    assert (*found, fields.get("source.ip", ""), fields.get("event.reason", "")) == said
    assert (draft.device, draft.time) == ("device:pump-12", 1772352000123)
    assert draft.id == (f"{record['id']}/{record['event']}" if "id" in record else "")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (emqx("client.exploded"), "event is none of"),
        (emqx("client.connected", clientid=""), "clientid is no text"),
        (emqx("client.connected", timestamp="yesterday"), "timestamp is missing"),
        (emqx("client.check_authz_complete", action="publish", result="maybe"), "neither allow nor deny"),
        (emqx("client.check_authz_complete", action="eat", result="deny"), "neither publish nor subscribe"),
        (emqx("client.connack"), "reason_code is missing"),
    ],
)
def test_what_is_no_event_of_emqx_is_refused(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        EMQX.normalise(record)


def test_the_page_names_every_source_of_devices_and_every_act_of_brokers() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    for source in SOURCES:
        if source.topic == "audit.iot":
            assert f"| `{source.name}` |" in page
    for act in ACTS:
        assert f"`{act}`" in page
