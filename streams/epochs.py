"""Which key names a patient when: epochs of pseudonym keys, and the overlap of one with the next.

A record's epoch is told by the time at which the broker took it, so that reading it again gives the same pseudonyms on
any worker. Each epoch begins at a time that was announced before (:mod:`streams.installation`).

While an epoch is young, for as long as its *overlap* says, an event that names a patient is read under both keys: what
detectors remember of the earlier pseudonym goes on being told everything, and they report under it; what they remember
of the new one learns in silence. Then they report under the new one, which by then remembers as much as a window needs,
and the earlier one hears no more. So at any moment exactly one of the two reports, and a window no longer than the
overlap has in it all that belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.pseudonyms import Pseudonyms
from streams.sources.base import BadRecord

__all__ = ["Agreement", "Epoch", "Epochs", "MissingKey"]

#: Told of a pseudonym, its identifier, and its pseudonyms under earlier keys.
Learn = Callable[[str, str, Sequence[str]], None]


class MissingKey(Exception):
    """Records are due whose pseudonym key is not here. Nothing of them is lost: they wait."""


class Epoch(NamedTuple):
    key: str  #: id of the key
    start: int  #: ms, the broker's time
    overlap: int = 0  #: ms after the start for which the key before it counts too

    @property
    def settled(self) -> int:
        """ms, the broker's time, from which on the earlier key is not needed for new records."""
        return self.start + self.overlap


@dataclass(frozen=True, slots=True)
class Agreement:
    """What all workers of an installation have agreed on."""

    epochs: tuple[Epoch, ...]  #: in the order of their starts; the first has always been
    destroyed: frozenset[str] = frozenset()  #: ids of keys that are gone for good


class Epochs:
    """Pseudonyms by the time of a record."""

    def __init__(self, agreement: Agreement, keys: Mapping[str, bytes], learn: Learn | None = None) -> None:
        """``keys``: those that are here, by id. ``learn``: asked to remember each pseudonym that is made."""
        self._learn = learn
        self._made: dict[str, Pseudonyms] = {}
        self.take(agreement, keys)

    def take(self, agreement: Agreement, keys: Mapping[str, bytes]) -> None:
        """Go on with another agreement, or other keys. Epochs that have begun are the same in both."""
        self.agreement = agreement
        #: the first epoch whose key is not here
        self.missing = min(self._missing(keys), key=lambda epoch: epoch.start, default=None)
        earlier: list[Pseudonyms] = []
        for number, epoch in enumerate(agreement.epochs):
            key = keys.get(epoch.key)
            if key is None or epoch.key in agreement.destroyed:
                self._made.pop(epoch.key, None)
                continue
            if epoch.key not in self._made:
                self._made[epoch.key] = Pseudonyms(
                    key, epoch.key, salted=number > 0, learn=self._learn, earlier=tuple(reversed(earlier))
                )
            earlier.append(self._made[epoch.key])
        self._span = (0, 0)  # of ``_now``: none yet
        self._now: tuple[Pseudonyms, Pseudonyms | None] | None = None

    def _missing(self, keys: Mapping[str, bytes]) -> list[Epoch]:
        return [e for e in self.agreement.epochs if e.key not in keys and e.key not in self.agreement.destroyed]

    def require(self, received: int) -> None:
        """Raises MissingKey where a key is not here that records up to ``received`` need."""
        if self.missing is not None and received >= self.missing.start:
            raise MissingKey(
                f"the pseudonym key {self.missing.key} is in use and not here: copy it from the host that made it into "
                "the folder of the keys, or let WARDWATCH_PSEUDONYM_KEY_COMMAND print it"
            )

    def at(self, received: int) -> tuple[Pseudonyms, Pseudonyms | None]:
        """The pseudonyms of a record, and those of the epoch before while the two overlap.

        Raises BadRecord where the key of that time was destroyed.
        """
        begin, end = self._span
        if begin <= received < end:
            assert self._now is not None
            return self._now
        return self._look_up(received)

    def _look_up(self, received: int) -> tuple[Pseudonyms, Pseudonyms | None]:
        epochs = self.agreement.epochs
        number = max((n for n, epoch in enumerate(epochs) if epoch.start <= received), default=0)
        epoch = epochs[number]
        end = epochs[number + 1].start if number + 1 < len(epochs) else 1 << 62
        made, earlier = self._made.get(epoch.key), None
        if made is None:
            raise BadRecord(f"its pseudonym key {epoch.key} was destroyed before it was read")
        begin = min(epoch.settled, end)
        if received < begin:
            begin, end = epoch.start, begin
            earlier = self._made.get(epochs[number - 1].key) if number else None
        self._span, self._now = (begin, end), (made, earlier)
        return self._now
