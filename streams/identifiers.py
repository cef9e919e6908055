"""Finds a patient's identifier in a string, however it is written there.

A string is looked at in several *views*: itself, url-decoded, base64-decoded at every alignment, and url-decoded after
that; all without regard to case. Views of strings that come again, such as a user or an address, are kept.

How an identifier is looked for depends on its length, because ``7`` is in every address and ``Patient/7`` in none:

- 8 characters and more: anywhere;
- 4 to 7, and letters alone from 2 on: where neither neighbour is a letter or digit, and not as the id of a resource
  that is no patient (``Practitioner/1234`` is not ``Patient/1234``);
- shorter: only as the whole string.
"""

from __future__ import annotations

import re
import string
from binascii import a2b_base64
from collections.abc import Iterable
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote_plus

from streams.vocabulary import WORDS

__all__ = ["Views", "fold", "holds", "look"]

_LONG: Final = 8
_BASE64: Final = (string.ascii_letters + string.digits + "+/-_").encode()
_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_OTHER: Final = bytes(byte for byte in range(256) if byte not in _BASE64)
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_QUALIFIED: Final = re.compile(
    r"(?:^|[^a-z])(?:practitioner|practitionerrole|device|organization|relatedperson|person)/$"
)


def fold(text: str) -> str:
    """``text`` without regard to case and, beyond ASCII, to how it is composed."""
    return text.lower() if text.isascii() else normalize("NFKC", text).casefold()


def look(text: str) -> str:
    """All views of ``text``, folded, each in its own line."""
    views = [fold(text)]
    if "%" in text and (plain := unquote_plus(text)) != text:
        views.append(fold(plain))
        text = f"{text}\n{plain}"
    raw = text.encode("utf-8", "surrogatepass").translate(_ALPHABET, _OTHER)
    size = len(raw)
    if size >= 6:
        # What is not base64 was left out, which shifts the alignment of what follows: so all four are tried.
        raw += b"AAA"
        decoded = b"\n".join(
            (
                a2b_base64(raw[: (size + 3) // 4 * 4]),
                a2b_base64(raw[1 : 1 + (size + 2) // 4 * 4]),
                a2b_base64(raw[2 : 2 + (size + 1) // 4 * 4]),
                a2b_base64(raw[3 : 3 + size // 4 * 4]),
            )
        ).decode("latin-1")
        views.append(decoded.lower())
        if "%" in decoded and _ENCODED.search(decoded):
            views.append(unquote_plus(decoded, "latin-1").lower())
    return "\n".join(views)


class Views:
    """:func:`look`, remembering up to 32,768 strings of up to 512 characters; "" for words of published vocabularies."""

    _KEPT: Final = 16_384

    def __init__(self) -> None:
        #: Read by who cannot afford a call a string; only :meth:`of` writes.
        self.recent: dict[str, str] = dict.fromkeys(WORDS, "")
        self._older: dict[str, str] = {}

    def of(self, text: str) -> str:
        known = self.recent.get(text)
        if known is None:
            known = self._older.get(text)
            if known is None:
                known = look(text)
            if len(text) <= 512:
                if len(self.recent) >= self._KEPT + len(WORDS):  # what is still asked for survives, the rest goes
                    self._older, self.recent = self.recent, dict.fromkeys(WORDS, "")
                self.recent[text] = known
        return known


def holds(views: str, identifiers: Iterable[str]) -> bool:
    """Whether one of ``identifiers`` is in ``views``, which :func:`look` made."""
    for identifier in identifiers:
        if identifier.isascii():
            needle = identifier.lower()
            if needle in views and _means(needle, views):
                return True
        else:
            needle = fold(identifier)
            # Decoded base64 lies there as bytes, whose letters beyond ASCII nobody folded.
            for spelling in (needle, _as_bytes(identifier), _as_bytes(needle)):
                if spelling in views and _means(spelling, views):
                    return True
    return False


def _as_bytes(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1").lower()


def _means(needle: str, views: str) -> bool:
    """Whether ``needle``, which is in ``views``, is there as an identifier and not by chance."""
    size = len(needle)
    if size >= _LONG:
        return True
    if not size:
        return False
    whole = size < 4 and not (size >= 2 and needle.isalpha())
    place = views.find(needle)
    while place >= 0:
        before, after = views[max(place - 1, 0) : place], views[place + size : place + size + 1]
        if whole:
            if before in ("", "\n") and after in ("", "\n"):
                return True
        elif not before.isalnum() and not after.isalnum() and not _other_resource(views, place):
            return True
        place = views.find(needle, place + 1)
    return False


def _other_resource(views: str, place: int) -> bool:
    """Whether what stands at ``place`` is the id of a resource that is no patient."""
    return views[place - 1 : place] == "/" and _QUALIFIED.search(views[max(0, place - 24) : place]) is not None
