"""Slack's incoming webhooks, in Block Kit. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks

What senders chose stands in plain text, which knows no markup and makes no links, with the three characters escaped
that Slack reads everywhere. 400 says that the message is wrong; 404 and 410 say that the channel is away, which its
owner may mend, so they are tried again as 429 and 5xx are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from streams.sinks import attempts
from streams.sinks.messages import Message, cut, read_message, utf16

__all__ = ["compose", "judge"]

#: Characters of a header, of a section's text, of one of its fields.
HEADER, TEXT, FIELD = 150, 3000, 2000
#: Characters of the text that a notification shows.
FALLBACK = 300
_MARKS = {
    "informational": ":white_circle:",
    "low": ":large_blue_circle:",
    "medium": ":large_yellow_circle:",
    "high": ":large_orange_circle:",
    "critical": ":red_circle:",
}

judge = partial(attempts.judge, refused=(400, 413))


def escaped(text: str) -> str:
    """What Slack reads as ``text``: no link, no mention, no markup of channels or dates."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def compose(delivery_id: str, body: bytes, now: float) -> tuple[dict[str, str], bytes]:
    message = read_message(delivery_id, body)
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": _plain(message.title, HEADER)},
        {"type": "section", "text": _plain(message.text or message.title, TEXT), "fields": _fields(message.facts)},
    ]
    if message.lines:
        blocks.append({"type": "section", "text": _plain("\n".join(message.lines), TEXT)})
    if message.link:
        link = f"<{escaped(message.link)}|Open in Wardwatch>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link, "verbatim": True}})
    mark = ":white_check_mark: over" if message.over else f"{_MARKS[message.severity]} {message.severity}"
    told = [{"type": "mrkdwn", "text": mark}]
    if message.note:
        told.append(_plain(message.note, FIELD))
    blocks.append({"type": "context", "elements": told})
    return {}, orjson.dumps(
        {"text": _fallback(message), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}
    )


def _fallback(message: Message) -> str:
    """Slack reads markup in it, so what could be any goes."""
    text = message.title if message.over else f"{message.severity}: {message.title}"
    text = text.translate(dict.fromkeys(map(ord, "*_~`@#"), " "))
    return cut(text.replace("://", ": //"), FALLBACK, size=utf16, escape=escaped)


def _plain(text: str, limit: int) -> dict[str, str]:
    return {"type": "plain_text", "text": cut(text, limit, size=utf16, escape=escaped), "emoji": False}  # type: ignore[dict-item]


def _fields(facts: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [_plain(f"{name}\n{value}", FIELD) for name, value in facts[:10]]
