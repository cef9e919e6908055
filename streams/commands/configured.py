"""What a command starts with, settings and keys: where they cannot be had, one sentence says what to mend, and it ends.

Nothing heavy is imported until it is needed: :mod:`streams.cli` has this from its first line.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from streams.commands.terminal import fail

if TYPE_CHECKING:
    from detectors.rules import RuleSet
    from streams.keys import Keys
    from streams.pipeline import Reader
    from streams.settings import Settings

__all__ = ["keys_or_exit", "reader_or_exit", "settings_or_exit"]


def settings_or_exit(**given: str) -> Settings:
    """Those of the environment and the settings file, but for what is ``given``. Raises pydantic's errors where one
    cannot be what it is."""
    import tomllib  # noqa: PLC0415

    from streams.settings import Settings  # noqa: PLC0415

    try:
        return Settings(**given)  # type: ignore[arg-type]  # they are parsed
    except tomllib.TOMLDecodeError as exc:
        fail(f"the settings file {os.environ.get('WARDWATCH_CONFIG', 'wardwatch.toml')} is no TOML: {exc}")


def keys_or_exit(settings: Settings) -> Keys:
    """This installation's keys, made where there are none yet. Others that may read them are told of on stderr."""
    from streams.keys import exposed, keys_of  # noqa: PLC0415

    try:
        keys = keys_of(settings)
        if open_to := exposed(keys.folder):
            told = f"others may read {', '.join(open_to)} in {keys.folder}: chmod 600, and think whether anybody has"
            print(f"wardwatch: {told}", file=sys.stderr)
    except ValueError as exc:
        fail(str(exc))
    except OSError as exc:
        place = exc.filename or settings.home
        mend = "let this user have it, or name another folder in WARDWATCH_DATA_DIR"
        fail(f"{place} cannot be used ({exc.strerror or exc}): {mend}")
    return keys


def reader_or_exit(rules: RuleSet) -> Reader:
    """A reader for records that come from no stream. Pseudonyms are the stream's own: of the installation's key."""
    from streams.pipeline import Reader  # noqa: PLC0415
    from streams.privacy import Pseudonyms  # noqa: PLC0415
    from streams.sources.catalog import set_ehr_zone  # noqa: PLC0415

    settings = settings_or_exit()
    set_ehr_zone(settings.ehr_zone)
    keys = keys_or_exit(settings)
    return Reader(rules, Pseudonyms(keys.pseudonym, keys.pseudonym_id))
