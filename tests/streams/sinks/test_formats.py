"""What each kind of receiver is sent: it names no patient, means nothing but what it says, and is never too long."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from functools import cache

import orjson
import pytest
from composing import COMPOSERS, NOW, ROUTING_KEY, URL, grouped, texts, told, wire
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey
from synthetic_alerts import alert

from detectors.base import Alert, digest
from detectors.rules import starter_rules
from streams import topics
from streams.codecs import decode_finding
from streams.deadletters import DeadLetters
from streams.demo.hospital import Hospital
from streams.demo.stories import STORIES
from streams.notify import alert_body
from streams.pipeline import Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import RawRecord
from streams.sinks import alertmanager, slack
from streams.sinks.messages import cut, plain, utf8, utf16

# -- nobody is named -------------------------------------------------------------------------------------------------


@cache
def attacks() -> tuple[list[Alert], list[str]]:
    """The alerts of every attack of the demo, with each of its records' free strings naming its patients; and those."""
    hospital = Hospital(seed=5, staff=20, patients=60, devices=10)
    letters = DeadLetters(bytes(PrivateKey.generate().public_key))
    ingest = Ingest(Reader(starter_rules(), Pseudonyms(bytes(32), "k1")), letters, views=())
    alerts = []
    for story in STORIES:
        for number, emission in enumerate(story.tell(hospital, 1_700_000_000_000)):
            raw = RawRecord(
                "audit.ehr",
                0,
                number,
                int(NOW * 1000),
                orjson.dumps(emission.record),
                {"source": emission.source.encode()},
            )
            for output in ingest.derive(raw).outputs:
                if output.topic == topics.FINDINGS:
                    finding = decode_finding(output.value)
                    alerts.append(
                        Alert(
                            digest("alert", finding.id),
                            1,
                            finding.entity,
                            finding.severity,
                            finding.title,
                            finding.reason,
                            "open",
                            finding.time,
                            finding.time,
                            (finding,),
                        )
                    )
    return alerts, list(hospital.patients)


@pytest.mark.parametrize("kind", COMPOSERS)
def test_no_message_names_a_patient(kind: str) -> None:
    alerts, patients = attacks()
    pseudonyms = Pseudonyms(bytes(32), "k1")
    named = {pseudonyms.patient(f"Patient/{patient}").removeprefix("patient:") for patient in patients}
    assert {one.entity.partition(":")[0] for one in alerts} >= {"user", "device"}
    about_patients = [alert("p", entity=f"patient:{name}", reason=f"unusual for patient:{name}") for name in named]
    shown = ""
    for one in [*alerts, *about_patients]:
        for body in (alert_body(one, public_url=URL), grouped(one)):
            shown += "\n".join(texts(told(kind, body)))
    assert "a patient" in shown
    for identifier in [*patients, *named]:
        assert identifier.lower() not in shown.lower()


def test_a_patient_would_be_seen_in_them() -> None:
    alerts, patients = attacks()
    planted = alert("p", title=f"about {patients[0]}")
    assert all(patients[0] in "\n".join(texts(told(kind, alert_body(planted)))) for kind in COMPOSERS)
    assert len(alerts) > 10


# -- text is text ----------------------------------------------------------------------------------------------------

HOSTILE = [
    "<!channel> <@U1> <https://evil.example|click>",
    "[click](https://evil.example) **bold** `code` # heading",
    "a\r\nBcc: everyone@hospital.example\r\n\r\nbody",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "\x00\x1b[2J\x07\x9b",
    "&lt;b&gt;&amp;",
    '{"a": "b"}\\"',
    "\ud800 lone",
    "=?utf-8?b?4oCu?= =?utf-8?q?evil?=",
]


def hostile(text: str) -> Alert:
    return alert("h", title=text, reason=text, entity=f"user:{text}", source=text, rule={"id": text, "author": text})


HOSTILE_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


