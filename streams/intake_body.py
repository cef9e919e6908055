"""What a request to the HTTP intake holds: its events, each checked as ingest would, before any of them is sent.

A body is one JSON object, an array of them, JSON lines, or the lines of text of a source that reads such. Gzip expands
to no more than is allowed, whatever it claims. Nothing here looks at the network.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from streams.emitter import encoded
from streams.reading import parse, record_of
from streams.sources.base import BadRecord, Source
from streams.sources.known import Sources

__all__ = ["LARGEST", "MOST", "Refused", "Taken", "events", "unzipped"]

#: Bytes of a body, as sent and as it expands.
LARGEST: Final = 8 * 1024 * 1024
#: Events of one request.
MOST: Final = 10_000
_GZIP: Final = 31
#: Reasons of one answer; a body that is wrong throughout needs no more of them.
_TOLD: Final = 20


class Refused(Exception):
    """A request that is not taken, and the answer to it."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.answer = {"error": error, **more}


class Taken(NamedTuple):
    """One event as it goes to Kafka."""

    topic: str
    source: str
    key: str  #: the device, on the devices' topic; else ""
    id: str  #: the record's own; "" where it has none
    value: bytes


def unzipped(raw: bytes, limit: int = LARGEST) -> bytes:
    """``raw`` expanded to at most ``limit`` bytes. Raises Refused: 413 beyond them, 400 where it is no gzip."""
    expanded = bytearray()
    while raw:
        member = zlib.decompressobj(_GZIP)
        try:
            expanded += member.decompress(raw, limit + 1 - len(expanded))
        except zlib.error:
            raise Refused(400, "the body is no gzip, though Content-Encoding says so") from None
        if len(expanded) > limit:
            raise Refused(413, f"the body expands to more than the {limit} bytes that are taken")
        if not member.eof:
            raise Refused(400, "the gzip breaks off")
        raw = member.unused_data
    return bytes(expanded)


def events(body: bytes, named: str, sources: Sources) -> list[Taken]:
    """Every event of a body; ``named``: its source, "" to know each by its shape.

    Raises Refused: 413 where there are too many, 400 with index and reason of what is wrong, and then none is taken.
    """
    try:
        source = sources.by_name(named) if named else None
    except ValueError as exc:
        raise Refused(400, str(exc)) from None
    taken: list[Taken] = []
    wrong: list[dict[str, Any]] = []
    count = 0
    for count, piece in enumerate(_pieces(body, source), 1):
        if count > MOST:
            raise Refused(413, f"the body has more than the {MOST} events that are taken at once")
        try:
            taken.append(_taken(piece, source, sources))
        except ValueError as exc:
            wrong.append({"index": count - 1, "reason": str(exc)})
    if wrong:
        raise Refused(400, f"{len(wrong)} of {count} events are wrong; none was taken", events=wrong[:_TOLD])
    if not taken:
        raise Refused(400, "the body holds no event")
    return taken


def _pieces(body: bytes, source: Source | None) -> Iterator[bytes | Mapping[str, Any]]:
    """The events of a body, read or still to be read."""
    start = body.lstrip()[:1]
    if start in (b"[", b"{") and start:
        try:
            value = orjson.loads(body)
        except (orjson.JSONDecodeError, RecursionError):
            value = None  # JSON lines, or broken: the lines tell which
        if isinstance(value, dict):
            yield value
            return
        if isinstance(value, list):
            yield from value
            return
    yield from (line for line in body.splitlines() if line.strip())


def _taken(piece: Any, source: Source | None, sources: Sources) -> Taken:
    """One event, as it would be read. Raises BadRecord or ValueError with the reason."""
    if isinstance(piece, bytes):
        record = parse(piece) if source is None else record_of(piece, source)
    elif isinstance(piece, dict):
        record = piece
    else:
        raise BadRecord("the event is JSON, but no object")
    found = source or sources.recognise(record)
    draft = found.normalise(record)
    own = record.get("id") or record.get("eventID")
    text = isinstance(piece, bytes) and piece.lstrip()[:1] != b"{"
    return Taken(
        topic=found.topic,
        source=found.name,
        key=draft.device if found.topic == "audit.iot" else "",
        # A row's own id lies under the table's name, which only ingest puts there.
        id=own if isinstance(own, str) and len(own) <= 512 and not draft.id.startswith(f"{found.name}:") else "",
        value=piece.strip() if text and isinstance(piece, bytes) else encoded(record),
    )
