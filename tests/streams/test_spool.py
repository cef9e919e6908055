"""The spool on a real disk: what was taken is read again after every way to end, and nothing else is believed."""

from __future__ import annotations

import base64
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import spool as module
from streams.spool import Spool, SpoolError, SpoolFull

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()
HEAD = 32


def opened(folder: Path, **given: object) -> Spool:
    made = Spool(folder, key=KEY, **given)  # type: ignore[arg-type]
    made.open()
    return made


def drain(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    while (file := spool.oldest()) is not None:
        found += spool.read(file)
        spool.remove(file)
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.binary(max_size=3000), max_size=30), ends=st.sets(st.integers(0, 30)))
def test_it_gives_back_what_it_took_in_order_whenever_its_process_ended(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], ends: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEGMENT", 4000)
    folder = tmp_path_factory.mktemp("spool")
    spool = opened(folder)
    for number, record in enumerate(records):
        if number in ends:
            _end_as_a_killed_process(spool)
            spool = opened(folder)
        spool.append(record)
    assert spool.size == sum(file.stat().st_size for file in folder.glob("*.spool"))
    assert drain(spool) == records
    assert list(folder.glob("*.spool")) == []
    spool.close()


def _end_as_a_killed_process(spool: Spool) -> None:
    for descriptor in (*spool._locks, spool._fd):
        if descriptor >= 0:
            os.close(descriptor)


def test_a_record_cut_off_anywhere_costs_itself_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = opened(tmp_path)
    for record in (b"one", b"two"):
        spool.append(record)
    spool.close()
    (file,) = tmp_path.glob("*.spool")
    whole = file.read_bytes()
    last = len(whole) - (4 + 3 + 16)
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        spool = opened(tmp_path)
        expected = [b"one"] if cut >= last else []
        caplog.clear()
        assert spool.read(file) == expected, cut
        assert bool(caplog.records) is (cut > HEAD and cut not in (last, HEAD)), cut
        spool.close()
    file.write_bytes(whole[:last] + bytes(len(whole) - last))  # what a power cut may leave
    assert opened(tmp_path).read(file) == [b"one"]


def test_what_was_changed_is_set_aside_and_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Any bit of any record, and a record or file in the place of another."""
    spool = opened(tmp_path)
    for record in (b"one", b"two"):
        spool.append(record)
    spool.close()
    (file,) = tmp_path.glob("*.spool")
    whole, frame = file.read_bytes(), 4 + 3 + 16
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(HEAD + 4, HEAD + frame)]
    changed.append(whole[:HEAD] + whole[HEAD + frame :] + whole[HEAD : HEAD + frame])
    changed.append(b"x" + whole[1:])
    for number, content in enumerate(changed):
        file.write_bytes(content)
        spool = opened(tmp_path)
        caplog.clear()
        assert drain(spool) == [], number
        assert "is damaged after 0 records" in caplog.text
        assert file.with_suffix(".damaged").read_bytes() == content
        spool.close()


def test_nothing_of_a_record_lies_in_clear(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for _ in range(2):
        spool.append(b"Patient/synthetic-1" * 10)
    spool.close()
    (file,) = tmp_path.glob("*.spool")
    content = file.read_bytes()
    assert b"synthetic" not in content
    frames = content[HEAD:]
    assert frames[4 : len(frames) // 2] != frames[len(frames) // 2 + 4 :], "equal records look alike"
    assert file.stat().st_mode & 0o077 == 0


def test_another_key_is_named_and_nothing_is_lost_by_it(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(b"one")
    spool.close()
    other = Spool(tmp_path, key=base64.b64encode(bytes(32)).decode())
    other.open()
    file = other.oldest()
    assert file is not None
    with pytest.raises(SpoolError, match="was written with another key than this spool has: set that key again"):
        other.read(file)
    other.close()
    assert drain(opened(tmp_path)) == [b"one"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "has 0 bytes where 32 are: make one with openssl rand -base64 32"),
        ("AAAA", "has 3 bytes where 32 are"),
        ("no base64!", "the key of a spool is no base64"),
    ],
)
def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str, reason: str) -> None:
    with pytest.raises(SpoolError, match=reason):
        Spool(tmp_path, key=key)
    (tmp_path / "key").write_text(f"{KEY}\n")
    with pytest.raises(SpoolError, match="both set"):
        Spool(tmp_path, key=KEY, key_file=str(tmp_path / "key"))
    assert Spool(tmp_path, key_file=str(tmp_path / "key"))._key == bytes(range(32))


def test_never_more_than_its_limit_and_room_again_once_something_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEGMENT", 1000)
    spool = opened(tmp_path, limit=5000)
    taken = 0
    with suppress(SpoolFull):
        while taken < 100:
            spool.append(bytes(100))
            taken += 1
    assert 30 < taken < 100
    with pytest.raises(SpoolFull, match=r"\d+ bytes wait in .*, and 5000 may"):
        spool.append(bytes(100))
    assert sum(file.stat().st_size for file in tmp_path.glob("*.spool")) <= 5000
    file = spool.oldest()
    assert file is not None
    taken -= len(spool.read(file))
    spool.remove(file)
    spool.append(b"last")
    assert drain(spool) == [*[bytes(100)] * taken, b"last"]


FULL = """
import resource, signal, sys
from streams.spool import Spool, SpoolFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
spool = Spool(sys.argv[1], key=sys.argv[2])
spool.open()
taken = 0
for _ in range(25):
    try:
        spool.append(bytes(90))
        taken += 1
    except SpoolFull as exc:
        assert "takes nothing (File too large)" in str(exc), exc
print(taken)
"""


def test_a_disk_that_takes_half_a_record_spoils_none(tmp_path: Path) -> None:
    """The kernel writes up to the limit of a file and refuses the rest, as on a full disk."""
    command = [sys.executable, "-c", FULL, str(tmp_path), KEY]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    taken = int(result.stdout)
    assert 20 <= taken < 25
    assert drain(opened(tmp_path)) == [bytes(90)] * taken
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("fsync", "times"), [(0.0, 6), (1.0, 2), (60.0, 0)])
def test_when_it_is_durable_is_as_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: float, times: int
) -> None:
    clock, synced = Clock(), []
    spool = opened(tmp_path, fsync=fsync, clock=clock)
    monkeypatch.setattr(Spool, "sync", lambda self: synced.append(clock.now) or setattr(self, "_synced", clock.now))
    for _ in range(5):
        clock.now += 0.5
        spool.append(b"x")
    assert len(synced) == times  # with the file's head, where each write is one


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads, and the child uses none
def test_a_second_process_is_refused_and_a_forked_one_has_a_folder_of_its_own(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(b"parent's")
    second = Spool(tmp_path, key=KEY)
    with pytest.raises(SpoolError, match=f"process {os.getpid()} has the spool .*: give each process a folder of its"):
        second.open()
    child = os.fork()
    if not child:
        spool.forked()
        spool.open()
        spool.append(b"child's")
        os._exit(0 if spool.folder == tmp_path / "fork-000" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert drain(spool) == [b"parent's"]
    spool.close()
    assert drain(opened(tmp_path)) == [b"child's"], "what a forked process left is nobody's"


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"cannot be used \(Not a directory\): name another folder"):
        Spool(tmp_path / "file" / "spool", key=KEY).open()


def test_what_is_missing_to_encrypt_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(SpoolError, match=r"pip install 'wardwatch\[spool\]'"):
        Spool(tmp_path, key=KEY)
