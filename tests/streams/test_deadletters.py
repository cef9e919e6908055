"""A dead letter says why in clear, gives back all that came, and gives it to nobody else."""

from __future__ import annotations

import pytest
from nacl.public import PrivateKey

from streams.deadletters import DeadLetters, open_letter
from streams.records import RawRecord

PRIVATE = PrivateKey.generate()
PUBLIC = bytes(PRIVATE.public_key)
RAW = RawRecord(
    "audit.ehr", 3, 14, 1_767_600_000_000, b"synthetic-0001 {", {"event-id": b"synthetic-0001", "x": b"\xff"}
)


def test_record_and_headers_come_back_and_only_the_reason_is_in_clear() -> None:
    output = DeadLetters(PUBLIC).output(RAW, stage="ingest", reason="the record is no JSON")
    assert output.key == b"audit.ehr/3/14"
    assert b"synthetic" not in output.value
    assert b"the record is no JSON" in output.value
    letter = open_letter(output.value, bytes(PRIVATE))
    assert (letter.value, letter.position, letter.received) == (RAW.value, "audit.ehr/3/14", RAW.received)
    assert letter.headers == {"event-id": "synthetic-0001", "x": "\ufffd"}


def test_another_key_opens_nothing() -> None:
    output = DeadLetters(PUBLIC).output(RAW, stage="ingest", reason="x")
    with pytest.raises(ValueError, match="sealed to another key"):
        open_letter(output.value, bytes(PrivateKey.generate()))
