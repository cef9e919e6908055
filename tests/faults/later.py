"""The next version of the product, as far as anyone can know it now: what it writes says one number more."""

from __future__ import annotations

import sys

from streams.lineage import SCHEMA

__all__ = ["later_version"]


def later_version() -> None:
    """Raise the version in every module that writes or reads it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("streams.") and type(getattr(module, "SCHEMA", None)) is int:
            vars(module)["SCHEMA"] = SCHEMA + 1
