"""Nothing is shown before it is told that somebody asked, and nobody can put another in a patient's place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from detectors.base import Event
from streams import cli
from streams.admin import SetupError
from streams.commands import accesses, reveal
from streams.commands.accesses import Access, Answer, NotAsked, moment, names_of, timeline, who
from streams.commands.reveal import NotRevealed
from streams.keys import Keys, load_keys
from streams.pseudonyms import Pseudonyms
from streams.settings import Settings
from streams.sinks.event_store import EventStore, Limits
from streams.vault import Identity, seal

PATIENT = "Patient/synthetic-000001"
DAY = 86_400_000
NOW = 1_790_000_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return load_keys(settings.home)


@pytest.fixture
def pseudonym(keys: Keys) -> str:
    return Pseudonyms(keys.pseudonym, keys.pseudonym_id).patient(PATIENT)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was told, in place of Kafka."""
    heard: list[dict[str, Any]] = []

    def tell(settings: Settings, action: str, *, outcome: str = "success", **said: str) -> None:
        heard.append({"action": action, "outcome": outcome, **{name: value for name, value in said.items() if value}})

    for module in (reveal, accesses):
        monkeypatch.setattr(module, "tell", tell)
    return heard


def no_kafka(*_: object, **__: object) -> None:
    raise SetupError("so nothing is shown")


def holding(monkeypatch: pytest.MonkeyPatch, keys: Keys, under: str, identifier: str, public: bytes = b"") -> None:
    (entry,) = seal({under: Identity(identifier)}, public or keys.vault_public)
    monkeypatch.setattr(reveal, "in_vault", lambda settings, name: entry.value if name == under else None)


