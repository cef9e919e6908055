"""The result of ``backtest`` for a person: rules by how often they would alert, and what is behind the noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.commands.alert_line import printable
from streams.commands.backtest_counts import Backtest, Trial

__all__ = ["report"]

_SHOWN = 3  # of values, entities and other rules


def report(result: Backtest, titles: Mapping[str, str]) -> Iterator[str]:
    """Lines of text. ``titles``: those of the active rules, by id."""
    before, after = result.alerts_a_day()
    yield f"{result.records:,} records, {result.errors:,} of them not read, over {result.days:,.1f} days"
    yield f"alerts a day: {before:,.1f} by the active rules, {after:,.1f} with these"
    silent = [trial for trial in result.trials if not trial.hits and not trial.lost]
    for trial in sorted(result.trials, key=lambda trial: -trial.hits):
        if trial.hits or trial.lost:
            yield ""
            yield from _rule(trial, result.days, titles)
    if silent:
        yield ""
        titled = ", ".join(printable(trial.rule.title) for trial in silent[:_SHOWN])
        yield f"{len(silent):,} found nothing, such as {titled}"


def _rule(trial: Trial, days: float, titles: Mapping[str, str]) -> Iterator[str]:
    yield f"{trial.hits:>9,}  {trial.rule.level:<13} {printable(trial.rule.title)}  ({trial.change}, {trial.rule.path})"
    if trial.feeds:
        yield f"{'':11}it feeds {', '.join(map(printable, trial.feeds[:_SHOWN]))}, and alerts nobody by itself"
    if trial.change in ("changed", "affected"):
        yield f"{'':11}{trial.gained:,} more than the active one, {trial.lost:,} of its hits lost"
    if not trial.hits:
        return
    day, most = trial.days.most_common(1)[0]
    first = f"; first in {', '.join(map(printable, trial.examples[:_SHOWN]))}" if trial.examples else ""
    yield f"{'':11}{trial.hits / days:,.1f} a day, {most:,} on {day}{first}"
    yield f"{'':11}{_top('entities', trial.entities.counts, trial.entities.top(_SHOWN))}"
    if trial.groups.counts:
        yield f"{'':11}{_top('groups', trial.groups.counts, trial.groups.top(_SHOWN))}"
    for name, values in sorted(trial.values.items(), key=lambda item: -_share(item[1].counts)):
        yield f"{'':11}{_top(name, values.counts, values.top(_SHOWN))}"
    others = [f"{printable(titles.get(name, name))} ({count:,})" for name, count in trial.also.most_common(_SHOWN)]
    if others:
        yield f"{'':11}also found by {', '.join(others)}; {trial.alone:,} by no other"


def _share(counts: Mapping[str, int]) -> float:
    """How much of all its commonest value is: what to filter out first."""
    return max(counts.values(), default=0) / max(1, sum(counts.values()))


def _top(name: str, counts: Mapping[str, int], top: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{printable(value)} ({count:,})" for value, count in top)
    return f"{name}: {shown}" + (f" and {len(counts) - len(top):,} more" if len(counts) > len(top) else "")
