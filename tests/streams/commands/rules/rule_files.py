"""Rules written for one test each. Whoever is in their events is synthetic."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

__all__ = ["GOOD", "changed", "write"]

#: A rule of which nothing is to be said. Its event is made up.
GOOD: dict[str, Any] = {
    "title": "Synthetic trail stopped",
    "id": "7a3c7c52-4c1f-4a53-9d0e-1f6a1b0c2d3e",
    "status": "experimental",
    "description": "A synthetic trail was stopped, in a test.",
    "author": "Wardwatch",
    "date": "2026-01-05",
    "tags": ["attack.defense-impairment", "attack.t1685.002"],
    "logsource": {"product": "aws", "service": "cloudtrail"},
    "detection": {
        "selection": {"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com"},
        "condition": "selection",
    },
    "falsepositives": ["Planned changes"],
    "level": "high",
    "wardwatch": {
        "response": "Start it again.",
        "tests": {
            "positive": [
                {
                    "eventSource": "cloudtrail.amazonaws.com",
                    "eventName": "StopLogging",
                    "eventTime": "2026-01-05T08:00:00Z",
                }
            ],
            "negative": [
                {
                    "eventSource": "cloudtrail.amazonaws.com",
                    "eventName": "StartLogging",
                    "eventTime": "2026-01-05T08:00:00Z",
                }
            ],
        },
    },
}


def changed(**parts: Any) -> dict[str, Any]:
    """:data:`GOOD` with other parts; None takes one out."""
    rule = {**deepcopy(GOOD), **parts}
    return {name: value for name, value in rule.items() if value is not None}


def write(folder: Path, *rules: dict[str, Any], name: str = "synthetic_rule.yml") -> Path:
    """The rules in one file."""
    path = folder / name
    path.write_text("---\n".join(yaml.safe_dump(rule, sort_keys=False, allow_unicode=True) for rule in rules))
    return path