def test_it_is_told_and_then_shown(
    settings: Settings, keys: Keys, pseudonym: str, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(monkeypatch, keys, pseudonym, PATIENT)
    found = reveal.reveal(settings, keys, pseudonym, "case 1")
    assert (found.identity.identifier, found.checked) == (PATIENT, True)
    what = {"action": "reveal-identity", "outcome": "success", "reason": "case 1"}
    assert told == [{**what, "subject": pseudonym, "patient": PATIENT}]
    monkeypatch.setattr(reveal, "tell", no_kafka)
    with pytest.raises(SetupError, match="so nothing is shown"):
        reveal.reveal(settings, keys, pseudonym, "case 1")


def test_another_identity_under_a_pseudonym_is_seen(
    settings: Settings, keys: Keys, pseudonym: str, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody who may write to the topic has the public key."""
    holding(monkeypatch, keys, pseudonym, "Patient/synthetic-000002")
    with pytest.raises(NotRevealed, match="somebody else wrote to the vault"):
        reveal.reveal(settings, keys, pseudonym, "case 1")
    assert [(one["outcome"], one.get("patient")) for one in told] == [("failure", None)]


def test_what_somebody_typed_is_told_only_where_it_is_a_pseudonym(
    settings: Settings, keys: Keys, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reveal, "in_vault", lambda *_: None)
    with pytest.raises(NotRevealed, match="the vault holds no such pseudonym"):
        reveal.reveal(settings, keys, "Synthetic Patient 1", "case 1")
    assert "subject" not in told[0]


@pytest.mark.parametrize("spelling", [PATIENT, "synthetic-000001", "SYNTHETIC-000001", "called%20synthetic%2D000001"])
def test_a_reason_that_names_the_patient_is_refused_and_not_told(
    settings: Settings,
    keys: Keys,
    pseudonym: str,
    told: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    spelling: str,
) -> None:
    holding(monkeypatch, keys, pseudonym, PATIENT)
    with pytest.raises(NotRevealed, match="the reason holds the patient's identifier"):
        reveal.reveal(settings, keys, pseudonym, f"because of {spelling}")
    assert told == [{"action": "reveal-identity", "outcome": "failure", "subject": pseudonym}]


@pytest.fixture
def kept(settings: Settings, pseudonym: str) -> EventStore:
    store = EventStore(settings.events_path)
    events = [
        Event(
            f"e{n}",
            NOW - n * DAY,
            "fhir",
            f"user:synthetic-p{n % 2}",
            (pseudonym,),
            fields={"event.action": "read", "event.outcome": "success", "wardwatch.purpose": ["TREAT"]},
        )
        for n in range(5)
    ]
    store.write(events, now=NOW, limits=Limits(1 << 30, 90))
    return store


def test_who_is_told_too_and_counts_each_actor(
    settings: Settings,
    keys: Keys,
    kept: EventStore,
    told: list[dict[str, Any]],
    pseudonym: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for asked, said in ((PATIENT, {"patient": PATIENT}), (pseudonym, {"subject": pseudonym})):
        answer = who(settings, keys, asked, since=NOW - 3 * DAY, until=NOW, reason="case 1")
        assert [access.json() for access in answer.entries] == [
            {
                "actor": f"user:synthetic-p{n}",
                "count": 2,
                "first": NOW - (n + 2) * DAY,
                "last": NOW - n * DAY,
                "actions": {"read": 2},
                "purposes": {"TREAT": 2},
                "sources": {"fhir": 2},
                "outcomes": {"success": 2},
            }
            for n in (0, 1)
        ]
        assert told.pop() == {"action": "list-accesses", "outcome": "success", "reason": "case 1", **said}
        named = any("names a patient under one key" in caveat for caveat in answer.caveats)
        assert named == (asked == pseudonym)
    monkeypatch.setattr(accesses, "tell", no_kafka)
    with pytest.raises(SetupError, match="so nothing is shown"):
        who(settings, keys, PATIENT, since=0, until=NOW)
    kept.close()


def test_a_timeline_tells_only_of_an_entity_that_events_have(
    settings: Settings, keys: Keys, kept: EventStore, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = timeline(settings, keys, "user:synthetic-p0", since=0, until=NOW).entries
    assert [entry["id"] for entry in entries] == ["e4", "e2", "e0"]
    assert told.pop()["entity"] == "user:synthetic-p0"
    assert timeline(settings, keys, "user:Synthetic Patient 1", since=0, until=NOW).entries == []
    assert told.pop() == {"action": "show-timeline", "outcome": "success"}
    assert len(timeline(settings, keys, PATIENT, since=0, until=NOW).entries) == 5
    assert told.pop()["patient"] == PATIENT
    bare = timeline(settings, keys, "synthetic-p0", since=0, until=NOW)
    assert bare.entries == []
    assert bare.caveats[-1:] == [
        "that was looked for as a patient's identifier; others are user:…, device:… or address:…"
    ]
    for ask in (who, timeline):
        told.clear()
        with pytest.raises(NotAsked, match="name a"):
            ask(settings, keys, "", since=0, until=NOW)
        assert told == [], "nothing was asked"
    monkeypatch.setattr(accesses, "tell", no_kafka)
    with pytest.raises(SetupError, match="so nothing is shown"):
        timeline(settings, keys, PATIENT, since=0, until=NOW)
    kept.close()


def test_who_came_once_is_told_one_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    once, often = Access("user:a", 1, NOW, NOW), Access("user:b", 1200, NOW - 2000, NOW)
    monkeypatch.setattr(accesses, "who", lambda *_, **__: Answer([often, once], []))
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path / "home"))
    told = CliRunner().invoke(cli.app, ["who", PATIENT]).stdout.splitlines()
    begun, ended = (f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S}" for time in (NOW - 2000, NOW))
    assert told[::2] == [f"user:b  1,200 times, {begun} to {ended}", f"user:a  once, {ended}"]


def test_what_an_answer_leaves_out_it_says(
    settings: Settings, keys: Keys, kept: EventStore, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accesses, "MOST", 3)
    sampled = settings.model_copy(update={"events_sample": 0.5})
    caveats = who(sampled, keys, PATIENT, since=NOW - 9 * DAY, until=NOW).caveats
    assert [caveat.split(",")[0][:42] for caveat in caveats] == [
        "there are more than 3 events",
        "events_sample",
        "nothing is kept of what came before 2026-0",
    ]
    kept.close()


def test_without_a_store_it_says_what_to_run(settings: Settings, keys: Keys) -> None:
    with pytest.raises(SetupError, match="run `wardwatch worker --only events`"):
        who(settings, keys, PATIENT, since=0, until=NOW)


def test_an_identifier_has_a_name_under_each_key(keys: Keys, pseudonym: str, settings: Settings) -> None:
    from streams.keys import activate, spare

    activate(keys, spare(keys))
    both = load_keys(settings.home)
    assert names_of("https://ehr.example/fhir/" + PATIENT, both)[0] == pseudonym
    assert len(names_of(PATIENT, both)) == 2
    assert names_of(pseudonym, both) == [pseudonym]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30d", NOW - 30 * DAY),
        ("12h", NOW - DAY // 2),
        ("2026-03-01", 1_772_323_200_000),
        ("2026-03-01T01:00:00+01:00", 1_772_323_200_000),
    ],
)
def test_times(text: str, time: int) -> None:
    assert moment(text, NOW) == time


@pytest.mark.parametrize("text", ["", "0d", "30", "yesterday", "1y", "-3d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(NotAsked, match="say 30d, 12h"):
        moment(text, NOW)
