"""What ``rules check`` found, for people, for scripts and for whoever shows findings beside code (SARIF 2.1.0).

Source: OASIS, *Static Analysis Results Interchange Format (SARIF) Version 2.1.0*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from streams.commands.rules.diagnostics import CODES, Diagnostic

__all__ = ["as_json", "as_lines", "as_sarif", "exit_code"]

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def exit_code(found: Sequence[Diagnostic]) -> int:
    """1 where there is more than notes."""
    return 1 if any(one.level != "note" for one in found) else 0


def as_lines(found: Sequence[Diagnostic], rules: int) -> Iterator[str]:
    """One line each, and one that counts them."""
    yield from map(str, found)
    counts = Counter(one.level for one in found)
    told = ", ".join(f"{counts[level]} {level}{'s' * (counts[level] != 1)}" for level in ("error", "warning", "note"))
    yield f"{rules} {'rule' if rules == 1 else 'rules'}: {told}"


def as_json(found: Sequence[Diagnostic], rules: int) -> dict[str, Any]:
    """The same as one document."""
    return {
        "rules": rules,
        "diagnostics": [
            {
                "code": one.code,
                "level": one.level,
                "path": one.path,
                "line": one.line,
                "rule_id": one.rule_id,
                "message": one.message,
            }
            for one in found
        ],
    }


def as_sarif(found: Sequence[Diagnostic]) -> dict[str, Any]:
    """One run of SARIF 2.1.0; paths are relative to where the command ran, where they lie below."""
    codes = list(CODES)
    driver = {
        "name": "wardwatch rules check",
        "version": _version(),
        "rules": [
            {
                "id": code,
                "shortDescription": {"text": f"{kind.summary}."},
                "defaultConfiguration": {"level": kind.level},
            }
            for code, kind in CODES.items()
        ],
    }
    results = [
        {
            "ruleId": one.code,
            "ruleIndex": codes.index(one.code),
            "level": one.level,
            "message": {"text": one.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(one.path)},
                        "region": {"startLine": one.line},
                    }
                }
            ],
        }
        for one in found
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _uri(path: str) -> str:
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix())


def _version() -> str:
    try:
        return version("wardwatch")
    except PackageNotFoundError:  # from a clone
        return "0"
