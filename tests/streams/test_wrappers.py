"""One record that holds many becomes the events of all, each as if it had come by itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nacl.public import PrivateKey
from standing_in import NO_JOURNAL, TOPIC, Sent, batch_of

from detectors.rules import starter_rules
from streams import topics
from streams.codecs import timely_event
from streams.deadletters import DeadLetter, DeadLetters, open_letter
from streams.demo.records import cloudtrail
from streams.handlers import IngestHandler
from streams.pipeline import EVENT_ID, Ingest, Reader
from streams.privacy import Pseudonyms
from streams.reading import read_files
from streams.records import Output, RawRecord
from streams.tallies import Skews, Tally
from streams.watermarks import InputClocks
from streams.wrappers import DEEPEST, MOST, unwrap

NOW = 1_790_000_000_000
PRIVATE = PrivateKey.generate()
LINE = "2 000000000001 eni-1 192.0.2.7 198.51.100.1 50000 22 6 20 4249 1790000000 1790000060 REJECT OK"
KUBERNETES = {"kind": "Event", "verb": "get", "objectRef": {"resource": "pods"}, "auditID": "k-1"}


def trail(number: int) -> dict[str, Any]:
    record = cloudtrail(
        id=f"c-{number}",
        time=NOW + 1000 * number,
        name="GetObject",
        service="s3",
        user="synthetic-1",
        address="192.0.2.1",
    )
    return dict(record)


def ingest() -> Ingest:
    return Ingest(Reader(starter_rules(), Pseudonyms(bytes(32), "k1")), DeadLetters(bytes(PRIVATE.public_key)))


def derive(value: Any, **headers: bytes) -> tuple[list[str], list[DeadLetter]]:
    """Ids of the events, and the dead letters, of one value on ``audit.cloud``."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    derived = ingest().derive(RawRecord("audit.cloud", 0, 7, NOW, raw, headers)).outputs
    return ids(derived), [open_letter(o.value, bytes(PRIVATE)) for o in derived if o.topic == topics.DEAD_LETTERS]


def ids(outputs: Any) -> list[str]:
    return [timely_event(output.value, 1).id for output in outputs if output.topic == topics.EVENTS]


def raw(value: bytes, **headers: bytes) -> RawRecord:
    return RawRecord("audit.cloud", 0, 7, NOW, value, headers)


def azure(number: int) -> dict[str, Any]:
    return {
        "time": "2026-09-21T14:13:20Z",
        "eventDataId": f"a-{number}",
        "resourceId": "/subscriptions/s",
        "operationName": "Microsoft.Web/sites/read",
    }


