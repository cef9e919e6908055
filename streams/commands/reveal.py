"""``reveal``: who a pseudonym is. Told to the stream first, and shown only once the brokers have that."""

from __future__ import annotations

from binascii import crc32
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.admin import topic_ids
from streams.commands.own_audit import tell
from streams.identifiers import identifiers_of
from streams.keys import Keys
from streams.permissions import OWN_TOPIC, Acl
from streams.pseudonyms import Pseudonyms
from streams.settings import Settings
from streams.sources.own import is_subject
from streams.vault import Identity, open_identity

__all__ = ["LONGEST_REASON", "NotRevealed", "Revealed", "in_vault", "reveal"]

#: What Kafka must allow before anybody is asked about.
NEEDED = (Acl("Read", "Topic", topics.VAULT), Acl("Write", "Topic", OWN_TOPIC))
#: Characters of a reason.
LONGEST_REASON = 500


class NotRevealed(Exception):
    """The pseudonym stays one. The message says why, and how to mend it."""


@dataclass(frozen=True)
class Revealed:
    identity: Identity
    checked: bool  #: True where the pseudonym was made again from the identifier, and is the same


def reveal(settings: Settings, keys: Keys, pseudonym: str, reason: str) -> Revealed:
    """Who ``pseudonym`` is. An audit event says who asked, and why, before this returns, also where it raises.

    Raises NotRevealed, SetupError where the event or the vault cannot be had, and kafka's errors.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise NotRevealed(f"--reason takes 1 to {LONGEST_REASON} characters: say why you ask, such as a case's number")
    try:
        found = _open(settings, keys, pseudonym)
    except NotRevealed:
        tell(settings, "reveal-identity", outcome="failure", reason=reason, subject=_subject(pseudonym))
        raise
    if identifiers_of(frozenset(_spellings(found.identity.identifier))).holds(reason):
        tell(settings, "reveal-identity", outcome="failure", subject=pseudonym)
        raise NotRevealed("the reason holds the patient's identifier: say why without it, such as a case's number")
    patient = found.identity.identifier if pseudonym.startswith("patient:") else ""
    tell(settings, "reveal-identity", reason=reason, subject=pseudonym, patient=patient)
    return found


def _open(settings: Settings, keys: Keys, pseudonym: str) -> Revealed:
    value = in_vault(settings, pseudonym)
    if value is None:
        raise NotRevealed(
            f"the vault holds no {_subject(pseudonym) or 'such pseudonym'}: write it as alerts do, patient:…, whole"
        )
    try:
        identity = open_identity(pseudonym, value, keys.vault_private())
    except ValueError as exc:
        raise NotRevealed(str(exc)) from None
    kind, _, name = pseudonym.partition(":")
    key = keys.held.get(name.partition(".")[0])
    checked = key is not None and kind == "patient"
    if key is not None and checked and Pseudonyms(key, name[:8]).patient(identity.identifier) != pseudonym:
        raise NotRevealed("what the vault says of it is not whom it was made for: somebody else wrote to the vault")
    return Revealed(identity, checked)


def _subject(pseudonym: str) -> str:
    """``pseudonym`` where it has the shape of one; else nothing, for who knows what somebody typed."""
    return pseudonym if is_subject(pseudonym) else ""


def _spellings(identifier: str) -> set[str]:
    return {identifier, identifier.rpartition("|")[2], identifier.removeprefix("Patient/")} - {""}


def in_vault(settings: Settings, pseudonym: str) -> bytes | None:
    """The newest entry under ``pseudonym``; None where there is none. Reads one partition of ``vault``."""
    topic_ids(settings, only=[topics.VAULT, OWN_TOPIC], needed=NEEDED)
    key = pseudonym.encode("utf-8", "replace")
    tp = TopicPartition(topics.VAULT, crc32(key) % settings.partitions)
    client = settings.security.kafka_python()
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.split(","), enable_auto_commit=False, **client)
    try:
        consumer.assign([tp])
        consumer.seek_to_beginning(tp)
        end = consumer.end_offsets([tp])[tp]
        value: bytes | None = None
        while consumer.position(tp) < end:
            for record in consumer.poll(timeout_ms=500, max_records=5000).get(tp, ()):
                if record.key == key:
                    value = record.value
        return value
    finally:
        consumer.close()
