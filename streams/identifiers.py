"""Finds a patient's identifiers in text, however they are written there.

Plain, url-encoded, base64 at any alignment and url-encoded within that; plain text without regard to case. How an
identifier is looked for depends on its length, because ``7`` is in every address and ``Patient/7`` in none:

- 8 characters and more: anywhere;
- 4 to 7, and letters alone from 2 on: where neither neighbour is a letter or digit, and not as the id of a resource
  that is no patient (``Practitioner/1234`` is not ``Patient/1234``);
- shorter: only as a whole line.

Base64 is found in one piece, of the identifier as written, in lower or in upper case.
"""

from __future__ import annotations

import re
import string
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from typing import Final
from unicodedata import normalize
from urllib.parse import quote, quote_plus, unquote_plus

__all__ = ["Identifiers", "fold", "identifiers_of"]

_LONG: Final = 8
_BASE64: Final = (string.ascii_letters + string.digits + "+/-_").encode()
_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_OTHER: Final = bytes(byte for byte in range(256) if byte not in _BASE64)
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_QUALIFIED: Final = re.compile(
    r"(?:^|[^a-z])(?:practitioner|practitionerrole|device|organization|relatedperson|person)/$"
)
_KEPT: Final = 4_096


def fold(text: str) -> str:
    """``text`` without regard to case and, beyond ASCII, to how it is composed."""
    return text.lower() if text.isascii() else normalize("NFKC", text).casefold()


class Identifiers:
    """The identifiers of one record, made ready to be looked for."""

    __slots__ = ("_all", "_encoded", "_plain")

    def __init__(self, identifiers: Iterable[str]) -> None:
        self._all = [(text, fold(text)) for text in identifiers if text.strip()]
        long = [needle for _, needle in self._all if len(needle) >= _LONG]
        # What contains another long one needs no look of its own: the other is found with it.
        least = [
            (text, needle)
            for text, needle in self._all
            if not any(other in needle and other != needle for other in long)
        ]
        plain = [needle for _, needle in least]
        # Everything else that url-encoding changes has a % in it.
        self._plain = tuple(dict.fromkeys([*plain, *(needle.replace(" ", "+") for needle in plain)]))
        self._encoded = tuple(dict.fromkeys(code for text, needle in least for code in _base64(text, needle)))

    def suspects(self, text: str) -> bool:
        """Whether any line of ``text`` is worth :meth:`holds`: a look over all of them at once."""
        if "%" in text:
            return True
        folded = text.lower() if text.isascii() else fold(text)
        for needle in self._plain:
            if needle in folded:
                return True
        for needle in self._encoded:
            if needle in text:
                break
        else:
            return False
        return True

    def holds(self, text: str) -> bool:
        """Whether one of the identifiers is in ``text``, and there as an identifier."""
        views = _views(text)
        for identifier, needle in self._all:
            if needle in views and _means(needle, views):
                return True
            if not identifier.isascii():
                # Decoded base64 lies there as bytes, whose letters beyond ASCII nobody folded.
                for spelling in (_as_bytes(identifier), _as_bytes(needle)):
                    if spelling in views and _means(spelling, views):
                        return True
        return False


_recent: dict[frozenset[str], Identifiers] = {}
_older: dict[frozenset[str], Identifiers] = {}


def identifiers_of(identifiers: frozenset[str]) -> Identifiers:
    """:class:`Identifiers`, remembering up to 8,192 patients: what is asked about now is asked about again soon."""
    global _recent, _older
    known = _recent.get(identifiers)
    if known is None:
        known = _older.get(identifiers) or Identifiers(identifiers)
        if len(_recent) >= _KEPT:
            _older, _recent = _recent, {}
        _recent[identifiers] = known
    return known


def _base64(text: str, folded: str) -> Iterable[str]:
    """The characters that every base64 text with ``text`` in it has, for each alignment and usual spelling."""
    if len(text) < 4:
        return
    for spelling in {text, folded, text.upper(), quote(text, ""), quote(text), quote_plus(text)}:
        raw = spelling.encode("utf-8", "surrogatepass")
        for shift in range(3):
            # The first and last characters also hold bits of the neighbours.
            begin, end = (shift * 8 + 5) // 6, (shift + len(raw)) * 8 // 6
            code = b2a_base64(bytes(shift) + raw, newline=False)[begin:end].decode()
            yield code
            if "+" in code or "/" in code:
                yield code.replace("+", "-").replace("/", "_")


def _views(text: str) -> str:
    """``text`` and all it may stand for, folded, each in its own line."""
    views = [fold(text)]
    if ("%" in text or "+" in text) and (plain := unquote_plus(text)) != text:
        views.append(fold(plain))
        text = f"{text}\n{plain}"
    # Whatever is not base64 is left out, which shifts the alignment of what follows: so all four are tried.
    raw = text.encode("utf-8", "surrogatepass").translate(_ALPHABET, _OTHER) + b"AAA"
    for start in range(4):
        decoded = a2b_base64(raw[start : start + (len(raw) - start) // 4 * 4]).decode("latin-1")
        views.append(decoded.lower())
        if _ENCODED.search(decoded):
            views.append(unquote_plus(decoded, "latin-1").lower())
    return "\n".join(views)


def _as_bytes(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1").lower()


def _means(needle: str, views: str) -> bool:
    """Whether ``needle``, which is in ``views``, is there as an identifier and not by chance."""
    size = len(needle)
    if size >= _LONG:
        return True
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
