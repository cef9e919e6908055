"""Sigma: loader, compiler, matcher, and the starter pack beside them.

:func:`load` and :func:`starter_rules` give a :class:`RuleSet`; its ``match`` tries the rules on one event,
and :func:`finding` turns a :class:`Match` into what leaves the detector. A rule is read
(:mod:`detectors.rules.rule`) into a tree (:mod:`detectors.rules.expression`), which becomes one function
(:mod:`detectors.rules.compiler`); :mod:`detectors.rules.index` finds the few rules that an event could match, and
:mod:`detectors.rules.projection` passes over lines that none could. The set's ``correlations`` say what counts
beyond one event (:mod:`detectors.rules.correlation`).

What has no place in the tree is refused where it is read, with file, line and reason: ``docs/rules-language.md``.

Where the specification leaves a choice, this is the one made:

- Text is compared with case folded (:meth:`str.casefold`) unless a modifier says otherwise. Numbers and
  booleans compare with text as JSON spells them (553 and "553", true and "true"); 1 and 1.0 are equal, true
  and 1 are not.
- A name is looked up in the vendor's record (flat key, then nested path), then in the ECS fields. Of several
  values in lists any may satisfy.
- ``null`` holds where the field is absent, null, an empty list, or a list with a null in it.
- A keyword is looked for inside every string, number and boolean at any depth of record and fields; not in
  names of fields, and not across two values.
- ``re`` is searched with RE2: classes such as ``\\w`` are ASCII, ``$`` is the very end of the text.
- Time modifiers read ISO 8601 as it is written, without changing its zone.
"""

from detectors.rules.findings import finding
from detectors.rules.links import Links
from detectors.rules.loader import load, starter_rules
from detectors.rules.problems import Problem
from detectors.rules.rule import Rule
from detectors.rules.ruleset import Match, RuleSet

__all__ = ["Links", "Match", "Problem", "Rule", "RuleSet", "finding", "load", "starter_rules"]
