"""What is switched on: every detector with memory, in the order in which each event meets them."""

from __future__ import annotations

from typing import Any, Final

from detectors.base import Detector
from detectors.models.rarity import RarityDetector
from detectors.models.rate import RateDetector

__all__ = ["registered"]

_REGISTERED: Final[tuple[Detector[Any], ...]] = (
    RateDetector("actor"),
    RarityDetector(),
    RateDetector("patient"),
    RateDetector("device"),
    RateDetector("address"),
)


def registered() -> tuple[Detector[Any], ...]:
    """Every detector there is; each satisfies :func:`detectors.checks.check_detector`. They hold no state."""
    return _REGISTERED
