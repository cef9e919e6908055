"""What each kind of receiver is sent when an alert is over: it ends what the first message began, and nothing else."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from composing import COMPOSERS, NOW, ROUTING_KEY, URL, texts, told
from synthetic_alerts import alert, over, own

from streams.notify import alert_body, webhook_id

ROOT = Path(__file__).parents[3]
BEGUN = own("a")
OVER = over(BEGUN)


def sent(kind: str, one: Any = OVER) -> Any:
    return told(kind, alert_body(one, public_url=URL), f"{one.id}.{one.revision}.oncall")


def test_a_webhook_says_so_of_the_same_alert() -> None:
    begun, ended = (orjson.loads(alert_body(one)) for one in (BEGUN, OVER))
    assert (begun["type"], ended["type"]) == ("alert.opened", "alert.resolved")
    assert ended["data"]["id"] == begun["data"]["id"]
    assert (ended["data"]["status"], ended["data"]["revision"]) == ("recovered", 2)
    assert ended["data"]["last_seen"] - ended["data"]["first_seen"] == 12 * 60_000
    assert ended["data"]["findings"] == begun["data"]["findings"]
    assert ended["data"]["reason"] == "Over after 12 minutes. It was: it does not answer."


def test_pagerduty_resolves_the_incident_it_opened() -> None:
    """Events API v2: of a resolve nothing is read but the two keys."""
    dedup_key = sent("pagerduty", BEGUN)["dedup_key"]
    assert sent("pagerduty") == {"routing_key": ROUTING_KEY, "event_action": "resolve", "dedup_key": dedup_key}


def test_alertmanager_ends_the_alert_of_the_same_labels() -> None:
    ((begun,), (ended,)) = (sent("alertmanager", one) for one in (BEGUN, OVER))
    assert ended["labels"] == begun["labels"]
    assert ended["labels"]["alertname"] == "Synthetic trouble a"
    assert datetime.fromisoformat(ended["endsAt"]).timestamp() == NOW
    assert ended["startsAt"] <= ended["endsAt"], "or it is refused"
    assert begun["startsAt"] <= ended["endsAt"] < begun["endsAt"], "so that the two are one"
    assert ended["annotations"]["summary"] == "Over: Synthetic trouble a"
    assert ended.keys() <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}


@pytest.mark.parametrize("kind", ["slack", "teams", "email"])
def test_people_read_a_short_message_that_it_is_over(kind: str) -> None:
    ended, begun = ("\n".join(texts(sent(kind, one))) for one in (OVER, BEGUN))
    assert "Over: Synthetic trouble a" in ended
    assert "Over after 12 minutes. It was: it does not answer." in ended
    assert "22:13:20 UTC to 2023-11-14 22:25:20 UTC" in ended
    assert "Over" not in begun
    assert "Revision" not in ended


def test_it_looks_like_no_alarm() -> None:
    (mark, *_) = sent("slack")["blocks"][-1]["elements"]
    assert mark["text"] == ":white_check_mark: over"
    assert sent("slack")["text"] == "Over: Synthetic trouble a"
    title = sent("teams")["attachments"][0]["content"]["body"][0]["inlines"][0]
    assert (title["text"], title["color"]) == ("Over: Synthetic trouble a", "Good")
    mail = sent("email", over(own("a", severity="critical")))
    assert mail["Subject"] == "[Wardwatch] Over: Synthetic trouble a"
    assert mail["Importance"] is None


def test_a_mail_is_another_in_the_same_thread() -> None:
    begun, ended = sent("email", BEGUN), sent("email")
    assert begun["References"] == ended["References"]
    assert begun["Message-ID"] != ended["Message-ID"]


@pytest.mark.parametrize("kind", COMPOSERS)
def test_no_end_names_a_patient(kind: str) -> None:
    name = "k1.abcdefghijklmnopqrstuvwx"
    ended = over(alert("p", entity=f"patient:{name}", reason=f"unusual for patient:{name}"))
    assert name not in "\n".join(texts(sent(kind, ended)))


def test_the_page_says_what_each_kind_is_sent() -> None:
    section = (ROOT / "docs" / "receivers.md").read_text().split("\n## When it is over\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", section, re.MULTILINE)
    said = {kind: text for kinds, text in rows for kind in re.findall(r"`(\w+)`", kinds)}
    assert said.keys() == {"webhook", *COMPOSERS}
    body = orjson.loads(alert_body(OVER))
    for name, value in (("type", body["type"]), *((name, body["data"][name]) for name in ("revision", "status"))):
        assert f"`{name}: {value}`" in said["webhook"]
    assert webhook_id(OVER, "oncall").endswith(".2.oncall")
    assert f"`event_action: {sent('pagerduty')['event_action']}`" in said["pagerduty"]
    assert '"Over: "' in said["email"]
