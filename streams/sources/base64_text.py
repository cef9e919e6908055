"""Text that audit events carry as base64: details and queries."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64

__all__ = ["decoded"]


def decoded(value: str) -> str:
    """What base64 says, in lines of whatever length; itself where it is none, as some send it plain."""
    try:
        return a2b_base64("".join(value.split()), strict_mode=True).decode()
    except (Base64Error, UnicodeDecodeError, ValueError):
        return value
