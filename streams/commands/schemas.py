"""``schemas``: writes what services in other languages go by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from streams.schemas import documents

__all__ = ["text", "write"]


def text(content: object) -> str:
    """A document as it lies in a file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> Iterator[str]:
    """Write every document into ``folder``, which is made; gives each path once it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        path = folder / name
        path.write_text(text(content), "utf-8")
        yield str(path)
