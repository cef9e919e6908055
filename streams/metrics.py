"""A worker's numbers for Prometheus, as they were at its last look at itself: asking costs the event loop nothing.

Counts of records balance: ``taken`` is the sum of ``passed``, ``filtered`` and ``dead`` of the same step and topic.
They begin with the worker. No label holds anything of a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.admin import SetupError
from streams.conditions import Look
from streams.tallies import Tally
from streams.vault import Vault

__all__ = ["Metrics"]

_STEP = ("step", "topic")


class Metrics(Collector):
    """What is served. :meth:`update` at every look; :meth:`collect` from another thread at any time."""

    def __init__(self, store: Path) -> None:
        """``store``: the file, of which the size is told, that this worker writes."""
        self._store = store
        self._families: list[Metric] = []
        self._lost: dict[str, int] = {}

    def serve(self, address: str, port: int) -> None:
        """Answer ``GET /metrics`` until the process ends. Raises SetupError where the port cannot be had."""
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        try:
            start_http_server(port, addr=address, registry=registry)
        except OSError as exc:
            raise SetupError(
                f"metrics cannot be served at {address}:{port} ({exc.strerror or exc}): stop what holds the port, or "
                "set another in WARDWATCH_METRICS_PORT"
            ) from exc

    def update(
        self,
        look: Look,
        tallies: Mapping[tuple[str, str], Tally],
        *,
        now: float,
        rate: float,
        vault: Vault | None = None,
    ) -> None:
        """Tell these numbers from now on. ``now``: seconds since the epoch. ``rate``: events per second."""
        for loss in look.losses:
            self._lost[loss.topic] = self._lost.get(loss.topic, 0) + loss.records
        self._families = [*self._records(tallies), *self._lanes(look), *self._sources(look), *self._worker(now, rate)]
        self._families += self._rules(look)
        if vault is not None:
            self._families += self._identities(vault)

    def collect(self) -> Iterator[Metric]:
        yield from self._families

    def _records(self, tallies: Mapping[tuple[str, str], Tally]) -> Iterator[Metric]:
        taken = CounterMetricFamily("wardwatch_records_taken", "Records a step is done with.", labels=_STEP)
        passed = CounterMetricFamily("wardwatch_records_passed", "Of those, the ones that went on.", labels=_STEP)
        dead = CounterMetricFamily("wardwatch_records_dead", "Those that became dead letters.", labels=_STEP)
        filtered = CounterMetricFamily(
            "wardwatch_records_filtered", "Those that went no further, by reason.", labels=(*_STEP, "reason")
        )
        noted = CounterMetricFamily(
            "wardwatch_state_noted",
            "What a step counts of its state, such as groups that gave way.",
            labels=(*_STEP, "what"),
        )
        for key, tally in tallies.items():
            taken.add_metric(key, tally.taken)
            passed.add_metric(key, tally.passed)
            dead.add_metric(key, tally.dead)
            for reason, count in tally.filtered.items():
                filtered.add_metric((*key, reason), count)
            for name, count in tally.noted.items():
                noted.add_metric((*key, name), count)
        lost = CounterMetricFamily(
            "wardwatch_records_lost", "Records deleted before they could be taken.", labels=["topic"]
        )
        for topic, count in self._lost.items():
            lost.add_metric([topic], count)
        yield from (taken, passed, dead, filtered, noted, lost)

    def _lanes(self, look: Look) -> Iterator[Metric]:
        lag = GaugeMetricFamily("wardwatch_lag_records", "Kafka records a step is behind.", labels=_STEP)
        for key, records in look.lag.items():
            lag.add_metric(key, records)
        labels = (*_STEP, "partition")
        stopped = GaugeMetricFamily("wardwatch_partition_stopped", "1 while a partition waits.", labels=labels)
        restarts = GaugeMetricFamily("wardwatch_partition_restarts", "How often it came back.", labels=labels)
        for lane in look.lanes:
            name = lane.step, lane.topic, str(lane.partition)
            stopped.add_metric(name, float(bool(lane.stopped)))
            restarts.add_metric(name, lane.restarts)
        yield from (lag, stopped, restarts)

    def _sources(self, look: Look) -> Iterator[Metric]:
        silence = GaugeMetricFamily(
            "wardwatch_source_silence_seconds", "Since a source's last record.", labels=["source"]
        )
        for source, seconds in look.silent.items():
            silence.add_metric([source], seconds)
        skew = GaugeMetricFamily(
            "wardwatch_source_skew_seconds", "Its clock less the broker's, of those heard just now.", labels=["source"]
        )
        for source, seconds in look.skew.items():
            skew.add_metric([source], seconds)
        clock = GaugeMetricFamily(
            "wardwatch_clock_skew_seconds", "This worker's clock less the broker's.", labels=["host"]
        )
        for host, seconds in look.clock.items():
            clock.add_metric([host], seconds)
        yield from (silence, skew, clock)
        lacking = float(look.lacking is not None)
        yield GaugeMetricFamily("wardwatch_pseudonym_key_missing", "1 while an announced key is not here.", lacking)

    def _rules(self, look: Look) -> Iterator[Metric]:
        tried = CounterMetricFamily("wardwatch_rule_tried", "Events a rule was evaluated on.", labels=["rule"])
        matched = CounterMetricFamily("wardwatch_rule_matched", "Of those, the ones it matched.", labels=["rule"])
        seconds = CounterMetricFamily("wardwatch_rule_seconds", "What evaluating it took.", labels=["rule"])
        for rule, counts in look.rules.items():
            tried.add_metric([rule], counts.tried)
            matched.add_metric([rule], counts.matched)
            seconds.add_metric([rule], counts.nanoseconds / 1e9)
        yield from (tried, matched, seconds)
        yield GaugeMetricFamily("wardwatch_rules_quarantined", "Rules kept from alerting.", len(look.quarantined))
        unread = len(look.unread_rules)
        yield GaugeMetricFamily("wardwatch_rules_unread", "Published by a later version, and not read here.", unread)

    def _identities(self, vault: Vault) -> Iterator[Metric]:
        yield CounterMetricFamily("wardwatch_vault_identities_written", "Entries that the vault took.", vault.written)
        yield GaugeMetricFamily("wardwatch_vault_identities_pending", "Learnt and not written yet.", vault.pending)
        yield GaugeMetricFamily("wardwatch_vault_waiting", "Partitions of ingest that wait for it.", vault.waiting)

    def _worker(self, now: float, rate: float) -> Iterator[Metric]:
        yield GaugeMetricFamily("wardwatch_look_timestamp_seconds", "When these numbers were taken.", now)
        yield GaugeMetricFamily("wardwatch_events_per_second", "Events taken just now.", rate)
        size = self._store.stat().st_size if self._store.exists() else 0
        yield GaugeMetricFamily("wardwatch_store_size_bytes", "The file that this worker writes.", size)
