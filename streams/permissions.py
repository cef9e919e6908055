"""What each role must be allowed on a Kafka with an authorizer, and not one permission more.

``deploy/kafka/acls.toml`` says the same for people; a test holds the two equal, and runs the product with exactly
these. ``Read`` and ``Write`` let a client describe as well, so ``Describe`` stands only where it comes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams import topics
from streams.emitter import TOPICS

__all__ = ["Acl", "roles"]


#: Where what people do with Wardwatch itself is told.
OWN_TOPIC = TOPICS["wardwatch"]


class Acl(NamedTuple):
    """One permission, by Kafka's own names. A name that ends with ``*`` is the prefix of many."""

    operation: str
    resource: str  #: ``Topic``, ``Group``, ``TransactionalId`` or ``Cluster``
    name: str

    def __str__(self) -> str:
        return f"{self.operation} {self.resource} {self.name}"


def _on(operation: str, names: Iterable[str]) -> tuple[Acl, ...]:
    return tuple(Acl(operation, "Topic", name) for name in names)


def roles(application: str = "wardwatch") -> Mapping[str, tuple[Acl, ...]]:
    """Each role's permissions. ``application``: as in the setting, which names group and transactional ids."""
    states = [topic.name for topic in topics.ALL if topic.name.endswith(".state")]
    between = [topics.EVENTS, topics.VIEWS, topics.MATCHES, topics.FINDINGS, topics.ALERTS, topics.NOTIFICATIONS]
    both = [*between, *states, topics.INSTALLATION]
    every = [topic.name for topic in topics.ALL]
    read = [topics.ALERTS, topics.DEAD_LETTERS, topics.INSTALLATION]
    group = Acl("Read", "Group", application)
    keeping = Acl("Describe", "Group", f"{application}.events")
    return {
        **{f"emitter-{topic.partition('.')[2]}": _on("Write", [topic]) for topic in TOPICS.values()},
        "worker": (
            *_on("Read", [*topics.INPUTS, *both, topics.RULES]),
            *_on("Write", [*both, topics.DEAD_LETTERS, topics.VAULT, topics.RULES]),
            group,
            keeping,
            Acl("Write", "TransactionalId", f"{application}.*"),
        ),
        "setup": (*_on("Create", every), *_on("Describe", every)),
        "operator": (*_on("Read", [topics.DEAD_LETTERS]), *_on("Write", [topics.DEAD_LETTERS, *topics.INPUTS])),
        "events": (
            *_on("Read", [topics.EVENTS]),
            *_on("Write", [topics.DEAD_LETTERS, topics.FINDINGS]),
            keeping._replace(operation="Read"),
        ),
        "detection": (
            *_on("Read", [topics.RULES, *topics.INPUTS]),
            *_on("Write", [topics.RULES, OWN_TOPIC]),
        ),
        "identity": (
            *_on("Read", [topics.VAULT, topics.INSTALLATION]),
            *_on("Write", [OWN_TOPIC, topics.INSTALLATION]),
            *_on("Describe", [name for name in topics.INPUTS if name != OWN_TOPIC]),
            group._replace(operation="Describe"),
        ),
        "console": (
            *_on("Read", read),
            *_on("Describe", [name for name in every if name not in read]),
            group._replace(operation="Describe"),
            keeping,
        ),
    }
