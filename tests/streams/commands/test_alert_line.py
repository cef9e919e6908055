"""The line of an alert: it fits, it tells, and nothing in it moves a cursor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_alerts import alert

from detectors.base import SEVERITIES
from streams.codecs import alert_document
from streams.commands.alert_line import alert_line, shortened

TIME = 1_700_000_000_000
NOW = TIME / 1000


def document(name: str = "a", **kwargs: Any) -> dict[str, Any]:
    return alert_document(alert(name, time=kwargs.pop("time", TIME), **kwargs))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_rule_s_line_says_what_was_done_and_from_where() -> None:
    assert alert_line(document(), now=NOW) == (
        "22:13:20  high      user:Practitioner/synthetic-p1  Synthetic alert a: delete from 192.0.2.7"
    )


def test_a_model_s_line_adds_its_own_words() -> None:
    rate = document(detector="rate.device", entity="device:pump-1", reason="40 events; usually 4.")
    assert alert_line(rate, now=NOW).endswith("Synthetic alert a: delete from 192.0.2.7. 40 events; usually 4.")


def test_without_evidence_the_reason_stands() -> None:
    assert alert_line(document(evidence={}), now=NOW).endswith("Synthetic alert a: action is D")


def test_another_day_and_an_impossible_year_are_told() -> None:
    assert alert_line(document(), now=NOW + 86_400).startswith("2023-11-14 22:13:20  ")
    assert alert_line(document(time=10**18), now=NOW).startswith("1000000000000000000 ms  ")


def test_on_a_terminal_titles_begin_below_each_other() -> None:
    told = [
        alert_line(document(entity=entity), now=NOW, width=120).index("Synthetic alert")
        for entity in ("device:p", "user:arn:aws:sts::123456789012:assumed-role/synthetic-role/synthetic-session")
    ]
    assert told[0] == told[1]


def test_a_long_name_keeps_its_kind_and_its_end() -> None:
    name = shortened("user:arn:aws:iam::123456789012:user/synthetic-admin03", 32)
    assert name == "user:…012:user/synthetic-admin03"
    assert len(name) == 32


@given(
    title=st.text(),
    entity=st.text(),
    reason=st.text(),
    action=st.text(),
    severity=st.sampled_from(SEVERITIES),
    width=st.integers(80, 200),
)
def test_it_is_one_line_that_fits_whatever_senders_write(
    title: str, entity: str, reason: str, action: str, severity: Any, width: int
) -> None:
    told = document(
        title=title,
        entity=entity,
        reason=reason,
        severity=severity,
        evidence={"event.action": action, "source.ip": ["x"]},
    )
    line = alert_line(told, now=NOW, width=width)
    assert line.isprintable()
    assert len(line) <= width
    assert alert_line(told, now=NOW).isprintable()
