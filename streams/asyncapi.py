"""The AsyncAPI 3 document of the topics that services may write to, made from the map of topics."""

from __future__ import annotations

from typing import Any, Final

from streams import topics
from streams.schemas import EVENTS, schema
from streams.sources.catalog import SOURCES
from streams.sources.own import OWN
from streams.wrappers import MOST

__all__ = ["document"]

_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "All may be left out; each is UTF-8 text.",
    "properties": {
        "source": {"type": "string", "description": "kind of record; without it the record is known by its shape"},
        "event-id": {
            "type": "string",
            "minLength": 1,
            "description": "the same in every retry, so that the event counts once; counts where the record has no id. "
            "Of an array: one in a line for each of its events",
        },
        "producer": {
            "type": "string",
            "pattern": "^(?:[A-Za-z._-]|[0-9]{1,3}(?![0-9])){1,64}$",
            "description": "names the service in dead letters, for wardwatch dead-letters list --producer",
        },
    },
}
_ABOUT: Final = {
    "audit.ehr": "Who saw or changed which patient's record.",
    "audit.iot": "What devices did, and what was done to them.",
    "audit.cloud": "Who did what to the cloud that holds the records.",
}
#: What services send; what people do with Wardwatch itself, its own commands tell.
_SENT: Final = [source for source in SOURCES if source is not OWN]
_NAMES: Final = {"audit.ehr": "ehr", "audit.iot": "iot", "audit.cloud": "cloud"}


def document() -> dict[str, Any]:
    """The document, with every schema in it. Its application is Wardwatch, which receives."""
    inputs = [topic for topic in topics.ALL if topic.name in topics.INPUTS]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Wardwatch",
            "version": "1",
            "description": "Audit events that services send. One record is one event, or an array of events; "
            "see docs/services.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_NAMES[topic.name]: _channel(topic) for topic in inputs},
        "operations": {
            f"receive-{_NAMES[topic.name]}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{_NAMES[topic.name]}"},
                "summary": _ABOUT[topic.name],
            }
            for topic in inputs
        },
        "components": {
            "messages": {
                **{source.name: _message(source.name) for source in _SENT},
                "table": {
                    "title": "A row of a table",
                    "summary": "A JSON object whose members are columns, or a line; docs/tables.md.",
                    "headers": {"$ref": "#/components/schemas/headers"},
                },
            },
            "schemas": {"headers": _HEADERS, **{name: _inline(name) for name in EVENTS}},
        },
    }


def _channel(topic: topics.Topic) -> dict[str, Any]:
    messages = [source.name for source in _SENT if source.topic == topic.name]
    return {
        "address": topic.name,
        "description": f"{_ABOUT[topic.name]} Kept for {topic.retention // 86_400_000} days.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in [*messages, "table"]},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {
                    "retention.ms": topic.retention,
                    "max.message.bytes": topic.max_message,
                    "cleanup.policy": ["delete"],
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(name: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": name,
        "headers": {"$ref": "#/components/schemas/headers"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "any; records with the same one stay in order"},
                "bindingVersion": "0.5.0",
            }
        },
    }
    if name in EVENTS:
        one = {"$ref": f"#/components/schemas/{name}"}
        message["payload"] = {"anyOf": [one, {"type": "array", "minItems": 1, "maxItems": MOST, "items": one}]}
    return message


def _inline(name: str) -> dict[str, Any]:
    """A schema as a part of the document: what it defines lies within it."""
    found = schema(name)
    for key in ("$schema", "$id"):
        found.pop(key)
    moved = _moved(found, f"#/components/schemas/{name}/$defs/")
    assert isinstance(moved, dict)
    return moved


def _moved(value: Any, to: str) -> Any:
    if isinstance(value, list):
        return [_moved(item, to) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item.replace("#/$defs/", to) if key == "$ref" and isinstance(item, str) else _moved(item, to)
        for key, item in value.items()
    }
