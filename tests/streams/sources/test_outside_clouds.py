"""What public records of clouds and identity providers become."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import outside_clouds as outside
import pytest
from outside_cloud_objects import OBJECTS, TARGETS
from outside_cloudtrail import lines

from streams.sources.base import BadRecord
from streams.sources.catalog import recognise
from streams.sources.parts import UNTIMED
from streams.wrappers import unwrap


def outside_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any], Mapping[str, Any]]]:
    """Line, the record as it lies there, and the one it holds or is."""
    for number, line in enumerate((path / "panther" / "rule_unit_tests.jsonl").read_text().splitlines(), 1):
        case = json.loads(line)
        if case["log_type"] != "AWS.CloudTrail":
            held = unwrap(case["event"]) if "log" in case["event"].get("properties", {}) else None
            yield number, case["event"], held[0] if held else case["event"]


def table(of: Mapping[str, str]) -> dict[int, str]:
    return {line: value for value, spans in of.items() for line in lines(spans)}


def test_public_rules_unit_tests_are_what_the_table_says(outside_data: Path) -> None:
    sources, actors, kinds = table(outside.SOURCES), table(outside.ACTORS), table(outside.KINDS)
    outcomes, targets, refused = table(outside.OUTCOMES), table(TARGETS), table(outside.REFUSED)
    objects, untimed = table(OBJECTS), lines(outside.UNTIMED)
    assert sources.keys() == actors.keys() == kinds.keys() == outcomes.keys()
    tried = 0
    for number, lay, one in outside_records(outside_data):
        tried += 1
        if number in refused:
            with pytest.raises(BadRecord) as said:
                recognise(lay).normalise(lay)
            assert str(said.value).startswith(refused[number]), number
            continue
        source = recognise(one)
        made = source.normalise(one)
        fields = made.fields
        assert source.name == sources[number], number
        assert made.actor == actors[number], number
        assert f"{fields['event.category'][0]} {fields['event.type'][0]}" == kinds[number], number
        assert fields["event.outcome"] == outcomes[number], number
        assert fields["event.action"] == vendors_action(source.name, one), number
        assert made.time == (UNTIMED if number in untimed else vendors_time(source.name, one)), number
        thing = objects.get(number, "") if source.name in JUDGED else vendors_object(source.name, one)
        assert fields.get("wardwatch.resource", "") == thing, number
        assert (fields.get("user.target.name") or fields.get("user.target.id", "")) == targets.get(number, ""), number
    assert tried == len(sources) + len(refused)


JUDGED = ("slack", "auth0", "duo", "onelogin", "okta", "entra-audit", "entra-signin", "gcp-audit", "google-workspace")


ONELOGIN = {
    5: "USER_LOGGED_INTO_ONELOGIN",
    6: "USER_FAILED_ONELOGIN_LOGIN",
    13: "CREATED_USER",
    **{number: f"event_type_{number}" for number in (8, 11, 90, 240, 531, 551, 553)},
}


def _any(one: Mapping[str, Any], *names: str) -> Any:
    return next((one[name] for name in names if one.get(name) is not None), None)


def vendors_action(source: str, one: Mapping[str, Any]) -> str:
    """The vendor's own word for what was done."""
    if source == "onelogin":
        return ONELOGIN[int(one["event_type_id"])]
    if source == "gcp-audit":
        payload = _any(one, "protoPayload", "protopayload")
        inside = payload.get("metadata", {})
        return str(
            payload.get("methodName") or inside.get("methodName") or payload["authorizationInfo"][0]["permission"]
        )
    found = {
        "kubernetes": one.get("verb", "request"),
        "azure-activity": one.get("operationName"),
        "entra-audit": one.get("operationName"),
        "entra-signin": _any(one, "operationName", "operationname"),
        "okta": _any(one, "eventType", "eventtype"),
        "github": one.get("action"),
        "google-workspace": _any(one, "name", "type"),
        "slack": one.get("action"),
        "auth0": one.get("data", {}).get("type"),
        "duo": _any(one, "action", "event_type"),
    }[source]
    return str(found["value"] if isinstance(found, dict) else found)


def vendors_time(source: str, one: Mapping[str, Any]) -> int:
    inside = one.get("properties", {})
    payload = _any(one, "protoPayload", "protopayload") or {}
    said = {
        "slack": one.get("date_create"),
        "auth0": one.get("data", {}).get("date"),
        "duo": one.get("isotimestamp"),
        "kubernetes": one.get("requestReceivedTimestamp"),
        "azure-activity": one.get("time"),
        "entra-audit": inside.get("activityDateTime"),
        "entra-signin": inside.get("createdDateTime") or one.get("time"),
        "gcp-audit": one.get("timestamp") or payload.get("timestamp"),
        "okta": one.get("published"),
        "github": _any(one, "@timestamp", "created_at"),
        "google-workspace": one["id"].get("time") if isinstance(one.get("id"), dict) else None,
    }[source]
    if isinstance(said, int | float):
        return int(said)
    at = datetime.fromisoformat(said)
    return round((at if at.tzinfo else datetime.fromisoformat(f"{said}+00:00")).timestamp() * 1000)


def vendors_object(source: str, one: Mapping[str, Any]) -> str:
    if source == "azure-activity":
        account = one.get("properties", {}).get("accountName", "")
        return str(one.get("resourceId", "")).lower() or (f"storageaccounts/{account}" if account else "")
    if source == "kubernetes":
        named = one.get("objectRef", {})
        return "/".join(filter(None, (named.get(n) for n in ("namespace", "resource", "name", "subresource"))))
    if one["action"].startswith("team."):
        return str(one["data"]["team"])
    return str(_any(one, "repo", "repository", "org") or "")


def test_other_public_records_are_recognised_and_read(outside_data: Path) -> None:
    want = {
        "aws_cloudtrail": ("cloudtrail", "ListBuckets", "success"),
        "azure_activitylogs": ("azure-activity", "Microsoft.Network/azureFirewalls/write", "unknown"),
        "azure_signinlogs": ("entra-signin", "Sign-in activity", "success"),
        "gcp_audit": ("gcp-audit", "storage.buckets.list", "success"),
        "k8s_audit": ("kubernetes", "list", "success"),
        "okta_system_log": ("okta", "user.lifecycle.activate.pre_auth", "success"),
    }
    tried = 0
    for line in map(json.loads, (outside_data / "source_detection" / "raw_event_kind.jsonl").read_text().splitlines()):
        if line["source"] not in want:  # of a desktop, which is no source here
            with pytest.raises(BadRecord, match="shape of no source"):
                recognise(line["event"])
            continue
        tried += 1
        source = recognise(line["event"])
        fields = source.normalise(line["event"]).fields
        assert (source.name, fields["event.action"], fields["event.outcome"]) == want[line["source"]]
    assert tried == len(want)
