"""Lines as Mosquitto 2.0.11 wrote them for synthetic clients, and events as EMQX's documentation shows them."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["EMQX_EVENTS", "MOSQUITTO_LINES", "emqx"]

#: A line without its time; action, outcome, actor, device, address, reason.
MOSQUITTO_LINES: Final = [
    ("mosquitto version 2.0.11 starting", "mqtt-broker-start", "success", "service:mosquitto", "", "", ""),
    ("mosquitto version 2.0.11 terminating", "mqtt-broker-stop", "success", "service:mosquitto", "", "", ""),
    ("Config loaded from m.conf.", "mqtt-log", "unknown", "service:mosquitto", "", "", ""),
    (
        "New connection from 192.0.2.7:36182 on port 8883.",
        "mqtt-connection-open",
        "success",
        "service:mosquitto",
        "",
        "192.0.2.7",
        "",
    ),
    (
        "New client connected from 192.0.2.7:36182 as pump-12 (p2, c1, k60, u'gateway').",
        "mqtt-authenticate",
        "success",
        "user:gateway",
        "pump-12",
        "192.0.2.7",
        "",
    ),
    (
        "New client connected from 2001:db8::7:36182 as bed 7 (p5, c0, k60).",
        "mqtt-authenticate",
        "success",
        "device:bed 7",
        "bed 7",
        "2001:db8::7",
        "",
    ),
    (
        "New client connected from 192.0.2.7:1 as x (p2, c1, k60, u'a'). (p2, c1, k60, u'gateway').",
        "mqtt-authenticate",
        "success",
        "user:gateway",
        "x (p2, c1, k60, u'a').",
        "192.0.2.7",
        "",
    ),
    ("Sending CONNACK to pump-12 (0, 0)", "mqtt-log", "unknown", "service:mosquitto", "", "", ""),
    (
        "Sending CONNACK to 192.0.2.7 (0, 5)",
        "mqtt-authenticate",
        "failure",
        "service:mosquitto",
        "",
        "192.0.2.7",
        "",
    ),
    (
        "Client <unknown> disconnected, not authorised.",
        "mqtt-authenticate",
        "failure",
        "service:mosquitto",
        "",
        "",
        "not authorised",
    ),
    (
        "Client pump-13 [192.0.2.8:40000] disconnected: not authorised.",
        "mqtt-authenticate",
        "failure",
        "device:pump-13",
        "pump-13",
        "192.0.2.8",
        "not authorised",
    ),
    ("Client pump-12 disconnected.", "mqtt-disconnect", "success", "device:pump-12", "pump-12", "", ""),
    ("Client pump-12 closed its connection.", "mqtt-disconnect", "success", "device:pump-12", "pump-12", "", ""),
    (
        "Client pump-12 has exceeded timeout, disconnecting.",
        "mqtt-disconnect",
        "failure",
        "device:pump-12",
        "pump-12",
        "",
        "timeout",
    ),
    (
        "Socket error on client pump-12, disconnecting.",
        "mqtt-disconnect",
        "failure",
        "device:pump-12",
        "pump-12",
        "",
        "socket error",
    ),
    (
        "Client bed 7 already connected, closing old connection.",
        "mqtt-disconnect",
        "failure",
        "device:bed 7",
        "bed 7",
        "",
        "session taken over",
    ),
    (
        "Client <unknown> disconnected due to protocol error.",
        "mqtt-disconnect",
        "success",
        "service:mosquitto",
        "",
        "",
        "protocol error",
    ),
    (
        "Denied PUBLISH from pump-12 (d0, q1, r0, m1, 'ward/denied', ... (2 bytes))",
        "mqtt-publish",
        "failure",
        "device:pump-12",
        "pump-12",
        "",
        "",
    ),
    (
        "Received PUBLISH from bed 7 (d0, q0, r0, m0, 'ward/ok', ... (2 bytes))",
        "mqtt-message",
        "unknown",
        "device:bed 7",
        "bed 7",
        "",
        "",
    ),
    ("Received SUBSCRIBE from bed 7", "mqtt-subscribe", "unknown", "device:bed 7", "bed 7", "", ""),
    ("\tward/# (QoS 0)", "mqtt-log", "unknown", "service:mosquitto", "", "", ""),
]


def emqx(event: str, **more: Any) -> dict[str, Any]:
    common = {"clientid": "pump-12", "username": "gateway", "node": "emqx@127.0.0.1", "timestamp": 1772352000123}
    return {"event": event, **common, **more}


#: An event; action, ECS type, outcome, actor, address, reason.
EMQX_EVENTS: Final = [
    (
        emqx("client.connected", peername="192.0.2.7:56431", proto_name="MQTT", connected_at=1772352000120),
        ("mqtt-connect", "connection", "success", "user:gateway", "192.0.2.7", ""),
    ),
    (
        emqx("client.connected", peername="[2001:db8::7]:56431", username="undefined"),
        ("mqtt-connect", "connection", "success", "device:pump-12", "2001:db8::7", ""),
    ),
    (
        emqx("client.connack", peername="192.0.2.7:56431", reason_code="not_authorized"),
        ("mqtt-authenticate", "start", "failure", "user:gateway", "192.0.2.7", "not_authorized"),
    ),
    (
        emqx("client.connack", peername="192.0.2.7:56431", reason_code="success"),
        ("mqtt-authenticate", "start", "success", "user:gateway", "192.0.2.7", "success"),
    ),
    (
        emqx("client.check_authn_complete", peername="192.0.2.7:1", reason_code="bad_username_or_password"),
        ("mqtt-authenticate", "start", "failure", "user:gateway", "192.0.2.7", "bad_username_or_password"),
    ),
    (
        emqx("client.check_authz_complete", peerhost="192.0.2.7", topic="t/1", action="publish", result="deny"),
        ("mqtt-publish", "denied", "failure", "user:gateway", "192.0.2.7", ""),
    ),
    (
        emqx("client.check_acl_complete", peerhost="192.0.2.7", topic="t/1", action="subscribe", result="allow"),
        ("mqtt-subscribe", "access", "success", "user:gateway", "192.0.2.7", ""),
    ),
    (
        emqx("client.disconnected", reason="takenover", peername="192.0.2.7:56431"),
        ("mqtt-disconnect", "end", "failure", "user:gateway", "192.0.2.7", "takenover"),
    ),
    (
        emqx("client.disconnected", reason="normal", peername="192.0.2.7:56431"),
        ("mqtt-disconnect", "end", "success", "user:gateway", "192.0.2.7", "normal"),
    ),
    (
        emqx("client.disconnected", reason="text of a client"),
        ("mqtt-disconnect", "end", "failure", "user:gateway", "", ""),
    ),
    (
        emqx("session.subscribed", peerhost="192.0.2.7", topic="t/a", qos=1),
        ("mqtt-subscribe", "access", "success", "user:gateway", "192.0.2.7", ""),
    ),
    (
        emqx("session.unsubscribed", peerhost="192.0.2.7", topic="t/a"),
        ("mqtt-unsubscribe", "info", "success", "user:gateway", "192.0.2.7", ""),
    ),
    (
        emqx("message.publish", id="0005E27C", payload="abc", peerhost="192.0.2.7", topic="t/a"),
        ("mqtt-message", "info", "success", "user:gateway", "192.0.2.7", ""),
    ),
    (
        emqx("message.dropped", id="0005E27D", reason="no_subscribers", peerhost="192.0.2.7", topic="t/a"),
        ("mqtt-message", "info", "failure", "user:gateway", "192.0.2.7", "no_subscribers"),
    ),
]
