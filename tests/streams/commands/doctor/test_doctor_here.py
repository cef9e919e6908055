"""Each thing that doctor looks at on this machine, well and unwell; and it only looks."""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from installed import installed, unwell
from pydantic import SecretStr

from streams.commands.doctor import here
from streams.keys import load_keys
from streams.settings import Settings

EXAMPLE = Path(__file__).parents[4] / "examples" / "tables" / "acme-ehr.toml"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return installed(tmp_path)


def test_a_machine_that_is_well(settings: Settings) -> None:
    assert unwell(here.findings(settings)) == []
    assert [one.about for one in here.findings(settings)] == ["settings", "disk", "keys", "vault key"]


def forget_private(home: Path) -> None:
    (home / "keys" / "vault.private").unlink()


def another_s_private(home: Path) -> None:
    load_keys(home.parent / "other")
    shutil.copy(home.parent / "other" / "keys" / "vault.private", home / "keys")


@pytest.mark.parametrize(
    ("role", "harm", "level", "told"),
    [
        ("", None, "ok", "identities can be revealed"),
        ("", forget_private, "ok", "not here: identities are revealed elsewhere"),
        ("identity", None, "ok", "identities can be revealed"),
        ("identity", forget_private, "error", "vault.private is not here: identities are revealed only where"),
        ("worker", None, "warning", "vault.private is here, and this host needs none to do its work"),
        ("worker", forget_private, "ok", "what this host writes to the vault it cannot read"),
        ("events", None, "warning", "vault.private is here, and this host needs none"),
        ("events", forget_private, "ok", "it cannot read"),
    ],
)
def test_the_vault_s_private_key_is_where_it_is_needed_and_nowhere_else(
    settings: Settings, role: str, harm: Callable[[Path], None] | None, level: str, told: str
) -> None:
    if harm is not None:
        harm(settings.home)
    (found,) = (one for one in here.findings(settings, role) if one.about == "vault key")
    assert (found.level, bool(found.mend)) == (level, level != "ok")
    assert told in found.told


def test_a_vault_key_from_elsewhere_is_held_against_the_public_one(settings: Settings) -> None:
    private = load_keys(settings.home).vault_private()
    forget_private(settings.home)
    for given, level in ((private, "ok"), (bytes(32), "error")):
        told = SecretStr(b64encode(given).decode())
        elsewhere = settings.model_copy(update={"vault_private_key": told})
        (found,) = (one for one in here.findings(elsewhere, "identity") if one.about == "vault key")
        assert found.level == level
        (found,) = (one for one in here.findings(elsewhere, "worker") if one.about == "vault key")
        assert found.told == "it is given here, and this host needs none to do its work"
    none = settings.model_copy(update={"vault": False})
    assert [one.about for one in here.findings(none)] == ["settings", "disk", "keys"]


def test_what_the_worker_that_keeps_events_has_here(settings: Settings, place: Path) -> None:
    def about(**changed: Any) -> list[tuple[str, str]]:
        found = here.findings(settings.model_copy(update=changed), "events")
        return [(one.about, one.level) for one in found][4:]

    assert about() == []
    assert about(events_index=True) == [("events", "error")]
    assert about(events_rules=[place / "nowhere"]) == [("events rules", "error")]
    settings.events_path.write_bytes(b"not a database, and long enough for sqlite to say so " * 50)
    assert about() == [("store", "error")]
    assert about(events_index=True, elasticsearch="http://127.0.0.1:9") == []


def forget_keys(home: Path) -> None:
    shutil.rmtree(home / "keys")


def halve_key(home: Path) -> None:
    (home / "keys" / "pseudonym.key").write_bytes(b"half a key")


def forget_public(home: Path) -> None:
    (home / "keys" / "vault.public").unlink()


def halve_private(home: Path) -> None:
    (home / "keys" / "vault.private").write_bytes(b"half a key")


def open_private(home: Path) -> None:
    (home / "keys" / "vault.private").chmod(0o640)


