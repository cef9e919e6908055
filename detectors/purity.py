"""Catches code that is no function of what it was given: a look at a clock, at chance, at files or the network.

By whatever name it goes by: the interpreter reports every call of a built-in function while :func:`pure` holds, so an
alias made at import is seen as well. Seeded generators of their own are allowed.
"""

from __future__ import annotations

import builtins
import datetime
import gc
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any, Final

__all__ = ["pure"]

#: Modules of built-in functions none of which says the same twice, or to everyone.
_MODULES: Final = frozenset({"time", "posix", "nt", "_socket", "_ssl", "select", "_uuid", "_thread"})
#: What a module of that list says the same to everyone.
_ALLOWED: Final = frozenset({"gmtime", "strptime", "fspath", "get_ident"})
_DATES: Final = frozenset({"now", "utcnow", "today"})
_CHANCE: Final = getattr(random, "_inst")  # noqa: B009  # the generator that everyone shares


def _impure(function: Any) -> str:
    """What ``function``, a built-in, looks at; "" where that is nothing but its arguments."""
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if owner is _CHANCE:
        return "chance"
    modules = {owner.__name__} if isinstance(owner, ModuleType) else {kind.__module__ for kind in type(owner).__mro__}
    if (modules & _MODULES) and name not in _ALLOWED:
        return "the clock" if "time" in modules else "the system"
    if isinstance(owner, type) and issubclass(owner, datetime.date) and name in _DATES:
        return "the clock"
    if owner is builtins and name in ("hash", "id"):
        return f"{name}(), which differs between processes"
    if name in ("open", "open_code", "input") and isinstance(owner, ModuleType):
        return "a file"
    return ""


@contextmanager
def pure(caught: Callable[[str], None]) -> Iterator[None]:
    """While it holds, ``caught`` is called with what was looked at. It may raise, which ends the look."""

    def watch(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and (what := _impure(function)):
            caught(what)

    # Somebody else's callback at a collection may look at the clock, in the middle of what is watched.
    before, collected = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
        if collected:
            gc.enable()
