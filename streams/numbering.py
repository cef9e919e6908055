"""Which of a record's outputs each one is: numbers that stay the same where rules change between two derivations.

A worker that is killed leaves a record half sent, and the next may derive it by other rules. What both derive must then
have one number, or a reader would take it for something it has taken. So what lies in ``events`` and ``views`` is
counted from 0, whatever was found beside it; the number of a finding, or of what a correlation is told, is drawn from
its own fingerprint, and in the few cases where two draw one, the later goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import filterfalse
from typing import Final

from streams.records import Output
from streams.topics import FINDINGS, MATCHES

__all__ = ["FOUND", "MOST_FINDINGS", "MOST_OTHERS", "numbered"]

#: Topics of what rules find in a record, which is no part of the record itself.
FOUND: Final = frozenset((FINDINGS, MATCHES))
_NUMBERS: Final = 1 << 16  # a position counts outputs in 16 bits
#: Outputs of one record that are no findings.
MOST_OTHERS: Final = 40_000
#: Findings and matches of one record.
MOST_FINDINGS: Final = 10_000


def numbered(outputs: Sequence[Output]) -> Iterable[tuple[int, Output]]:
    """``outputs`` of one record with their numbers, rising. Where there are findings, they come last."""
    if not outputs or outputs[-1][0] not in FOUND:
        return enumerate(outputs)
    found = sorted(filter(_is_finding, outputs), key=_drawn)
    numbers: list[int] = []
    last = MOST_OTHERS - 1
    for finding in found:
        last = max(last + 1, _drawn(finding))
        numbers.append(last)
    for place in range(len(numbers)):  # where they ran over the end, from the end back
        highest = _NUMBERS - 1 - place
        if numbers[-1 - place] <= highest:
            break
        numbers[-1 - place] = highest
    return [*enumerate(filterfalse(_is_finding, outputs)), *zip(numbers, found, strict=True)]


def _is_finding(output: Output) -> bool:
    return output[0] in FOUND


def _drawn(finding: Output) -> int:
    return MOST_OTHERS + finding.event % (_NUMBERS - MOST_OTHERS)
