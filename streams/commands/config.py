"""``config``: each setting, its value or ``***``, and where it came from; names that are none, and the nearest."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, SecretStr

from streams.settings import Settings

__all__ = ["Setting", "Unknown", "nearest", "settings_told", "unknown_names"]

_PREFIX = "WARDWATCH_"
_HIDDEN = "***"
_REQUIRED = ("REQUIRE_BROWSER", "REQUIRE_CLOCK", "REQUIRE_FULL_DISK")
#: Names that other parts read: where settings are, the script, one process to its child, and the tests.
_OTHERS = frozenset({"CONFIG", "SECRETS", "PYTHON", "PARENT", "LONG", "MILLION", "RSIGMA", *_REQUIRED})
_TESTS = "TEST_"


@dataclass(frozen=True, slots=True)
class Setting:
    name: str  #: nested names are joined by two underscores, as in the environment
    value: Any  #: for JSON; what is secret is ***, or empty where it is not set
    origin: str  #: "default", or the variable or file it is from


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that looks like a setting and is none: whoever wrote it waits for something that never happens."""

    name: str
    origin: str
    nearest: str  #: the setting that was meant, as far as can be guessed; else empty


def settings_told(settings: Settings) -> list[Setting]:
    """Every setting, in the order of the documentation."""
    origins = _Origins()
    return [
        Setting("__".join(path), _shown(path, value), origins.of(path) if given else "default")
        for name in Settings.model_fields
        for path, value, given in _leaves((name,), getattr(settings, name))
    ]


def unknown_names() -> list[Unknown]:
    """Those in the environment, in the folder of secrets and in the settings file."""
    origins = _Origins()
    found = []
    for name in origins.environment:
        if name.split("__")[0] not in Settings.model_fields and not _another_s(name.upper()):
            found.append(Unknown(_PREFIX + name.upper(), "environment", nearest(name, upper=True)))
    for name, path in origins.secrets.items():
        if name.split("__")[0] not in Settings.model_fields:
            found.append(Unknown(path.name, str(path.parent), nearest(name, upper=True)))
    for name in origins.file:
        if name not in Settings.model_fields:
            found.append(Unknown(name, str(origins.path), nearest(name)))
    return found


def _another_s(name: str) -> bool:
    return name in _OTHERS or name.startswith(_TESTS)


def nearest(name: str, *, upper: bool = False) -> str:
    """The setting that ``name`` may have meant; empty where none is near. ``upper``: as the environment has it."""
    first, *rest = name.split("__")
    close = get_close_matches(first, list(Settings.model_fields), n=1)
    if not close:
        return ""
    whole = "__".join([close[0], *rest])
    return _PREFIX + whole.upper() if upper else whole


class _Origins:
    """What lies where, by the names of settings in lower case."""

    def __init__(self) -> None:
        self.environment = {
            name.lower().removeprefix(_PREFIX.lower()): name for name in os.environ if name.upper().startswith(_PREFIX)
        }
        folder = os.environ.get(f"{_PREFIX}SECRETS")
        files = sorted(Path(folder).iterdir()) if folder and Path(folder).is_dir() else []
        self.secrets = {
            path.name.lower().removeprefix(_PREFIX.lower()): path
            for path in files
            if path.name.upper().startswith(_PREFIX)
        }
        self.path = Path(os.environ.get(f"{_PREFIX}CONFIG") or "wardwatch.toml")
        self.file: Mapping[str, Any] = {}
        with suppress(tomllib.TOMLDecodeError):  # whoever reads the settings themselves tells that
            self.file = tomllib.loads(self.path.read_text()) if self.path.is_file() else {}

    def of(self, path: Sequence[str]) -> str:
        """The first that has the setting, or what it lies in."""
        names = ["__".join(path[:length]).lower() for length in range(len(path), 0, -1)]
        for name in names:
            if name in self.environment:
                return self.environment[name]
        for name in names:
            if name in self.secrets:
                return str(self.secrets[name])
        at: Any = self.file
        for part in path:
            if not isinstance(at, Mapping) or part not in at:
                return "default"
            at = at[part]
        return str(self.path)


def _leaves(path: tuple[str, ...], value: Any, given: bool = True) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    """Each value that holds no others, and whether anybody gave it."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:  # its iterator gives what is cached too, passwords in plain text
            inner = getattr(value, name)
            yield from _leaves((*path, name), inner, given and name in value.model_fields_set)
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves((*path, str(name)), inner, given)
    else:
        yield path, value, given


def _shown(path: Sequence[str], value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    if value is None:
        return ""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [_shown(path, each) for each in value]
    if isinstance(value, str) and "://" in value:
        return _address(value, whole=len(path) == 1)
    return value


def _address(url: str, *, whole: bool) -> str:
    """``url`` without a password in it; of what lies deeper, such as a receiver's, the path may be the secret."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        parts = parts._replace(netloc=f"{_HIDDEN}@{parts.netloc.rpartition('@')[2]}")
    if not whole and (parts.path.strip("/") or parts.query):
        parts = parts._replace(path=f"/{_HIDDEN}", query="", fragment="")
    return urlunsplit(parts)
