"""Every spelling of an identifier that ``streams/identifiers.py`` promises to find."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from unicodedata import normalize
from urllib.parse import quote, quote_plus

__all__ = ["FRAMES", "SPELLINGS"]


def _everywhere(text: str, write: Callable[[str], str]) -> str:
    return "".join(map(write, text))


def _escaped(text: str) -> str:
    return _everywhere(text, lambda char: f"\\u{ord(char):04x}")


#: Every spelling that ``streams/identifiers.py`` promises to find.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "upper": str.upper,
    "swapped case": str.swapcase,
    "decomposed": lambda text: normalize("NFD", text),
    "composed": lambda text: normalize("NFC", text),
    "full width": lambda text: _everywhere(text, lambda c: chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c),
    "url": quote,
    "url, every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "url, as a form": quote_plus,
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "entities": lambda text: _everywhere(text, lambda char: f"&#{ord(char)};"),
    "entities, hexadecimal": lambda text: _everywhere(text, lambda char: f"&#x{ord(char):X};"),
    "entities, named": lambda text: html.escape(text).replace("ö", "&ouml;"),
    "escapes": _escaped,
    "escapes, two digits": lambda text: _everywhere(text, lambda char: f"\\x{ord(char):02x}"),
    "escapes, then url": lambda text: quote(_escaped(text)),
    "url, then entities": lambda text: html.escape(_everywhere(quote(text, safe=""), lambda c: f"&#{ord(c)};")),
    "json in a string": lambda text: json.dumps({"who": [text]}),
    "json in json": lambda text: json.dumps(json.dumps({"who": text})),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64, shifted by one": lambda text: urlsafe_b64encode(b"?" + text.encode() + b"&x=1").decode(),
    "base64, shifted by two": lambda text: b64encode(b"??" + text.encode() + b"&").decode(),
    "base64, unpadded": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of lower case": lambda text: b64encode(text.lower().encode()).decode(),
    "base64 of upper case": lambda text: b64encode(text.upper().encode()).decode(),
    "base64 of url": lambda text: b64encode(quote(text, safe="").encode()).decode(),
    "base64, then url": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, upper": lambda text: text.encode().hex().upper(),
    "hexadecimal of lower case": lambda text: text.lower().encode().hex(),
    "without separators": lambda text: text.replace("-", "").replace(" ", "") if any(map(str.isdigit, text)) else text,
}
FRAMES = ("{}", "{} and more", "x-{}", "https://ehr.example/{}?a=b", "before\n{}\nafter", '{{"in": "{}"}}')
