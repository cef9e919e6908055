"""Sigma correlations: rules over what other rules found, over event time. ``docs/correlations.md`` says what they mean.

The way of a match: :mod:`parse` reads a document, :mod:`plan` looks up what it refers to, :mod:`hit` is what a match
tells it, :mod:`correlator` evaluates one over windows, :mod:`group` is the state of one group, ``totals``, ``entries``
and ``temporal`` are the ways a window is measured, :mod:`terms` and :mod:`silence` evaluate what is remembered beyond
windows (``docs/memory.md``), :mod:`told` is what is said. :mod:`memory` runs all without Kafka.
"""

from detectors.rules.correlation.evaluators import Evaluator, State, evaluator
from detectors.rules.correlation.group import Group
from detectors.rules.correlation.hit import Above, Hit
from detectors.rules.correlation.memory import Memory
from detectors.rules.correlation.parse import Correlation, read_correlation
from detectors.rules.correlation.plan import Correlations, Feed, Plan, Tell, link

__all__ = [
    "Above",
    "Correlation",
    "Correlations",
    "Evaluator",
    "Feed",
    "Group",
    "Hit",
    "Memory",
    "Plan",
    "State",
    "Tell",
    "evaluator",
    "link",
    "read_correlation",
]
