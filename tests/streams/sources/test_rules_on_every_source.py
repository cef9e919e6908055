"""A rule works on the vendor's own names and on ECS's, for every source, on the way through ingest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from good_records import GOOD

from detectors.rules import RuleSet
from detectors.rules.rule import read_rule
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.sources.base import Source
from streams.sources.catalog import SOURCES

NOW = 1_767_600_000_000


def leaves(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The dotted names of plain texts, not through lists; a key with a dot of its own has none below the top."""
    for name, value in record.items():
        if "." in name or "|" in name:
            continue
        if isinstance(value, str) and value:
            yield above + name, value
        elif isinstance(value, Mapping):
            yield from leaves(value, f"{above}{name}.")


def rules(source: Mapping[str, str], names: Mapping[str, tuple[str, Any]]) -> RuleSet:
    def rule(name: str, field: str, value: Any) -> Any:
        plain = value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?") if isinstance(value, str) else value
        detection = {"s": {field: plain}, "condition": "s"}
        return read_rule({"title": name, "id": name, "logsource": source, "detection": detection}, name, 1)

    return RuleSet(rule(name, *pair) for name, pair in names.items())


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_vendor_names_and_ecs_names(source: Source) -> None:
    for record in GOOD[source.name][:4]:
        draft = source.normalise(record)
        log = draft.logsource or source.logsource
        where = {key: value for key in ("product", "service", "category") if (value := getattr(log, key))}
        ecs = {f"ecs {name}": (name, value) for name, value in draft.fields.items() if isinstance(value, str)}
        shown = draft.shown if draft.shown is not None else record
        vendor = {f"vendor {name}": (name, value) for name, value in list(leaves(shown))[:20]}
        assert ecs, source.name
        asked = {**vendor, **ecs}

        def found(asked: RuleSet, record: Mapping[str, Any] = record) -> set[str]:
            read = Reader(asked, Pseudonyms(b"0" * 32, "k")).read(record, source, fallback_id=lambda: "x", received=NOW)
            return {match.rule.id for match in read.matches}

        # A name of ECS that the vendor uses too is the vendor's: the record goes before.
        assert asked.keys() - found(rules(where, asked)) <= {f"ecs {name}" for name, _ in leaves(shown)}
        assert found(rules({"product": "another"}, asked)) == set()