def open_key(home: Path) -> None:
    (home / "keys" / "pseudonym.key").chmod(0o644)


def damage_store(home: Path) -> None:
    (home / "alerts.sqlite").write_bytes(b"not a database, and long enough for sqlite to say so " * 50)


def remove(home: Path) -> None:
    shutil.rmtree(home)


@pytest.mark.parametrize(
    ("harm", "about", "level", "told", "mend"),
    [
        (forget_keys, "keys", "error", "there are none in", "run wardwatch setup, or copy them"),
        (halve_key, "keys", "error", "holds 10 bytes where a key has 32", "restore the folder from your backup"),
        (open_key, "keys", "warning", "others may read pseudonym.key", "chmod 600"),
        (forget_public, "keys", "error", "vault.public is not in", "copy it from a worker that runs"),
        (halve_private, "keys", "error", "vault.private holds 10 bytes where a key has 32", "from your backup"),
        (another_s_private, "keys", "error", "does not belong to", "from your backup"),
        (open_private, "keys", "warning", "others may read vault.private", "chmod 600"),
        (damage_store, "store", "error", "alerts.sqlite", "move it away"),
        (remove, "data folder", "error", "is no folder", "run wardwatch setup"),
    ],
)
def test_what_is_wrong_with_the_folder(
    settings: Settings, harm: Callable[[Path], None], about: str, level: str, told: str, mend: str
) -> None:
    harm(settings.home)
    before = sorted(settings.home.rglob("*")) if settings.home.exists() else None
    ((name, found, said, remedy),) = unwell(here.findings(settings))
    assert (name, found) == (about, level)
    assert told in said
    assert mend in remedy
    assert (sorted(settings.home.rglob("*")) if settings.home.exists() else None) == before, "it only looks"


@pytest.mark.parametrize(
    ("free", "level"), [(100_000_000, "error"), (3_000_000_000, "warning"), (90_000_000_000, "ok")]
)
def test_a_disk_that_fills(settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = shutil.disk_usage(settings.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=100_000_000_000, free=free))
    (disk,) = (one for one in here.findings(settings) if one.about == "disk")
    assert disk.level == level


def test_rules_that_are_missing_or_broken(settings: Settings, place: Path) -> None:
    absent = settings.model_copy(update={"rules": [place / "nowhere"]})
    assert [(n, f) for n, f, *_ in unwell(here.findings(absent))] == [("rules", "error")]
    (place / "broken.yml").write_text("title: [")
    broken = settings.model_copy(update={"rules": [place / "broken.yml"]})
    ((name, level, told, _),) = unwell(here.findings(broken))
    assert (name, level) == ("rules", "warning")
    assert "broken.yml:" in told


def test_tables_that_are_missing_or_broken(settings: Settings, place: Path) -> None:
    (place / "one.toml").write_text("\n".join(f"mistake_{number} = 1" for number in range(9)))
    about = {
        place / "nowhere.toml": [f"{place / 'nowhere.toml'}: cannot be read: No such file or directory"],
        place / "one.toml": [f"{place / 'one.toml'}: name: is missing", "more mistakes"],
        EXAMPLE: [],
    }
    for path, expected in about.items():
        named = settings.model_copy(update={"sources": [path]})
        found = unwell(here.findings(named))
        assert {(name, level) for name, level, *_ in found} == ({("sources", "warning")} if expected else set())
        assert all(any(one in told for _, _, told, _ in found) for one in expected)
        assert len(found) <= 4
        assert unwell(here.findings(named, "identity")) == []
    (well,) = [one.told for one in here.findings(named) if one.about == "sources"]
    assert well == "every table that is named can be read: acme-ehr"


def test_a_misspelled_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_PARTITONS", "8")
    told = "WARDWATCH_PARTITONS in environment is no setting"
    assert unwell(here.findings(settings)) == [("settings", "warning", told, "call it WARDWATCH_PARTITIONS")]
