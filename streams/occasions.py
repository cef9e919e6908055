"""Many workers say the same of the pipeline, every minute while it lasts: people are told once an occasion.

An occasion is everything that is said of one thing without a break of :data:`GAP`. It is a function of what lies in the
topic, so neither a second worker nor a restart makes another of it.
"""

from __future__ import annotations

from typing import Final

from detectors.base import Finding
from streams.state import Values

__all__ = ["DETECTOR", "GAP", "SUBJECT", "opens"]

#: The detector of findings that the pipeline makes of itself.
DETECTOR: Final = "pipeline"
#: The evidence that says what exactly a finding of ours is about; with its rule, what an occasion is told apart by.
SUBJECT: Final = "wardwatch.subject"
#: Silence, in ms, after which the same thing is another occasion. What lasts is said ten times as often.
GAP: Final = 600_000
#: Age, in ms, at which what was said is forgotten.
_KEPT: Final = 3 * 24 * 3_600_000


def opens(finding: Finding, said: Values) -> bool:
    """Whether ``finding`` begins an occasion; ``said`` remembers it. Raises KeyError where it is none of ours."""
    key = f"{finding.rule['id']} {finding.evidence[SUBJECT]}".encode()
    last = said.get(key)
    said.put(key, max(finding.time, last or 0))
    if last is not None and finding.time - last <= GAP:
        return False
    for other, at in list(said.items()):
        if finding.time - at > _KEPT:
            said.remove(other)
    return True
