"""Values as they are, for tests that have nothing to hide."""

from __future__ import annotations

__all__ = ["Plain"]


class Plain:
    def identity(self, text: str) -> str:
        return text

    def token(self, text: str) -> str:
        return f"token:{text}"

    def shown(self, text: str) -> str:
        return text
