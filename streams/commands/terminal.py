"""How commands speak to whoever ran them: sentences where a person can mend something, JSON to scripts, colour to eyes.

Nothing heavy is imported until it is needed: :mod:`streams.cli` has this from its first line.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["fail", "print_json", "sentences", "terminal_look"]


def fail(message: str) -> NoReturn:
    """End the command with exit code 1 and ``message``, one sentence, on standard error."""
    print(f"wardwatch: {message}", file=sys.stderr)
    sys.exit(1)


def print_json(value: Any) -> None:
    """``value`` as one line of JSON on standard output."""
    import orjson  # noqa: PLC0415

    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def terminal_look() -> dict[str, Any]:
    """``width`` and ``colour`` of :func:`streams.commands.alert_line.alert_line`; 0 and False where nobody looks on."""
    terminal = sys.stdout.isatty()
    return {
        "width": shutil.get_terminal_size().columns if terminal else 0,
        "colour": terminal and "NO_COLOR" not in os.environ,
    }


def sentences(exc: Exception) -> list[str]:
    """What a person is told of ``exc``; nothing where it is a defect of ours."""
    from kafka.errors import KafkaError  # noqa: PLC0415
    from pydantic import ValidationError  # noqa: PLC0415
    from pydantic_settings import SettingsError  # noqa: PLC0415

    from streams.admin import SetupError  # noqa: PLC0415
    from streams.commands.accesses import NotAsked  # noqa: PLC0415
    from streams.commands.pseudonym_keys import NotDone  # noqa: PLC0415
    from streams.commands.published import NotPublished  # noqa: PLC0415
    from streams.commands.reveal import NotRevealed  # noqa: PLC0415
    from streams.embedded.jars import EmbeddedError  # noqa: PLC0415
    from streams.refusals import Refused  # noqa: PLC0415
    from streams.sinks.database import StoreError  # noqa: PLC0415

    if isinstance(exc, ValidationError):
        return [
            _setting(error["loc"], _none(error) if error["type"] == "extra_forbidden" else error["msg"])
            for error in exc.errors()
        ]
    if isinstance(exc, SettingsError):
        return [str(exc)]
    if isinstance(exc, Refused):
        return [str(exc)]
    if isinstance(exc, KafkaError):
        return [f"Kafka does not do it ({type(exc).__name__}): {exc}"]
    if isinstance(exc, SetupError | EmbeddedError | StoreError | NotRevealed | NotPublished | NotDone | NotAsked):
        return [str(exc)]
    return []


def _none(error: ErrorDetails) -> str:
    """What is told of a name that is no setting."""
    from streams.commands.config import nearest  # noqa: PLC0415

    meant = nearest(str(error["loc"][0]), upper=True) if len(error["loc"]) == 1 else ""
    return "there is no such setting" + (f"; did you mean {meant}?" if meant else "")


def _setting(place: tuple[int | str, ...], message: str) -> str:
    """One wrong setting, by the name it has in the environment; of several that do not fit, their own sentence."""
    from streams.receivers import KIND  # noqa: PLC0415

    message = message.removeprefix("Value error, ")
    name = "__".join(str(part) for part in place if not str(part).startswith(KIND)).upper()
    return f"setting WARDWATCH_{name}: {message}" if name else message
