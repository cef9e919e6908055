"""XML, syslog and HL7 v2 as records, from bytes and from files; what is hostile is refused quickly and says why."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.reading import Item, parse, read_files
from streams.sources.base import BadRecord

XML = (
    b'<a:AuditMessage xmlns:a="urn:x" xmlns:xsi="urn:y" xsi:schemaLocation="z"><a:EventID csd-code="1" a:unit="2"/>\n'
    b"<Person>one</Person><Person><![CDATA[t<o]]></Person><Mixed n='1'>text</Mixed><Empty/></a:AuditMessage>"
)
READ = {
    "EventID": {"csd-code": "1", "unit": "2"},
    "Person": ["one", "t<o"],
    "Mixed": {"n": "1", "#text": "text"},
    "Empty": "",
}
HEADER = b'<85>1 2026-01-05T08:00:00.123+01:00 host.example app 47 IHE+RFC-3881 [x@1 a="c\\"]d"][y@1]'
SYSLOG = HEADER + b" \xef\xbb\xbf" + XML
ER7 = "MSH|^~\\&|APP\\T\\Co|F|||||ADT^A01|1\rPID|1||1^^^H&1.2&ISO~2^^^X|||||Grün|||\rZZ1|a\rZZ1|b\r".encode()


def test_xml() -> None:
    assert parse(XML) == {"AuditMessage": READ}
    for encoding in ("utf-8-sig", "utf-16"):
        assert parse(XML.decode().encode(encoding)) == {"AuditMessage": READ}
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><AuditMessage n="Grün"/>'.encode("latin-1")
    assert parse(b"\n " + latin) == {"AuditMessage": {"n": "Grün"}}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (
            b'<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><AuditMessage>&b;</AuditMessage>',
            "document type",
        ),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><AuditMessage/>', "document type"),
        (b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://192.0.2.1/">%p;]><AuditMessage/>', "document type"),
        (b"<AuditMessage>&patient;</AuditMessage>", "undefined entity at line 1"),
        (b"<a>" * 100_000, "nested deeper than 32"),
        (b"<a " + b" ".join(b'x%d=""' % n for n in range(60_000)) + b"/>", "more than 50000 elements"),
        (b"<a>" + b"<b/>" * 60_000 + b"</a>", "more than 50000 elements"),
        (b"<a>" + b"x" * 3_000_000, "no element found|no XML"),
        (b"<a b='1' b='2'/>", "duplicate attribute"),
        (b"<AuditMessage>", "no element found"),
        (b'<?xml version="1.0" encoding="x-none"?><a/>', "encoding that is not known"),
        (b"<85>1 - - - - - -", "neither XML nor JSON"),
        (b"<192>1 - - - - - - <a/>", "no priority from 0 to 191"),
        (b"99 <85>1 - - - - - - <a/>", "shorter than the number"),
        (b"9 <85>1 - - - - - - <a/>", "longer than the number"),
        (b"<85>1 - - - - - [" + b'x="' * 100_000, "neither XML nor JSON"),
        (b"<85>1 - - - - - - {]", "no JSON"),
        (b"MSH|^~", "breaks off"),
        (b"MSH|aaaa|A|B", "no delimiters"),
        (b"MSH|^~\\&|A|B\rno segment", "segment 2"),
        (b"MSH|^~\\&|A|B\r" + b"ZZZ|1\r" * 6000, "more than 5000 segments"),
        (b"MSH|^~\\&|A|B\rZZZ|" + b"1^" * 200_000, "more than 100000 parts"),
        (b"FHS|^~\\&|A|B", "a batch"),
    ],
)
def test_hostile_or_broken_bytes_are_refused_in_bounded_time(raw: bytes, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(BadRecord, match=reason):
        parse(raw)
    assert time.process_time() - began < 2.0


def test_syslog() -> None:
    read = parse(SYSLOG)
    assert read["AuditMessage"] == READ
    assert read["syslog"] == {
        "facility": 10,
        "severity": 5,
        "timestamp": "2026-01-05T08:00:00.123+01:00",
        "hostname": "host.example",
        "appname": "app",
        "procid": "47",
        "msgid": "IHE+RFC-3881",
        "structured_data": '[x@1 a="c\\"]d"][y@1]',
    }
    assert parse(b"%d %s" % (len(SYSLOG), SYSLOG)) == read
    assert parse(b"<85>Jan  5 08:00:00 host app: " + XML)["AuditMessage"] == READ
    assert parse(b'<14>1 - - - - - - {"resourceType": "AuditEvent"}')["resourceType"] == "AuditEvent"


def test_er7() -> None:
    assert parse(ER7) == {
        "MSH": {
            "1": {"1": "|"},
            "2": {"1": "^~\\&"},
            "3": {"1": "APP&Co"},
            "4": {"1": "F"},
            "9": {"1": "ADT", "2": "A01"},
            "10": {"1": "1"},
        },
        "PID": {
            "1": {"1": "1"},
            "3": [{"1": "1", "4": {"1": "H", "2": "1.2", "3": "ISO"}}, {"1": "2", "4": "X"}],
            "8": {"1": "Grün"},
        },
        "ZZ1": [{"1": {"1": "a"}}, {"1": {"1": "b"}}],
    }
    assert parse(b"\x0b" + ER7 + b"\x1c\r") == parse(ER7.replace(b"\r", b"\r\n")) == parse(ER7)
    named = ER7.replace(b"|ADT^A01|1", b"|ADT^A01|1|||||||8859/1").decode().encode("latin-1")
    assert parse(named)["PID"]["8"] == {"1": "Grün"}
    other = parse(b"MSH#*%!@#A#B\rPID###1*2@3%4!S!5")
    assert other["PID"]["3"] == [{"1": "1", "2": {"1": "2", "2": "3"}}, {"1": "4*5"}]


@given(st.sampled_from([XML, SYSLOG, ER7]), st.integers(0, 300), st.binary(max_size=8))
def test_bytes_anywhere_give_a_record_or_a_reason(good: bytes, place: int, noise: bytes) -> None:
    try:
        found: Any = parse(good[:place] + noise + good[place:])
    except BadRecord as exc:
        found = str(exc)
    assert isinstance(found, dict) or found


# -- files ------------------------------------------------------------------------------------------------------------


def items(path: Path, content: bytes) -> list[Item]:
    path.write_bytes(content)
    return list(read_files([str(path)]))


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (XML, [1]),
        (XML * 3, [1, 2, 3]),
        (XML + b"\n\n" + XML + b"\n", [1, 4]),
        (b'<?xml version="1.0"?>\n' + XML + b'<?xml version="1.0"?>' + XML, [2, 3]),
        (b'<?xml version="1.0"?>\n<Messages>\n' + XML + b"\n" + XML + b"</Messages>\n" + XML, [3, 5, 7]),
        (SYSLOG, [1]),
        (SYSLOG + b"\n" + SYSLOG + b"\n", [1, 3]),
        (counted(SYSLOG) * 3, [1, 2, 3]),
        (counted(SYSLOG) + b"\n" + counted(SYSLOG), [1, 3]),
    ],
)
def test_files_of_audit_messages(tmp_path: Path, content: bytes, lines: list[int]) -> None:
    for packed in (content, gzip.compress(content)):
        found = items(tmp_path / "file", packed)
        assert [(item.line, item.error) for item in found] == [(line, None) for line in lines]
        for item in found:
            assert item.record is not None
            assert item.raw is not None
            assert item.record["AuditMessage"] == READ
            assert parse(item.raw) == item.record


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (ER7, [1]),
        (ER7 * 2, [1, 1]),
        (b"\x0b" + ER7 + b"\x1c\r\x0b" + ER7 + b"\x1c\r", [1, 1]),
        (ER7.replace(b"\r", b"\n") * 2, [1, 5]),
        (b"FHS|^~\\&\r\nBHS|^~\\&\r\n" + ER7.replace(b"\r", b"\r\n") * 2 + b"BTS|2\r\nFTS|1\r\n", [3, 7]),
    ],
)
def test_files_of_hl7(tmp_path: Path, content: bytes, lines: list[int]) -> None:
    found = items(tmp_path / "file", content)
    assert [(item.line, item.error) for item in found] == [(line, None) for line in lines]
    assert all(item.record == parse(ER7) for item in found)


def test_what_is_broken_costs_itself(tmp_path: Path) -> None:
    found = items(tmp_path / "log", SYSLOG + b"\n<85>1 broken\nnonsense\n" + SYSLOG + b"\nnonsense\n" + SYSLOG)
    assert [item.line for item in found if item.record] == [1, 5, 8]
    assert [item.line for item in found if item.error] == [3, 7]
    found = items(tmp_path / "xml", XML + b"<AuditMessage><x></AuditMessage>" + XML)
    assert [item.error is None for item in found] == [True, False, True]
    found = items(tmp_path / "hl7", ER7.replace(b"\r", b"\n") + b"MSH|^~\\&|A\nbroken\n" + ER7.replace(b"\r", b"\n"))
    assert [(item.line, item.error is None) for item in found] == [(1, True), (5, False), (7, True)]
    found = items(tmp_path / "counted", counted(SYSLOG) + b"12 nonsense")
    assert [item.error is None for item in found] == [True, False]
    found = items(tmp_path / "doctype", b'<!DOCTYPE x [<!ENTITY a "b">]>\n' + XML)
    assert "document type declaration" in str(found[0].error)


def test_a_record_past_the_limit_is_told_and_the_next_goes_on(tmp_path: Path) -> None:
    large = b"<AuditMessage><Person>" + b"x" * 5_000_000 + b"</Person></AuditMessage>"
    assert ["more than the" in str(item.error) for item in items(tmp_path / "xml", large)] == [True]
    found = items(tmp_path / "log", b"<85>1 - - - - - - " + large + b"\n" + SYSLOG)
    assert ["more than the" in str(found[0].error), found[1].error] == [True, None]
    found = items(tmp_path / "counted", counted(b"<85>1 - - - - - - " + large) + counted(SYSLOG))
    assert ["more than the" in str(found[0].error), found[1].error] == [True, None]
