"""A heartbeat is a call that may fail in every way and disturbs nothing."""

from __future__ import annotations

import logging

import httpx
import pytest
from receiving import receiving

from streams import heartbeat
from streams.heartbeat import Heartbeat

OK = (200, {}, b"")
FAILURES = [(500, {}, b""), (302, {"location": "http://127.0.0.1:9/"}, b""), (0, {}, b"")]


async def test_a_failure_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    answers = [OK, *FAILURES, OK, OK, FAILURES[0]]
    with caplog.at_level(logging.WARNING, logger=heartbeat.__name__), receiving(lambda n: answers[n]) as receiver:
        async with httpx.AsyncClient() as client:
            beats = Heartbeat(f"{receiver.url}?secret=whoever-has-it", client)
            assert [await beats.beat() for _ in answers] == [answer is OK for answer in answers]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the heartbeat was not taken (status 500)",
        "the heartbeat is taken again",
        "the heartbeat was not taken (status 500)",
    ]
    assert "whoever-has-it" not in caplog.text


async def test_who_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "TIMEOUT", 0.1)
    with receiving(delay=0.5) as receiver:
        async with httpx.AsyncClient() as client:
            assert not await Heartbeat(receiver.url, client).beat()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://[", "http://host with space/"])
async def test_an_address_that_is_none_ends_nothing(url: str) -> None:
    async with httpx.AsyncClient() as client:
        assert not await Heartbeat(url, client).beat()
