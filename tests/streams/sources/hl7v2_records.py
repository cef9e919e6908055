"""Synthetic HL7 v2 messages: an admission, a merge, queries and an answer."""

from __future__ import annotations

from typing import Any

from streams.reading import parse

__all__ = ["ADMIT", "ANSWER", "DEMOGRAPHICS", "MERGE", "OLD_QUERY", "SMALL", "er7", "record"]

_MSH = r"MSH|^~\&|SYNTH-ADT|SYNTH-HOSP|ENGINE|SYNTH-HOSP|20260105090000+0100||{}|c-0001|P|2.5"
ADMIT = (
    _MSH.format("ADT^A01^ADT_A01"),
    "EVN|A01|20260105085900|||op-7^Synthetic^Nora^^^^^^&1.2.9&ISO",
    "PID|1||syn-0001^^^HOSP&1.2.3&ISO^MR~555-00-1111^^^SSA^SS||Syntheticus^Ada^B^^^^L||19700102|F||2106-3|"
    "1 Synthetic Street^^Nowhere^ST^00001^USA^H||+1 555 0100^PRN^PH~^NET^Internet^ada@synthetic.example|||||acc-77881",
    "NK1|1|Syntheticus^Bert|SPO^Spouse^HL70063|2 Synthetic Street^^Nowhere|555-0101",
    "PV1|1|I|WARD-3^101^1^SYNTH-HOSP||pre-4711||dr-9^Doctor||||||||||||visit-90210|||||||||||||||||||||||||202601050855",
    "GT1|1|gt-5511|Guarantor^Synthetic||3 Synthetic Street^^Nowhere|555-0102",
    "IN1|1|PLAN-A|INSURER-1|Some Insurer||||group-8811||||||||Syntheticus^Carl|SPO|19680304|4 Synthetic Street|||"
    "||||||||||||||policy-55512",
    "ZPI|1|own-number-31337",
)
SMALL = (
    _MSH.format("ADT^A01"),
    "EVN||20260105085900|||op-7^Synthetic",
    "PID|1||syn-0001^^^HOSP~syn-0009||Syntheticus^Ada",
)
MERGE = (
    _MSH.format("ADT^A40^ADT_A39"),
    "EVN|A40|20260105085900",
    "PID|1||syn-0001^^^HOSP&1.2.3&ISO||Syntheticus^Ada",
    "MRG|syn-0002^^^HOSP&1.2.3&ISO||||||Syntheticus^Adah",
)
OLD_QUERY = (
    _MSH.format("QRY^A19"),
    "QRD|20260105085900|R|I|q-1|||1^RD|syn-0001^Syntheticus^Ada^^^^^^&1.2.3&ISO|DEM",
)
DEMOGRAPHICS = (
    _MSH.format("QBP^Q22^QBP_Q21"),
    "QPD|Q22^Find Candidates^HL70471|tag-1|@PID.5.1^SYNTHETICUS~@PID.3.1^syn-0001~@PID.7^19700102",
    "RCP|I|5^RD",
)
ANSWER = (
    _MSH.format("RSP^K22^RSP_K21"),
    "MSA|AA|c-0001",
    "QAK|tag-1|OK",
    "QPD|Q22^Find Candidates^HL70471|tag-1|@PID.5.1^SYNTHETICUS",
    "PID|1||syn-0001^^^HOSP&1.2.3&ISO||Syntheticus^Ada",
    "PID|2||syn-0003^^^HOSP&1.2.3&ISO||Syntheticus^Adele",
)


def er7(segments: tuple[str, ...]) -> bytes:
    return ("\r".join(segments) + "\r").encode()


def record(segments: tuple[str, ...]) -> dict[str, Any]:
    return dict(parse(er7(segments)))
