"""What is learnt is durable before it is acknowledged, opens with its key alone, and only under its own pseudonym."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from typing import Any

import pytest
from nacl.public import PrivateKey

from streams import topics
from streams.pseudonyms import Pseudonyms
from streams.records import Output
from streams.sender import DeliveryFailed
from streams.vault import Identity, Vault, VaultWaits, open_identity, seal

PRIVATE = PrivateKey.generate()
PUBLIC = bytes(PRIVATE.public_key)
WHO = {"patient:k.a": Identity("Patient/synthetic-1", ("patient:j.a",)), "patient:k.b": Identity("urn:mrn|77-31-40")}


def test_each_entry_opens_to_what_was_sealed_and_shows_nothing_of_it() -> None:
    entries = seal(WHO, PUBLIC)
    assert {entry.topic for entry in entries} == {topics.VAULT}
    for entry in entries:
        assert open_identity(entry.key.decode(), entry.value, bytes(PRIVATE)) == WHO[entry.key.decode()]
        clear = json.loads(entry.value)
        assert clear.keys() == {"v", "key", "sealed"}
        for part in (entry.value, b64decode(clear["sealed"]), b64decode(clear["key"])):
            assert not any(word in part for word in (b"synthetic", b"77-31-40", b"patient:j"))


def test_what_is_not_whole_does_not_open() -> None:
    first, second = seal(WHO, PUBLIC)
    with pytest.raises(ValueError, match="belongs to another pseudonym"):
        open_identity(second.key.decode(), first.value, bytes(PRIVATE))
    with pytest.raises(ValueError, match="sealed to another key"):
        open_identity(first.key.decode(), first.value, bytes(PrivateKey.generate()))
    changed = json.loads(first.value) | {"sealed": json.loads(second.value)["sealed"]}
    with pytest.raises(ValueError, match="belongs to another pseudonym"):
        open_identity(first.key.decode(), json.dumps(changed).encode(), bytes(PRIVATE))
    with pytest.raises(ValueError, match="schema 2"):
        open_identity("x", json.dumps(json.loads(first.value) | {"v": 2}).encode(), bytes(PRIVATE))


def test_any_text_that_a_record_may_hold_can_be_kept() -> None:
    (entry,) = seal({"patient:k.a": Identity("\ud800 of Zoë")}, PUBLIC)
    assert open_identity("patient:k.a", entry.value, bytes(PRIVATE)).identifier == "? of Zoë"


class Slow:
    """A sender that waits until it is told, and fails as often as it is told."""

    def __init__(self) -> None:
        self.sent: list[Output] = []
        self.failures = 0
        self.go = asyncio.Event()

    async def send(self, topic_id: bytes, partition: int, derived: Any) -> int:
        await self.go.wait()
        if self.failures:
            self.failures -= 1
            raise DeliveryFailed("away")
        self.sent += [output for _, outputs in derived for output in outputs]
        return 1

    def names(self) -> list[str]:
        return [output.key.decode() for output in self.sent]


async def test_nobody_goes_on_before_what_was_learnt_is_durable() -> None:
    slow = Slow()
    vault = Vault(PUBLIC, slow)  # type: ignore[arg-type]
    vault.learn("patient:k.a", "Patient/synthetic-1")
    lanes = [asyncio.create_task(vault.settle(b"", 0, 0))]
    await asyncio.sleep(0)
    vault.learn("patient:k.b", "Patient/synthetic-2")
    lanes.append(asyncio.create_task(vault.settle(b"", 1, 0)))
    done, _ = await asyncio.wait(lanes, timeout=0.05)
    assert not done, "also not the lane whose patient another lane is writing"
    assert (vault.written, vault.pending, vault.waiting) == (0, 2, 2)
    slow.go.set()
    await asyncio.gather(*lanes)
    assert sorted(slow.names()) == ["patient:k.a", "patient:k.b"]
    await vault.settle(b"", 0, 0)
    assert len(slow.sent) == 2, "once"


async def test_a_failed_write_is_raised_and_made_up_for() -> None:
    slow = Slow()
    slow.go.set()
    slow.failures = 1
    vault = Vault(PUBLIC, slow)  # type: ignore[arg-type]
    vault.learn("patient:k.a", "Patient/synthetic-1")
    with pytest.raises(VaultWaits, match="the vault was not written: away"):
        await vault.settle(b"", 0, 0)
    assert (vault.written, vault.pending, vault.waiting) == (0, 1, 0)
    await vault.settle(b"", 0, 0)
    assert slow.names() == ["patient:k.a"]
    assert (vault.written, vault.pending, vault.waiting) == (1, 0, 0)


def test_a_patient_is_told_once_and_with_earlier_names() -> None:
    told: list[tuple[str, str, list[str]]] = []
    old = Pseudonyms(bytes(32), "old0")
    new = Pseudonyms(
        b"n" * 32, "new0", learn=lambda name, who, before: told.append((name, who, list(before))), earlier=[old]
    )
    for spelling in ("Patient/1", "https://ehr.example/fhir/Patient/1", "Patient/1"):
        name = new.patient(spelling)
    assert set(map(str, told)) == {str((name, "Patient/1", [old.patient("Patient/1")]))}
    assert len(told) <= 2, "once a spelling"

    told.clear()
    for _ in range(3):
        token = new.token("actor", "user:portal-Patient-1")
        new.token("id", "event-of-Patient-1")
    assert told == [(f"user:{token}", "portal-Patient-1", [f"user:{old.token('actor', 'user:portal-Patient-1')}"])], (
        "a token as well, but for an event's id"
    )
