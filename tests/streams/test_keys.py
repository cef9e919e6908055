"""Keys from files, the environment or a command: made once, never quoted, never made where they are kept elsewhere."""

from __future__ import annotations

import sys
from base64 import b64encode
from pathlib import Path

import pytest
from nacl.public import PrivateKey
from pydantic import SecretStr

from streams.commands.configured import keys_or_exit
from streams.keys import activate, key_id, key_path, keys_of, load_keys, remove, spare
from streams.settings import Settings

FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))
TEXT = " ".join(b64encode(key).decode() for key in (FIRST, SECOND))


def printing(text: str) -> str:
    return f"{sys.executable} -c \"print('{text}')\""


@pytest.mark.parametrize("how", ["environment", "command"])
def test_pseudonym_keys_from_elsewhere_leave_no_file(tmp_path: Path, how: str) -> None:
    given = Settings(data_dir=tmp_path)
    if how == "environment":
        given.pseudonym_key = SecretStr(TEXT)
    else:
        given.pseudonym_key_command = printing(TEXT)
    keys = keys_of(given)
    assert list(keys.pseudonyms.items()) == [(key_id(FIRST), FIRST), (key_id(SECOND), SECOND)]
    assert (keys.pseudonym_id, keys.outside) == (key_id(SECOND), True)
    assert not list(keys.folder.glob("pseudonym*"))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (printing("c2VjcmV0LXN5bnRoZXRpYw=="), "the pseudonym key is not 32 bytes in base64"),
        (printing("secret-synthetic"), "the pseudonym key is not 32 bytes in base64"),
        (printing(""), "printed nothing"),
        (f"{sys.executable} -c \"print('secret-synthetic'); raise SystemExit(3)\"", "ended with 3"),
        ("/nowhere/secret-store", "failed (FileNotFoundError)"),
    ],
)
def test_what_goes_wrong_is_told_and_no_output_is(tmp_path: Path, command: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"mend it|take it as it was made") as caught:
        keys_of(Settings(data_dir=tmp_path, pseudonym_key_command=command))
    assert told in str(caught.value)
    assert "c2Vj" not in str(caught.value)
    assert "secret-synthetic" not in str(caught.value)


def test_the_vault_s_private_key_may_be_anywhere_and_must_be_its_own(tmp_path: Path) -> None:
    private = load_keys(tmp_path).vault_private()
    assert bytes(PrivateKey(private).public_key) == load_keys(tmp_path).vault_public
    (tmp_path / "keys" / "vault.private").unlink()
    with pytest.raises(ValueError, match="revealed only where the vault's private key is"):
        load_keys(tmp_path).vault_private()
    command = printing(b64encode(private).decode())
    assert keys_of(Settings(data_dir=tmp_path, vault_private_key_command=command)).vault_private() == private
    other = SecretStr(b64encode(bytes(PrivateKey.generate())).decode())
    with pytest.raises(ValueError, match="does not belong to its public key"):
        keys_of(Settings(data_dir=tmp_path, vault_private_key=other)).vault_private()
    assert not (tmp_path / "keys" / "vault.private").exists(), "a worker's host makes none anew"


@pytest.mark.parametrize("name", ["vault.public", "vault.private", "dead-letters.private", "webhook.key"])
def test_a_key_cut_short_is_told_by_its_name_and_nothing_is_made_anew(tmp_path: Path, name: str) -> None:
    folder = load_keys(tmp_path).folder
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / name).write_bytes(whole[name][:10])
    with pytest.raises(ValueError, match=rf"{name} holds 10 bytes where a key has 32: restore it from your backup"):
        load_keys(tmp_path)
    (folder / name).write_bytes(whole[name])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    load_keys(tmp_path)


def test_a_private_key_of_another_user_keeps_no_worker_from_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so that the file is another's is said here by what reading it raises."""
    folder = load_keys(tmp_path).folder
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.suffix == ".private":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    keys = load_keys(tmp_path)
    assert keys.vault_public == read(folder / "vault.public")
    for private in (keys.vault_private, keys.dead_letter_private):
        with pytest.raises(ValueError, match=r"\.private may not be read by this user: ask whoever owns it"):
            private()


def test_who_else_may_read_a_key_is_told_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data_dir=tmp_path)
    folder = keys_or_exit(settings).folder
    assert capsys.readouterr().err == ""
    (folder / "vault.private").chmod(0o644)
    keys_or_exit(settings)
    told = f"wardwatch: others may read vault.private in {folder}: chmod 600, and think whether anybody has\n"
    assert capsys.readouterr().err == told


def test_a_key_waits_then_is_in_use_then_is_gone(tmp_path: Path) -> None:
    first = load_keys(tmp_path)
    name = spare(first)
    assert spare(load_keys(tmp_path)) == name, "one waits at a time"
    waiting = load_keys(tmp_path)
    assert (waiting.pseudonym_id, list(waiting.spare)) == (first.pseudonym_id, [name])
    activate(waiting, name)
    used = load_keys(tmp_path)
    assert (list(used.pseudonyms), dict(used.spare)) == ([first.pseudonym_id, name], {})
    assert remove(used.folder, first.pseudonym_id)
    assert not remove(used.folder, first.pseudonym_id)
    left = load_keys(tmp_path)
    assert list(left.pseudonyms) == [name], "no new first key is made"
    assert key_path(left.folder, name) == left.folder / "pseudonym.2.key"
    third = spare(left)
    assert key_path(left.folder, third) == left.folder / "pseudonym.3.next"
    assert all(path.stat().st_mode & 0o077 == 0 for path in left.folder.iterdir())
