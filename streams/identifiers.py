"""Finds a patient's identifiers in text, however they are written there.

Promised, for an identifier of four characters and more (``tests/streams/test_privacy.py`` holds them):

- plain, in any case and, beyond ASCII, in any composition (NFC, NFD, full width);
- without its spaces, dashes, dots, slashes and underscores, where it has a digit and six letters or digits are left;
- url-encoded, as HTML entities, or with ``\\u`` and ``\\x`` escapes, each once or twice, and one within the other;
- base64, standard or url-safe, at any alignment, of the identifier as written, in lower or upper case, or url-encoded;
- hexadecimal, of the identifier as written or in lower case, in digits of either case.

A shorter one is promised plain. How an identifier is looked for depends on its length, because ``7`` is in every
address and ``Patient/7`` in none:

- 8 characters and more: anywhere;
- 4 to 7, and letters alone from 2 on: where neither neighbour is a letter or digit, and not as the id of a resource
  that is no patient (``Practitioner/1234`` is not ``Patient/1234``);
- shorter: only as a whole line.

Not looked for: other transliterations (``Muller`` for ``Müller``), names in another order than the record gives,
base64 within base64, hashes, compression and encryption.
"""

from __future__ import annotations

import html
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
_URL_ENCODINGS: Final = ((quote, ""), (quote, "/"), (quote_plus, ""))
#: What url-encoding leaves as it is (RFC 3986, 2.3).
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]+")
#: The three places of a byte within base64's groups: bytes before it, and the first character that is its own.
_ALIGNMENTS: Final = ((b"", 0), (b"\0", 2), (b"\0\0", 3))
_SEPARATORS: Final = re.compile(r"[\s\-./_]+")
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\\/\"']))")
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{6,}")
#: How many times text may have been encoded over.
_LAYERS: Final = 4
#: Readings of one text that are looked at; more there are only of text that was made for that.
_READINGS: Final = 32
#: Characters of a text that is read in every way; a longer one in which something is suspected holds it.
_LONGEST: Final = 16_384
#: Identifiers of one record that are compared with each other, and remembered; a record with more is one of its kind.
_MANY: Final = 64
_KEPT: Final = 2_048


def fold(text: str) -> str:
    """``text`` without regard to case and, beyond ASCII, to how it is composed."""
    return text.lower() if text.isascii() else normalize("NFKC", text).casefold()


class Identifiers:
    """The identifiers of one record, made ready to be looked for."""

    __slots__ = ("_all", "_bare", "_encoded", "_hex", "_plain")

    def __init__(self, identifiers: Iterable[str]) -> None:
        self._all = [(text, fold(text)) for text in identifiers if text.strip()]
        few = len(self._all) <= _MANY
        long = [needle for _, needle in self._all if few and len(needle) >= _LONG]
        # What contains another long one needs no look of its own: the other is found with it.
        least = [(text, needle) for text, needle in self._all if not _contains(needle, long)]
        bare = {_bare(needle) for _, needle in self._all} - {""}
        long = [needle for needle in bare if few and len(needle) >= _LONG]
        self._bare = tuple(needle for needle in bare if not _contains(needle, long))
        self._hex = tuple(dict.fromkeys(code for text, needle in least for code in _hexadecimal(text, needle)))
        plain = [needle for _, needle in least]
        # Everything else that url-encoding changes has a % in it.
        self._plain = tuple(
            dict.fromkeys([*plain, *(needle.replace(" ", "+") for needle in plain), *self._bare, *self._hex])
        )
        self._encoded = tuple(dict.fromkeys(code for text, needle in least for code in _base64(text, needle)))

    def suspects(self, text: str) -> bool:
        """Whether any part of ``text`` is worth :meth:`holds`: a look over all of them at once."""
        if "%" in text or "&" in text or "\\" in text:
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
        if len(text) > _LONGEST:
            return True
        views = _views(text)
        for identifier, needle in self._all:
            if needle in views and _means(needle, views):
                return True
            if not identifier.isascii():
                # Decoded base64 lies there as bytes, whose letters beyond ASCII nobody folded.
                for spelling in map(_as_bytes, (identifier, needle, identifier.upper())):
                    if spelling in views and _means(spelling, views):
                        return True
        for needle in self._bare:
            if needle in views and _means(needle, views):
                return True
        return any(code in views for code in self._hex)


def _contains(needle: str, others: Iterable[str]) -> bool:
    return any(other in needle and other != needle for other in others)


def _bare(needle: str) -> str:
    """A number without its separators; "" where it has none, or little else."""
    if needle.isalnum():
        return ""
    bare = _SEPARATORS.sub("", needle)
    return bare if len(bare) >= 6 and bare != needle and any(map(str.isdigit, bare)) else ""


def _hexadecimal(text: str, folded: str) -> Iterable[str]:
    if len(text) < 4:
        return ()
    return (spelling.encode("utf-8", "surrogatepass").hex() for spelling in (text, folded))


_recent: dict[frozenset[str], Identifiers] = {}
_older: dict[frozenset[str], Identifiers] = {}


def identifiers_of(identifiers: frozenset[str]) -> Identifiers:
    """:class:`Identifiers`, remembering up to 4,096 patients: what is asked about now is asked about again soon."""
    global _recent, _older
    if len(identifiers) > _MANY:
        return Identifiers(identifiers)
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
    spellings = {text, folded, text.upper()}
    if not _UNRESERVED.fullmatch(text):
        # Half a surrogate pair is no reason to stop looking.
        spellings |= {write(text, safe, errors="surrogatepass") for write, safe in _URL_ENCODINGS}
    for spelling in spellings:
        raw = spelling.encode("utf-8", "surrogatepass")
        for zeros, begin in _ALIGNMENTS:
            # The first and last characters also hold bits of the neighbours.
            end = (len(zeros) + len(raw)) * 8 // 6
            code = b2a_base64(zeros + raw, newline=False)[begin:end].decode()
            yield code
            if "+" in code or "/" in code:
                yield code.replace("+", "-").replace("/", "_")


def _views(text: str) -> str:
    """``text`` and all it may stand for, folded, each in its own line."""
    views: list[str] = []
    for reading in _readings(text):
        views.append(fold(reading))
        views.extend(_decoded(reading))
    return "\n".join(views)


def _readings(text: str) -> list[str]:
    """``text``, and what it says once its url-encoding, entities and escapes are read, in whatever order."""
    readings = [text]
    layer = [text]
    for _ in range(_LAYERS):
        layer = [plain for reading in layer for plain in _read(reading) if plain not in readings]
        readings.extend(layer)
        if not layer or len(readings) > _READINGS:
            break
    return list(dict.fromkeys(readings[:_READINGS]))


def _read(text: str) -> Iterable[str]:
    if "%" in text or "+" in text:
        yield unquote_plus(text)
    if "&" in text:
        yield html.unescape(text)
    if "\\" in text:
        yield _ESCAPED.sub(lambda code: code[3] or chr(int(code[1] or code[2], 16)), text)


def _decoded(text: str) -> Iterable[str]:
    """What ``text`` says as base64: each run of it by itself, and all together, as it is when lines were wrapped."""
    for run in {text, *_RUN.findall(text)}:
        # Whatever is not base64 is left out, which shifts the alignment of what follows: so all four are tried.
        raw = run.encode("utf-8", "surrogatepass").translate(_ALPHABET, _OTHER) + b"AAA"
        for start in range(4):
            decoded = a2b_base64(raw[start : start + (len(raw) - start) // 4 * 4]).decode("latin-1")
            yield decoded.lower()
            if _ENCODED.search(decoded):
                yield unquote_plus(decoded, "latin-1").lower()


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
