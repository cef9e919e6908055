"""Teams, through a workflow that posts what its webhook gets: an Adaptive Card.

Teams reads Markdown in text blocks and facts, and none in rich text: what senders chose stands in the latter alone
(https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format). A workflow accepts with
202 and posts later; 400 and 413 say that the card is wrong.
"""

from __future__ import annotations

from functools import partial

import orjson

from streams.sinks import attempts
from streams.sinks.messages import Message, cut, read_message, utf16

__all__ = ["compose", "judge"]

#: Bytes of a message, with room for what the workflow adds to it.
MESSAGE = 24 * 1024
#: UTF-16 units of one piece of text, lines of a group.
TEXT, LINES = 1000, 12
_COLOURS = {
    "informational": "Default",
    "low": "Accent",
    "medium": "Warning",
    "high": "Attention",
    "critical": "Attention",
}

judge = partial(attempts.judge, refused=(400, 413))


def compose(delivery_id: str, body: bytes, now: float) -> tuple[dict[str, str], bytes]:
    message = read_message(delivery_id, body)
    lines = message.lines if len(message.lines) <= LINES else (*message.lines[: LINES - 1], message.lines[-1])
    content = _card(message, lines, TEXT)
    if len(content) > MESSAGE:  # letters of four bytes: fewer of them
        content = _card(message, lines[: LINES // 3], TEXT // 4)
    return {}, content


def _card(message: Message, lines: tuple[str, ...], limit: int) -> bytes:
    colour = "Good" if message.over else _COLOURS[message.severity]
    body: list[dict[str, object]] = [
        _rich([_run(message.title, limit, size="Large", weight="Bolder", color=colour)]),
        _rich([_run(message.text, limit)]),
        *(_rich([_run(f"{name}: ", limit, weight="Bolder"), _run(value, limit)]) for name, value in message.facts),
        *(_rich([_run(line, limit)]) for line in lines),
    ]
    if message.note:
        body.append(_rich([_run(message.note, limit, isSubtle=True)]))
    card: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Wardwatch", "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return orjson.dumps({"type": "message", "attachments": [attachment]})


def _rich(runs: list[dict[str, object]]) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, limit: int, **looks: object) -> dict[str, object]:
    return {"type": "TextRun", "text": cut(text, limit, size=utf16), **looks}
