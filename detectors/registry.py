"""What is switched on."""

from __future__ import annotations

from typing import Any

from detectors.base import Detector
from detectors.models.rarity import RarityDetector
from detectors.models.rate import RateDetector

__all__ = ["registered"]


def registered() -> tuple[Detector[Any], ...]:
    """Every detector with memory; each passes :func:`detectors.checks.check_detector`."""
    return (
        RateDetector("actor"),
        RarityDetector(),
        RateDetector("patient"),
        RateDetector("device"),
        RateDetector("address"),
    )
