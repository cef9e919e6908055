"""The systemd units: their settings, their fences, and the time they give a worker to leave."""

from __future__ import annotations

import configparser

import pytest
from composed import ENTRYPOINT, OURS, ROOT, seconds

from streams.settings import Settings

SYSTEMD = ROOT / "deploy" / "systemd"
UNITS = {
    "wardwatch-worker@.service": ["worker"],
    "wardwatch-events.service": ["worker", "--only", "events"],
}


def unit(name: str) -> dict[str, list[str]]:
    """Directives of the unit's service, each with all its values."""
    found: dict[str, list[str]] = {}
    text = (SYSTEMD / name).read_text()
    for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
        if line.strip() and not line.startswith("#"):
            directive, _, value = line.partition("=")
            found.setdefault(directive, []).append(value)
    return found


def test_there_is_a_unit_for_each_worker_of_the_containers() -> None:
    assert {path.name for path in SYSTEMD.iterdir()} == UNITS.keys()
    assert list(UNITS.values()) == [OURS[name]["command"] for name in ("worker", "events")]


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_gives_settings_that_the_code_reads_and_a_command_there_is(name: str) -> None:
    sections = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    sections.optionxform = str  # type: ignore[assignment,method-assign]
    sections.read(SYSTEMD / name)
    assert sections.sections() == ["Unit", "Service", "Install"]
    named = [value.partition("=")[0] for value in unit(name)["Environment"]]
    named += [value.partition(":")[0] for value in unit(name)["LoadCredential"]]
    settings = {name.removeprefix("WARDWATCH_").lower() for name in named if name.startswith("WARDWATCH_")}
    assert settings - {"config", "secrets"} <= set(Settings.model_fields)
    assert "WARDWATCH_SECRETS=%d" in unit(name)["Environment"]
    assert unit(name)["ExecStart"][0].split()[1:] == [*ENTRYPOINT, *UNITS[name]]


def test_each_unit_has_a_key_of_its_own() -> None:
    keys = [unit(name)["LoadCredential"][0].partition(":")[2] for name in UNITS]
    assert len(set(keys)) == len(keys)
    assert all(key in (ROOT / "docs" / "deploy.md").read_text() for key in keys)


@pytest.mark.parametrize("unit_name", UNITS)
@pytest.mark.parametrize(
    "directive",
    [
        "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
        "CapabilityBoundingSet=", "RestrictNamespaces=yes", "SystemCallFilter=@system-service", "UMask=0077",
        "StateDirectoryMode=0700", "Restart=always", "User=wardwatch",
    ],
)  # fmt: skip
def test_the_unit_is_hardened(unit_name: str, directive: str) -> None:
    name, _, value = directive.partition("=")
    assert value in unit(unit_name)[name]


def test_a_worker_is_given_the_time_it_takes_to_leave() -> None:
    from streams.worker import LEAVING

    for name in ("worker", "events"):
        assert seconds(OURS[name]["stop_grace_period"]) > 2 * LEAVING
    for name in UNITS:
        assert seconds(unit(name)["TimeoutStopSec"][0]) > 2 * LEAVING