CASES: dict[str, tuple[Any, list[str]]] = {
    "S3": ({"Records": [trail(1), trail(2)]}, ["c-1", "c-2"]),
    "Event Hubs": ({"records": [azure(1), azure(2)]}, ["a-1", "a-2"]),
    "EventBridge": ({"id": "x", "detail-type": "AWS API Call via CloudTrail", "detail": trail(1)}, ["c-1"]),
    "CloudWatch Logs": (
        {"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": json.dumps(trail(n))} for n in (1, 2)]},
        ["c-1", "c-2"],
    ),
    "CloudWatch Logs says that it is there": ({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "x"}]}, []),
    "an audit webhook": ({"kind": "EventList", "items": [KUBERNETES, KUBERNETES]}, ["k-1/", "k-1/"]),
    "AKS": (
        {"category": "kube-audit", "operationName": "x", "properties": {"log": json.dumps(KUBERNETES)}},
        ["k-1/"],
    ),
    "AKS in Event Hubs": (
        {
            "records": [
                {"category": "kube-audit", "operationName": "x", "properties": {"log": json.dumps(KUBERNETES)}},
                azure(1),
            ]
        },
        ["k-1/", "a-1"],
    ),
    "an export": ({"AuditData": json.dumps({"Operation": "x", "Workload": "Teams", "Id": "m-1"})}, ["m-1"]),
    "a page of Graph": (
        {"value": [{"id": "g-1", "loggedByService": "PIM", "activityDisplayName": "Add member to role"}]},
        ["g-1"],
    ),
    "a line of a shipper": ({"@timestamp": "x", "message": json.dumps(trail(1))}, ["c-1"]),
    "an empty batch": ({"Records": []}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_lies_in_a_wrapper_is_read_as_if_it_lay_there_by_itself(case: str, tmp_path: Path) -> None:
    value, want = CASES[case]
    found, letters = derive(value)
    assert (found, letters) == (want, [])
    path = tmp_path / "file"
    path.write_text(f"{json.dumps(azure(9))}\n{json.dumps(value)}\n")
    first, *items = read_files([str(path)])
    assert first.record == azure(9)
    assert len(items) == len(want)
    assert all(item.error is None for item in items)
    assert len({item.place for item in items}) == len(items)


def test_an_activity_of_google_workspace_is_as_many_events_as_it_lists() -> None:
    activity = {
        "id": {"applicationName": "drive", "time": "2026-09-21T14:13:20Z", "uniqueQualifier": "q"},
        "actor": {"email": "synthetic@hospital.example"},
        "events": [{"name": "view", "type": "access"}, {"name": "view", "type": "access"}],
    }
    one, two = derive(activity)[0]
    assert one != two
    assert derive({"kind": "admin#reports#activities", "items": [activity]})[0] == [one, two]


def test_ids_of_records_without_one_are_their_place_and_the_same_in_every_replay() -> None:
    bare = [{"action": "git.clone", "actor": f"synthetic-{n}", "created_at": NOW} for n in range(3)]
    found, _ = derive({"records": bare})
    assert len(set(found)) == 3
    assert derive({"records": bare})[0] == found
    assert set(derive({"records": bare}, **{EVENT_ID: b"given"})[0]).isdisjoint(found)


def test_a_bad_member_costs_itself_and_its_letter_sent_again_counts_once() -> None:
    bad = {**trail(2), "eventTime": "yesterday"}
    found, (letter,) = derive({"Records": [trail(1), bad, trail(3)]}, producer=b"synthetic-shipper")
    assert found == ["c-1", "c-3"]
    assert (letter.position, json.loads(letter.value)) == ("audit.cloud/0/7", bad)
    assert "eventTime is no RFC 3339" in letter.reason
    assert letter.headers["producer"] == "synthetic-shipper"
    again = {name: value.encode() for name, value in letter.headers.items()}
    nameless = {"action": "git.clone", "actor": "synthetic-1", "created_at": NOW}
    (whole,) = derive({"records": [nameless]})[0]
    one = derive({"records": [{**nameless, "created_at": "x"}]})[1][0].headers[EVENT_ID]
    assert derive(nameless, **{EVENT_ID: one.encode()})[0] == [whole]
    assert derive({**bad, "eventTime": trail(2)["eventTime"]}, **again)[0] == ["c-2"]


NAMELESS = [{"action": "git.clone", "actor": f"synthetic-{n}", "created_at": NOW} for n in range(3)]


def test_an_array_is_its_members_under_the_ids_of_its_header() -> None:
    alone = [derive(record, **{EVENT_ID: f"g-{n}".encode()})[0] for n, record in enumerate(NAMELESS)]
    assert [derive(NAMELESS, **{EVENT_ID: b"g-0\ng-1\ng-2", "source": b"github"})[0]] == [[id_ for (id_,) in alone]]
    made, _ = derive(NAMELESS, **{EVENT_ID: b"g-0\ng-1"})  # two ids name no three records
    assert set(made).isdisjoint(id_ for (id_,) in alone)
    assert len(set(made)) == 3
    assert derive([trail(1), azure(2)])[0] == ["c-1", "a-2"]
    assert derive([{"Records": [trail(1), trail(2)]}, trail(3)])[0] == ["c-1", "c-2", "c-3"]


def test_texts_in_an_array_are_records_as_their_bytes_are() -> None:
    texts = [json.dumps(trail(1)), LINE, "none"]
    found, (letter,) = derive(texts, **{EVENT_ID: b"one\ntwo\nthree"})
    assert found == [*derive(trail(1))[0], *ids(ingest().derive(raw(LINE.encode(), **{EVENT_ID: b"two"})).outputs)]
    assert (letter.value, letter.headers[EVENT_ID]) == (b"none", "three")


@pytest.mark.parametrize("value", [b"[]", b"[" * 100_000, b"[1, 2", b"[]]"])
def test_an_array_that_holds_nothing_or_breaks_off_is_a_dead_letter(value: bytes) -> None:
    (letter,) = ingest().derive(raw(value)).outputs
    assert open_letter(letter.value, bytes(PRIVATE)).value == value


@pytest.mark.parametrize("depth", [300, 900, 1010])
@pytest.mark.parametrize("around", ["[%s, {}]", '{"Records": [%s, {}]}', '{"records": [%s, {}]}'])
def test_a_member_nested_more_deeply_than_is_written_stops_nothing(around: str, depth: int) -> None:
    value = (around % ('{"a": ' + "[" * depth + "]" * depth + "}")).encode()
    letters = ingest().derive(raw(value)).outputs
    assert len(letters) in (1, 2)
    assert {output.topic for output in letters} == {topics.DEAD_LETTERS}
    if depth == 300:
        assert [output.key for output in letters] == [b"audit.cloud/0/7.1", b"audit.cloud/0/7.2"]


def test_a_record_that_is_refused_whole_keeps_the_ids_of_what_it_holds() -> None:
    given = "\n".join(f"g-{n:036}" for n in range(200))
    letter = ingest().refuse(raw(json.dumps([{}] * 200).encode(), **{EVENT_ID: given.encode()}), "killed").outputs[0]
    assert open_letter(letter.value, bytes(PRIVATE)).headers[EVENT_ID] == given


def test_a_record_whose_letters_would_fill_the_memory_is_one_letter() -> None:
    headers = {f"h{number}": b"x" * 512 for number in range(120)}
    (letter,) = ingest().derive(raw(b"[" + b",".join([b"{}"] * 1000) + b"]", **headers)).outputs
    assert open_letter(letter.value, bytes(PRIVATE)).reason == (
        "1000 records in one become more than 32000000 bytes: send fewer at a time"
    )


def test_letters_of_one_record_have_names_of_their_own() -> None:
    outputs = ingest().derive(RawRecord("audit.cloud", 0, 7, NOW, b'{"Records": [{}, 7, null, {}]}', {})).outputs
    assert [output.key.decode() for output in outputs] == [f"audit.cloud/0/7.{n}" for n in (1, 2, 3, 4)]


def test_a_source_named_in_the_header_is_that_of_each_member() -> None:
    found, letters = derive({"Records": [trail(1)]}, source=b"cloudtrail")
    assert (found, letters) == (["c-1"], [])
    _, (letter,) = derive({"Records": [trail(1)]}, source=b"github")
    assert letter.reason == "action is missing"


def test_wrappers_in_wrappers_end_somewhere() -> None:
    value: dict[str, Any] = trail(1)
    for _ in range(DEEPEST):
        value = {"detail-type": "x", "detail": value}
    assert derive(value)[0] == ["c-1"]
    found, (letter,) = derive({"detail-type": "x", "detail": value})
    assert found == []
    assert "shape of no source" in letter.reason


def test_more_records_in_one_than_there_are_positions_for_are_a_dead_letter() -> None:
    found, (letter,) = derive({"records": [{}] * (MOST + 1)})
    assert found == []
    assert letter.reason.startswith(f"{MOST + 1} records in one")


@pytest.mark.parametrize(
    ("value", "flows"),
    [
        (LINE, 1),
        (f"{LINE}\n{LINE}\n", 2),
        (f"srcaddr dstaddr action start\n192.0.2.7 198.51.100.1 ACCEPT 1790000000\n{'- - - -'}", 2),
        ("2 000000000001 eni-1 - - - - - - - 1790000000 1790000060 - NODATA", 1),
        (json.dumps({"logEvents": [{"message": LINE}], "messageType": "DATA_MESSAGE"}), 1),
    ],
    ids=["line", "lines", "header", "no data", "CloudWatch Logs"],
)
def test_plain_lines_of_flow_logs(value: str, flows: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(value)
    found, letters = derive(value.encode())
    read = [item for item in read_files([str(path)]) if item.record]
    assert len(read) == flows
    assert len(found) + len(letters) == flows
    assert all("log-status" in letter.reason for letter in letters), "an address that is none, and nothing says why"


@pytest.mark.parametrize("value", ["nonsense", "2 1 2 3", f"{LINE}\nnonsense", "\x00\xff"])
def test_lines_that_are_no_flow_logs_are_dead_letters_as_ever(value: str) -> None:
    found, (letter,) = derive(value.encode())
    assert found == []
    assert letter.reason.startswith("the record is no JSON")


@pytest.mark.parametrize(
    "record",
    [{}, {"items": [{"a": 1}]}, {"records": "x"}, {"value": [1, 2]}, {"events": [{}]}, {"message": "hello"}, trail(1)],
)
def test_what_is_no_wrapper_is_left_alone(record: dict[str, Any]) -> None:
    assert unwrap(record) is None


async def test_each_source_in_a_batch_moves_its_clock() -> None:
    clocks = InputClocks(inputs=1, idle_after=5)
    sent = Sent()
    tally = Tally()
    handler = IngestHandler(
        ingest(),
        sent,  # type: ignore[arg-type]
        clocks,
        journal=NO_JOURNAL,
        tally=tally,
        skews=Skews(),
        topic_id=TOPIC,
        name="audit.cloud/0",
        now=lambda: 0.0,
    )
    await handler.open()
    value = json.dumps({"records": [azure(1), trail(5), trail(2), {}]}).encode()
    record = SimpleNamespace(
        offset=0, key=None, value=value, headers=[], partition=0, timestamp=NOW, topic="audit.cloud"
    )
    await handler.process(batch_of("audit.cloud", [record]))
    assert ids([output for output in sent.outputs if isinstance(output, Output)]) == ["a-1", "c-5", "c-2"]
    word = json.loads(clocks.record(0.0, lambda _: 1))["words"]["audit.cloud/0"]
    assert word[-1]["cloudtrail"][0] == NOW + 5000 - 900_000
    assert word[-1]["azure-activity"][0] == NOW - 1_200_000
    assert (tally.taken, tally.passed, tally.dead) == (4, 3, 1)