@given(HOSTILE_TEXT)
@example(HOSTILE[0])
@example(HOSTILE[1])
@example(HOSTILE[2])
@example(HOSTILE[3])
@example(HOSTILE[4])
@example(HOSTILE[8])
@settings(max_examples=60, deadline=None)
def test_nothing_hides_or_moves_in_any_message(text: str) -> None:
    one = hostile(text)
    for kind in COMPOSERS:
        for body in (alert_body(one, public_url=URL), grouped(one, one)):
            for shown in texts(told(kind, body)):
                bad = {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
                assert bad <= {"\n"}, kind


@given(HOSTILE_TEXT)
@example(HOSTILE[0])
@example(HOSTILE[5])
@settings(max_examples=60, deadline=None)
def test_slack_reads_no_markup_that_a_sender_wrote(text: str) -> None:
    message = told("slack", alert_body(hostile(text), public_url=URL))
    links = [block["text"] for block in message["blocks"] if block.get("text", {}).get("type") == "mrkdwn"]
    assert [link["text"] for link in links] == [f"<{URL}#{hostile(text).id}|Open in Wardwatch>"]
    message["blocks"] = [block for block in message["blocks"] if block.get("text") not in links]
    for shown in texts(message):
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", shown)
    assert not set("*_~`@#") & set(message["text"])
    kinds = [e["type"] for block in message["blocks"] for e in (block.get("fields") or block.get("elements") or [])]
    assert set(kinds) <= {"plain_text", "mrkdwn"}
    for block in message["blocks"]:
        if block["type"] == "context":
            (mark,) = [element for element in block["elements"] if element["type"] == "mrkdwn"]
            assert mark["text"] == ":large_orange_circle: high"


def test_slack_shows_what_a_sender_wrote_as_it_is() -> None:
    message = told("slack", alert_body(alert("x", title="a < b & c > d")))
    assert message["blocks"][0]["text"]["text"] == "a &lt; b &amp; c &gt; d"


@pytest.mark.parametrize("text", HOSTILE)
def test_teams_reads_no_markdown_that_a_sender_wrote(text: str) -> None:
    """Markdown is read in text blocks, facts and titles of actions: no text of a sender is in any."""
    card = told("teams", alert_body(hostile(text.replace("\ud800", "")), public_url=URL))["attachments"][0]["content"]
    assert {element["type"] for element in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for element in card["body"] for run in element["inlines"]} == {"TextRun"}
    assert [(action["type"], action["title"]) for action in card["actions"]] == [
        ("Action.OpenUrl", "Open in Wardwatch")
    ]
    assert card["actions"][0]["url"].startswith(URL)


HEADERS = ["Subject", "From", "To", "Date", "Message-ID", "References", "Auto-Submitted", "X-Auto-Response-Suppress"]


@given(HOSTILE_TEXT)
@example(HOSTILE[2])
@example(HOSTILE[8])
@example("a\nBcc: x@evil.example")
@settings(max_examples=60, deadline=None)
def test_mail_has_no_header_that_a_sender_wrote(text: str) -> None:
    body = alert_body(hostile(text))
    raw = wire("email", body)
    head = raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].decode() for line in re.split(rb"\r\n(?![ \t])", head)]
    assert sorted(names) == sorted([*HEADERS, "Content-Type", "Content-Transfer-Encoding", "MIME-Version"])
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    message = told("email", body)
    assert message["To"] == "soc@hospital.example, ciso@hospital.example"
    assert message["Subject"].startswith("[Wardwatch] high: ")


# -- nothing is too long ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filling", ["x", "&", "\U0001d54f", "ä", "<", " x"])
@pytest.mark.parametrize("body", ["alert", "grouped", "summary"])
def test_no_message_is_longer_than_its_receiver_takes(filling: str, body: str) -> None:
    one = hostile(filling * 40_000)
    many = [hostile(f"{number}{filling * 40_000}") for number in range(40)]
    content = {
        "alert": alert_body(one, public_url=URL),
        "grouped": grouped(*many),
        "summary": grouped(*many, group=""),
    }[body]
    message = told("pagerduty", content)
    assert len(message["payload"]["summary"]) <= 1024
    assert len(message["dedup_key"]) <= 255
    assert len(wire("pagerduty", content)) < 512 * 1024
    message = told("slack", content)
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        if block["type"] == "header":
            assert 1 <= utf16(block["text"]["text"]) <= 150
        elif "text" in block:
            assert 1 <= utf16(block["text"]["text"]) <= 3000
        assert len(block.get("fields", [])) <= 10
        assert all(1 <= utf16(field["text"]) <= 2000 for field in block.get("fields", []))
    assert len(wire("teams", content)) <= 28 * 1024
    labels = told("alertmanager", content)[0]["labels"]
    assert all(0 < len(value) <= 256 for value in labels.values())
    assert utf8(str(told("email", content)["Subject"])) <= 180


@given(st.text(), st.integers(0, 40))
@settings(max_examples=100)
def test_what_is_cut_fits_and_no_escape_is_cut_in_two(text: str, limit: int) -> None:
    for size in (len, utf16, utf8):
        shown = cut(text, limit, size=size, escape=slack.escaped)
        if limit >= 3:
            assert size(shown) <= limit
        assert not re.search(r"&(?!amp;|lt;|gt;)", shown)
        if size(slack.escaped(text)) <= limit:
            assert shown == slack.escaped(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("  a \t b\n c  ", "a b c"),
        ("a\u202eb", "a?b"),
        ("a\u00a0b\u2028c", "a b c"),
        ("patient:k1.abcdefghijklmnopqrstuvwx read", "a patient read"),
        ("of patient:k1.abc, and patient:k1.def.", "of a patient, and a patient"),
        ("Zoë 北京 👩", "Zoë 北京 👩"),
        (7, "7"),
    ],
)
def test_plain_text(text: object, shown: str) -> None:
    assert plain(text) == shown


# -- what each says --------------------------------------------------------------------------------------------------


