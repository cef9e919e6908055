"""The schema as code agrees with the JSON Schemas that Sigma publishes, on rules changed in every place."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from rule_files import GOOD

from streams.commands.rules.schema import breaches

STRANGE: tuple[Any, ...] = (
    None, True, 7, 1.5, "", "x", "x" * 300, [], ["x"], ["x", "x"], [1], [None], [{"a": 1}], {}, {"a": "b"},
    "2026-13-01", "2026-01-31", "7a3c7c52-4c1f-4a53-9d0e-1f6a1b0c2d3e", "attack.t1", ["attack.t1"], ["no tag"],
)  # fmt: skip
_KIND = {"correlation": "sigma-correlation-rules-schema", "filter": "sigma-filters-schema"}


def validators(folder: Path) -> dict[str, Draft202012Validator]:
    schemas = {name: json.loads((folder / f"{name}.json").read_text()) for name in (*_KIND.values(), DETECTION)}
    for schema in schemas.values():
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return {name: Draft202012Validator(one, format_checker=FormatChecker()) for name, one in schemas.items()}


DETECTION = "sigma-detection-rule-schema"


def spelled(value: Any) -> Any:
    """As JSON has it: a date is text."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): spelled(inner) for name, inner in value.items()}
    return [spelled(inner) for inner in value] if isinstance(value, list) else value


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from paths(inner, (*path, name))


def mutants(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield document
    for path in paths(document):
        if path[0] == "wardwatch" or len(path) > 4:
            continue
        for value in (..., *STRANGE):
            changed = deepcopy(document)
            holder: Any = changed
            for part in path[:-1]:
                holder = holder[part]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            yield changed


def test_both_say_the_same(outside_data: Path) -> None:
    known = validators(outside_data / "sigma_spec" / "json-schema")
    examples = (outside_data / "sigma_spec" / "tests" / "schema").rglob("*.yml")
    documents = [one for path in sorted(examples) for one in yaml.safe_load_all(path.read_text())]
    documents += [
        GOOD,
        {
            **GOOD,
            "related": [{"id": "7a3c7c52-4c1f-4a53-9d0e-1f6a1b0c2d3e", "type": "similar"}],
            "modified": "2026-01-31", "name": "x", "taxonomy": "sigma", "license": "DRL-1.1", "scope": ["server"],
            "fields": ["eventName"], "references": ["https://example.org"],
            "detection": {"words": ["a", 1, {"b": "c"}], "condition": "words"},
        },
    ]  # fmt: skip
    tried = disagreed = 0
    for document in documents:
        for mutant in mutants(document):
            kind = next((schema for key, schema in _KIND.items() if key in mutant), DETECTION)
            theirs = known[kind].is_valid(spelled(mutant))
            ours = list(breaches(mutant))
            tried += 1
            if theirs != (not ours) and not let_pass(mutant):
                disagreed += 1
                assert disagreed == 0, (
                    kind,
                    mutant,
                    ours,
                    [e.message for e in known[kind].iter_errors(spelled(mutant))],
                )
    assert tried > 4_000


def let_pass(mutant: dict[str, Any]) -> bool:
    """What the specification's text allows and its schema forgets, or the schema says by rules that say nothing."""
    correlation = mutant.get("correlation")
    return isinstance(correlation, dict) and isinstance(correlation.get("condition"), str)
