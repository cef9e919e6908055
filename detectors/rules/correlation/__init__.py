"""Sigma correlations: rules over what other rules found, over event time. ``docs/correlations.md`` says what they mean.

The way of a match: :mod:`parse` reads a document, :mod:`plan` looks up what it refers to, :mod:`hit` is what a match
tells it, :mod:`correlator` evaluates one of them, :mod:`group` is the state of one group, ``totals``, ``entries`` and
``temporal`` are the ways a window is measured, :mod:`told` is what is said. :mod:`memory` runs all without Kafka.
"""

from detectors.rules.correlation.correlator import Correlator
from detectors.rules.correlation.group import Group
from detectors.rules.correlation.hit import Above, Hit
from detectors.rules.correlation.memory import Memory
from detectors.rules.correlation.parse import Correlation, read_correlation
from detectors.rules.correlation.plan import Correlations, Feed, Plan, Tell, link

__all__ = [
    "Above",
    "Correlation",
    "Correlations",
    "Correlator",
    "Feed",
    "Group",
    "Hit",
    "Memory",
    "Plan",
    "Tell",
    "link",
    "read_correlation",
]