def test_pagerduty_opens_one_incident_for_an_alert_whatever_its_revision() -> None:
    first, later = (told("pagerduty", alert_body(alert("a", revision=n), public_url=URL)) for n in (1, 2))
    assert first["dedup_key"] == later["dedup_key"] == alert("a").id
    assert first["event_action"] == "trigger"
    assert first["routing_key"] == ROUTING_KEY
    assert first["client_url"] == f"{URL}#{alert('a').id}"
    assert first["payload"]["summary"] == "Synthetic alert a (user:Practitioner/synthetic-p1)"
    assert first["payload"]["severity"] == "error"
    assert first["payload"]["timestamp"] == "2023-11-14T22:13:20.000+00:00"
    assert first["payload"]["custom_details"]["ATT&CK"] == "T1485"


def test_what_belongs_together_is_one_incident_and_one_thread() -> None:
    leader = alert_body(alert("a"), group="g" * 32)
    more = grouped(alert("b"), alert("c"))
    assert told("pagerduty", leader)["dedup_key"] == told("pagerduty", more)["dedup_key"] == "g" * 32
    mails = [told("email", body, delivery_id) for body, delivery_id in ((leader, "1"), (more, "2"))]
    assert len({mail["References"] for mail in mails}) == 1
    assert len({mail["Message-ID"] for mail in mails}) == 2
    assert told("email", more, "2")["Message-ID"] == mails[1]["Message-ID"], "a retry is the same mail"


@pytest.mark.parametrize("claimed", [-5, 0, 253_402_300_800_000, 10**18, int(NOW * 1000) + 1])
def test_a_time_that_cannot_be_is_told_and_believed_by_no_receiver(claimed: int) -> None:
    body = alert_body(alert("a", time=claimed))
    assert datetime.fromisoformat(told("pagerduty", body)["payload"]["timestamp"]).timestamp() == NOW
    for kind in COMPOSERS:
        assert wire(kind, body)


def test_alertmanager_holds_an_alert_that_comes_late() -> None:
    (sent,) = told("alertmanager", alert_body(alert("a", time=1_600_000_000_000), public_url=URL))
    begins, ends = (datetime.fromisoformat(sent[name]).timestamp() for name in ("startsAt", "endsAt"))
    assert (begins, ends) == (NOW, NOW + 24 * 3600)
    assert sent["labels"] == {
        "alertname": "Synthetic alert a",
        "severity": "high",
        "entity": "user:Practitioner/synthetic-p1",
        "source": "fhir",
        "service": "wardwatch",
        "alert": alert("a").id,
    }
    assert sent["generatorURL"] == f"{URL}#{alert('a').id}"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://am.example", "https://am.example/api/v2/alerts"),
        ("https://am.example/", "https://am.example/api/v2/alerts"),
        ("https://am.example/prefix", "https://am.example/prefix/api/v2/alerts"),
        ("https://am.example/api/v2/alerts", "https://am.example/api/v2/alerts"),
    ],
)
def test_alertmanager_is_named_by_its_address(url: str, endpoint: str) -> None:
    assert alertmanager.endpoint(url) == endpoint


@pytest.mark.parametrize("kind", COMPOSERS)
def test_a_link_is_there_only_where_the_page_has_an_address(kind: str) -> None:
    assert URL in wire(kind, alert_body(alert("a"), public_url=URL)).decode().replace("=\r\n", "")
    assert b"wardwatch.hospital.example" not in wire(kind, alert_body(alert("a")))


@pytest.mark.parametrize("kind", COMPOSERS)
def test_where_a_rule_is_read_is_told_where_it_is_set(kind: str) -> None:
    rule = {"id": "r1", "name": "Synthetic rule", "reference": "https://git.hospital.example/r1.yml"}
    assert b"git.hospital.example/r1.yml" in wire(kind, alert_body(alert("a", rule=rule)))
    assert b'"Rule"' not in wire(kind, alert_body(alert("a")))


@pytest.mark.parametrize("kind", COMPOSERS)
def test_groups_summaries_and_the_last_of_an_hour_say_what_they_are(kind: str) -> None:
    def shown(body: bytes) -> str:
        return re.sub(r"\s+", " ", " ".join(texts(told(kind, body))))

    more = shown(grouped(alert("a"), alert("b", reason="another reason")))
    assert "2 more" in more
    assert "another reason" in more
    summary = shown(grouped(alert("a"), alert("b"), alert("b", severity="critical"), group=""))
    assert "3 alerts past the cap of an hour" in summary or kind == "alertmanager"
    assert "2 of: Synthetic alert b" in summary
    assert "None is lost" in summary
    last = orjson.loads(alert_body(alert("a"))) | {"last_of_hour": {"cap": 30, "until": 1_700_002_800_000}}
    assert "30 messages an hour were reached: what follows until 2023-11-14 23:00:00 UTC" in shown(orjson.dumps(last))
