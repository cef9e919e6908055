"""Real servers, started once on first use or named by the environment. One that cannot be had is an error."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded.kafka import EmbeddedKafka


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in (("kafka", "kafka"), ("elasticsearch_url", "elasticsearch")):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
