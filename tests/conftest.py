"""Real servers, started once on first use or named by the environment. One that cannot be had is an error.

Chromium is the exception: without it the run passes, and its last lines say ``browser: not run``; with
``WARDWATCH_REQUIRE_BROWSER=1`` it is an error too. Tests marked ``bench`` run only when ``-m`` names the mark.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.elasticsearch_server import TestElasticsearch

from streams.embedded.kafka import EmbeddedKafka

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_browser_missed: list[str] = []


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where servers keep data and logs; removed at the end, kept when the run failed to start one."""
    folder = Path(tempfile.mkdtemp(prefix="wardwatch-tests-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(server_folder: Path) -> Iterator[str]:
    """Bootstrap servers of a real broker: ``WARDWATCH_TEST_KAFKA``, or Apache Kafka started here."""
    if named := os.environ.get("WARDWATCH_TEST_KAFKA"):
        yield named
        return
    broker = EmbeddedKafka(server_folder / "kafka", port=0)
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.fixture(scope="session")
def elasticsearch_url(server_folder: Path) -> Iterator[str]:
    """A real Elasticsearch 8.19 without security: ``WARDWATCH_TEST_ELASTICSEARCH``, or one started here."""
    if named := os.environ.get("WARDWATCH_TEST_ELASTICSEARCH"):
        yield named
        return
    node = TestElasticsearch(server_folder / "elasticsearch")
    node.start()
    yield node.url
    node.stop()


@pytest.fixture
def chromium(request: pytest.FixtureRequest) -> str:
    """The path of Chromium; without it the test is skipped, and the run's last lines say so."""
    for name in _CHROMIUM:
        if path := shutil.which(name):
            return path
    if os.environ.get("WARDWATCH_REQUIRE_BROWSER") == "1":
        pytest.fail("WARDWATCH_REQUIRE_BROWSER=1, and there is no chromium on PATH: install it")
    _browser_missed.append(request.node.nodeid)
    pytest.skip("no chromium on PATH")


@pytest.fixture
def unique() -> str:
    """A name no other test uses, for topics and groups."""
    return uuid.uuid4().hex[:10]


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """The folder of real events, rules and vectors; without it the test is skipped, and says so."""
    named = os.environ.get("WARDWATCH_TEST_DATA")
    if not named:
        pytest.skip("WARDWATCH_TEST_DATA names no folder of outside data")
    return Path(named)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks = (("kafka", "kafka"), ("elasticsearch_url", "elasticsearch"), ("chromium", "browser"))
    for item in items:
        for fixture, mark in marks:
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    if "bench" not in config.option.markexpr:
        benches = [item for item in items if item.get_closest_marker("bench")]
        if benches:
            config.hook.pytest_deselected(items=benches)
            items[:] = [item for item in items if not item.get_closest_marker("bench")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _browser_missed:
        terminalreporter.write_line(f"browser: not run ({len(_browser_missed)} tests; install chromium to run them)")
