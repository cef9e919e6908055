"""Processes that really die, of records and of other things, over one journal."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from streams import crashes
from streams.crashes import CrashJournal

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the children touch no thread

TOPIC = b"\x01" * 16


class Partition:
    """A log of 200 records, read by one process after another; each is a fork that a signal may end."""

    def __init__(self, folder: Path, killers: set[int], *, batch: int = 40, commits: bool = True) -> None:
        self.killers = killers
        self.journal = folder / "under-way" / "ingest.audit.ehr.0"
        self.refused: set[int] = set()
        self.lives = 0
        self._batch = batch
        self._commits = commits
        self._progress = folder / "progress"
        self._refusals = folder / "refused"

    def live(self, *, topic: bytes = TOPIC, dies_at: int = -1) -> bool:
        """One process, until it dies or has read everything, which is True. ``dies_at``: killed by somebody there."""
        self.lives += 1
        child = os.fork()
        if not child:
            try:
                self._read(topic, dies_at)
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if self._refusals.exists():
            self.refused = {int(line) for line in self._refusals.read_text().split()}
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "it failed for another reason"
        return not os.WIFSIGNALED(status)

    def until_read(self, *, most: int) -> None:
        while not self.live():
            assert self.lives < most

    def _read(self, topic: bytes, dies_at: int) -> None:
        journal = CrashJournal(self.journal)
        journal.open(topic)
        begin = int(self._progress.read_text()) if self._commits and self._progress.exists() else 0
        for first in range(begin, 200, self._batch):
            end = min(first + self._batch, 200)
            refused = []
            with journal.batch(first, end):
                for place in range(first, end):
                    if place in journal.condemned:
                        refused.append(place)
                        continue
                    if journal.careful:
                        journal.name(place)
                    if place in self.killers or place == dies_at:
                        os.kill(os.getpid(), signal.SIGKILL)
                    if journal.careful:
                        journal.rest()
            with self._refusals.open("a") as file:
                file.writelines(f"{place}\n" for place in refused)
            self._progress.write_text(str(end))


def test_a_record_that_kills_is_condemned_after_three_starts(tmp_path: Path) -> None:
    partition = Partition(tmp_path, {97})
    assert not any(partition.live() for _ in range(3))
    assert partition.live()
    assert partition.refused == {97}


def test_each_of_many_is_found_also_in_one_batch_and_with_other_batches(tmp_path: Path) -> None:
    partition = Partition(tmp_path, {0, 41, 42, 79, 199})
    partition.until_read(most=16)
    assert partition.refused == partition.killers
    again = Partition(tmp_path, partition.killers, batch=7, commits=False)
    assert again.live(), "what was condemned stays so for who begins again"


def test_a_process_that_somebody_kills_condemns_nothing(tmp_path: Path) -> None:
    partition = Partition(tmp_path, set(), commits=False)
    random.seed(7)
    for _ in range(30):
        assert not partition.live(dies_at=random.randrange(200))
    assert partition.live()
    assert not partition.refused


def test_a_death_between_two_records_is_laid_to_none(tmp_path: Path) -> None:
    """Other tasks run where a batch rests: what kills there is another partition's."""
    journal = CrashJournal(tmp_path / "journal")
    for _ in range(5):
        child = os.fork()
        if not child:
            journal.open(TOPIC)
            with journal.batch(0, 10):
                if journal.careful:
                    journal.name(3)
                    journal.rest()
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    journal.open(TOPIC)
    assert not journal.condemned
    journal.close()


def test_offsets_of_a_topic_made_again_are_others(tmp_path: Path) -> None:
    partition = Partition(tmp_path, {97})
    partition.until_read(most=5)
    partition = Partition(tmp_path, set(), commits=False)
    assert partition.live(topic=b"\x02" * 16)
    assert partition.refused == {97}, "the first topic's alone"


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashes, "KEPT", 5)
    partition = Partition(tmp_path, set(range(10, 200, 20)), batch=20)
    partition.until_read(most=31)
    assert partition.refused == partition.killers
    assert partition.journal.stat().st_size < 150


@pytest.mark.parametrize("content", [b"", b"junk", os.urandom(5000)])
def test_a_journal_that_is_none_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    journal = CrashJournal(path)
    journal.open(TOPIC)
    assert not journal.condemned
    with journal.batch(0, 1 << 40):
        assert not journal.careful
    journal.close()


def test_without_a_disk_the_work_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    journal = CrashJournal(tmp_path / "file" / "journal")
    journal.open(TOPIC)
    with journal.batch(0, 10):
        journal.name(3)
        journal.rest()
    journal.close()
    assert "would not be found" in caplog.text
