"""What a record of a source is nearly always like, declared, so that it can be told from its bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Plain"]


class Plain(NamedTuple):
    """The attribute ``plain`` of a source that has one.

    A record that has all ``required`` of ``fields``, maybe the others and none else, of these types, is one that the
    source and none before it in the catalog recognises, and that it reads without complaint. Every field of its draft
    is among those it releases.
    """

    fields: Mapping[str, Any]  #: in the order records have them; types: :mod:`detectors.rules.projection`
    required: frozenset[str]
    #: Released fields to where in the record their value stands, word for word; of several places it may be any.
    copies: Mapping[str, tuple[str, ...]]
    time: str  #: the required one whose text says when it was
    moment: Callable[
        [str], int
    ]  #: that text -> the time that the source reads from it, ms. Raises BadRecord as it does
