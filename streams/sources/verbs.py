"""What the name of an action says happened: ``CreateUser``, ``repo.destroy``, ``setIamPermissions``, ``REMOVE_ROLE``.

Vendors name thousands of actions and keep adding some. Their verbs are few, so a name is taken apart into words and
its first verb tells ECS's type. A name without a verb that is known changes something, as far as anyone can say.
"""

from __future__ import annotations

from re import compile as regex
from typing import Final

__all__ = ["kind", "paired", "words"]

_WORD: Final = regex(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_VERBS: Final = {
    "access": "get list read view search download fetch clone query describe export lookup check test show watch"
    " preview access head select scan print sync open count sign peek play evaluate verify recommend find browse"
    " takeout",
    "creation": "create add install new import upload generate register issue invite enroll insert put run launch"
    " allocate copy publish submit fork provision make signup",
    "deletion": "delete remove destroy purge deregister drop uninstall unenroll erase expire recycle",
    "change": "update set modify change patch write edit move rename grant assign attach enable disable restore archive"
    " transfer override rotate reset lock unlock suspend activate deactivate revoke replace undelete allow block"
    " approve deny stop start cancel detach unassign unarchive merge share increase apply",
}
_KINDS: Final = {verb: kind for kind, verbs in _VERBS.items() for verb in verbs.split()}
#: Past tenses that taking off an ending does not make a verb of.
_PAST: Final = {
    "ran": "run",
    "sent": "send",
    "made": "make",
    "shown": "show",
    "found": "find",
    "written": "write",
    "previewed": "preview",
    "modified": "modify",
    "copied": "copy",
    "submitted": "submit",
    "denied": "deny",
    "dropped": "drop",
    "stopped": "stop",
    "applied": "apply",
    "verified": "verify",
}
#: What is added to or taken from these is a change of theirs, and nothing new.
_MEMBERS: Final = frozenset({"member", "members", "membership", "collaborator", "owner", "role", "permission"})
#: What ECS expects beside a category, where that is not what the verb says; ``*`` for any verb not named.
_PAIRED: Final[dict[str, dict[str, str]]] = {
    "iam": {"access": "info", "start": "info", "end": "info"},
    "authentication": {"*": "info", "start": "start", "end": "end"},
    "session": {"*": "info", "start": "start", "end": "end"},
    "configuration": {"start": "change", "end": "change"},
    "file": {"start": "access", "end": "access", "info": "access"},
    "database": {"creation": "change", "deletion": "change", "start": "access", "end": "access"},
    "host": {"creation": "start", "deletion": "end"},
    "process": {"creation": "start", "deletion": "end"},
    "network": {"creation": "start", "deletion": "end", "change": "info"},
    "email": {"*": "info"},
    "web": {"*": "info", "access": "access"},
    "intrusion_detection": {"*": "info"},
}


def words(name: str) -> list[str]:
    """The words of a name in camel, snake, kebab or any other case, in small letters."""
    return [word.lower() for word in _WORD.findall(name)]


def kind(name: str, *, other: str = "change") -> str:
    """``access``, ``creation``, ``deletion`` or ``change``: what the first verb of ``name`` says; else ``other``."""
    said = words(name)
    for word in said:
        found = _KINDS.get(_present(word))
        if found is None:
            continue
        if found in ("creation", "deletion") and _present(word) in ("add", "remove"):
            return "change" if _MEMBERS & set(said) or "to" in said or "from" in said else found
        return found
    return other


def paired(category: str, type_: str) -> str:
    """``type_``, or the type that ECS expects beside ``category`` in its place."""
    pairs = _PAIRED.get(category)
    return type_ if pairs is None else pairs.get(type_) or pairs.get("*") or type_


def _present(word: str) -> str:
    """``created`` and ``creates`` are ``create``."""
    if word in _KINDS:
        return word
    if word in _PAST:
        return _PAST[word]
    for ending in ("d", "ed", "s", "es", "ing"):
        if word.endswith(ending) and word[: -len(ending)] in _KINDS:
            return word[: -len(ending)]
    return word
