"""``rules publish``, ``withdraw``, ``release`` and ``status``: what every worker runs. Each change is told first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detectors.rules import Problem, load
from streams import topics
from streams.admin import topic_ids
from streams.commands.own_audit import operator, tell
from streams.permissions import OWN_TOPIC, roles
from streams.rule_topic import LARGEST, Board, File, RuleTopic, Running
from streams.rule_watch import TELLING
from streams.settings import Settings
from streams.topics import PUBLISHED

__all__ = ["NotPublished", "alive", "board", "differing", "publish", "release", "withdraw"]


class NotPublished(Exception):
    """Nothing was changed. The message says why, and how to mend it."""


def publish(settings: Settings, path: Path, *, shadow: bool) -> int:
    """Have every worker run the rules of the file at ``path``; how many they are.

    Raises NotPublished where one of them cannot be loaded, SetupError and kafka's errors where Kafka takes nothing.
    """
    rules = load([path], **settings.rule_context)
    if path.is_dir() or not (rules.rules or rules.written) or rules.unread:
        why = "; ".join(map(str, rules.unread[:3])) or "name one file that holds rules"
        raise NotPublished(f"{path} is not published: {why}")
    text = path.read_text(encoding="utf-8-sig")
    if len(text.encode()) > LARGEST:
        raise NotPublished(f"{path} has more than {LARGEST:,} bytes: split it")
    if rules.problems and (unmet := _unmet(settings, path.name, text)):
        raise NotPublished(f"{path} is not published: {'; '.join(map(str, unmet[:3]))}")
    _allowed(settings)
    tell(settings, "publish-rules", entity=f"rules:{path.name}")
    _change(settings, lambda topic: topic.publish(path.name, File(text, shadow, operator())))
    return len(rules.rules) + len(rules.written)


def _unmet(settings: Settings, name: str, text: str) -> list[Problem]:
    """What the correlations of a file refer to in vain where it is published beside all that a worker here runs."""
    own = f"{PUBLISHED}{name}"
    ours = [path.expanduser() for path in settings.rules]
    published = {**board(settings).texts, own: text}
    whole = load(ours, beside_starter=True, published=published, **settings.rule_context)
    return [problem for problem in whole.problems if problem.path == own]


def withdraw(settings: Settings, name: str) -> None:
    """Have no worker run what was published under ``name``. Raises as :func:`publish` does."""
    if name not in board(settings).files:
        raise NotPublished(f"nothing is published under {name}: wardwatch rules status shows what is")
    tell(settings, "withdraw-rules", entity=f"rules:{name}")
    _change(settings, lambda topic: topic.withdraw(name))


def release(settings: Settings, rule: str) -> None:
    """Let a quarantined rule, an id, alert again. Raises as :func:`publish` does."""
    if rule not in board(settings).quarantined:
        raise NotPublished(f"no rule {rule} is in quarantine: wardwatch rules status shows those that are")
    tell(settings, "release-rule", entity=f"rule:{rule}")
    _change(settings, lambda topic: topic.release(rule))


def board(settings: Settings) -> Board:
    """What is published and quarantined now."""
    _allowed(settings)
    topic = RuleTopic(settings)
    try:
        return topic.refresh()
    finally:
        topic.close()


def _allowed(settings: Settings) -> None:
    topic_ids(settings, only=[topics.RULES, OWN_TOPIC], needed=_needed())


def _needed() -> Sequence[Any]:
    return [acl for acl in roles()["detection"] if acl.name in (topics.RULES, OWN_TOPIC)]


def _change(settings: Settings, change: Any) -> None:
    topic = RuleTopic(settings)
    try:
        change(topic)
    finally:
        topic.close()


def alive(board: Board, *, now: int) -> dict[str, Running]:
    """The workers that said of late which rules they run, by name. ``now``: ms since the epoch."""
    return {name: running for name, running in sorted(board.workers.items()) if now - running.told <= 3 * TELLING}


def differing(workers: Mapping[str, Running]) -> list[str]:
    """Those that do not run what most do; of two sets that as many run, the one told of later counts as the most."""
    versions = Counter(running.version for running in workers.values())
    latest = {running.version: running.told for running in sorted(workers.values(), key=lambda running: running.told)}
    common = max(versions, key=lambda version: (versions[version], latest[version]), default="")
    return [name for name, running in workers.items() if running.version != common]
