"""The systemd unit: its settings, its fences, and the time it gives a worker to leave."""

from __future__ import annotations

import configparser

import pytest
from composed import ENTRYPOINT, OURS, ROOT, seconds

from streams.settings import Settings

UNIT = ROOT / "deploy" / "systemd" / "wardwatch-worker@.service"


def unit() -> dict[str, list[str]]:
    """Directives of the unit's service, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().partition("[Service]")[2].partition("[Install]")[0].splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_gives_settings_that_the_code_reads_and_a_command_there_is() -> None:
    sections = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    sections.optionxform = str  # type: ignore[assignment,method-assign]
    sections.read(UNIT)
    assert sections.sections() == ["Unit", "Service", "Install"]
    named = [value.partition("=")[0] for value in unit()["Environment"]]
    named += [value.partition(":")[0] for value in unit()["LoadCredential"]]
    settings = {name.removeprefix("WARDWATCH_").lower() for name in named if name.startswith("WARDWATCH_")}
    assert settings - {"config", "secrets"} <= set(Settings.model_fields)
    assert "WARDWATCH_SECRETS=%d" in unit()["Environment"]
    assert unit()["ExecStart"][0].split()[1:] == [*ENTRYPOINT, "worker"]


@pytest.mark.parametrize(
    "directive",
    [
        "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
        "CapabilityBoundingSet=", "RestrictNamespaces=yes", "SystemCallFilter=@system-service", "UMask=0077",
        "StateDirectoryMode=0700", "Restart=always", "User=wardwatch",
    ],
)  # fmt: skip
def test_the_unit_is_hardened(directive: str) -> None:
    name, _, value = directive.partition("=")
    assert value in unit()[name]


def test_a_worker_is_given_the_time_it_takes_to_leave() -> None:
    from streams.worker import LEAVING

    assert seconds(OURS["worker"]["stop_grace_period"]) > 2 * LEAVING
    assert seconds(unit()["TimeoutStopSec"][0]) > 2 * LEAVING
