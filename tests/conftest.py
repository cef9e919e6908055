"""What tests share: real servers, started once on first use or named by the environment, and a real browser.

A server that cannot be had is an error, never a skip. What a machine or its kernel may lack (Chromium, a small file
system of one's own, a clock that can be set for one process) is told in the summary, and
``WARDWATCH_REQUIRE_BROWSER=1``, ``WARDWATCH_REQUIRE_FULL_DISK=1`` and ``WARDWATCH_REQUIRE_CLOCK=1`` make it a failure.
``bench`` runs only when ``-m`` asks for it.

The whole run is done by two processes: most of it waits for something. A file is one process's, and so is all that
kills clusters or uses Elasticsearch, so that neither two such runs share the cores nor two Elasticsearches the memory.
Both are told by where a test lies, since that is all that xdist's scheduler hears of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
from command_line import Shell
from hypothesis import settings as hypothesis_settings
from playwright.async_api import Browser, async_playwright
from servers.elasticsearch_server import TestElasticsearch
from servers.quick_java import take_notes, use_notes
from small_disk import NotAllowed, SmallDisk
from xdist.scheduler import LoadScopeScheduling

from streams.embedded.kafka import EmbeddedKafka

# A busy machine is no defect.
hypothesis_settings.register_profile("wardwatch", deadline=None)
hypothesis_settings.load_profile("wardwatch")

#: Fixtures that tell by themselves what a test needs; the mark of the same kind follows from them.
MARK_OF_FIXTURE = {
    "kafka": "kafka",
    "elasticsearch_url": "elasticsearch",
    "chromium": "browser",
    "outside_data": "outside_data",
    "small_disk": "full_disk",
    "wrong_clock": "clock",
}

#: Where tests kill clusters or use Elasticsearch.
_HEAVY = (
    "tests/deploy/",
    "tests/faults/",
    "tests/servers/",
    "tests/dashboards/kibana/",
    "tests/streams/commands/doctor/test_doctor_elasticsearch.py",
    "tests/streams/sinks/test_elasticsearch.py",
    "tests/streams/sinks/test_event_index.py",
    "tests/streams/commands/rules/test_converting.py",
)

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: What a machine may lack: a mark, and what makes its tests run.
_MAY_LACK = {
    "browser": "install Debian's chromium",
    "full disk": "let the kernel give users namespaces of their own, and install util-linux",
    "clock": "install Debian's faketime",
}
#: Where Debian puts the library that sets one process's clock.
_FAKETIME = ("usr/lib/*/faketime/libfaketime.so.1", "usr/local/lib/faketime/libfaketime.so.1")


@pytest.fixture(scope="session")
def server_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where servers keep data and logs; removed at the end, unless something failed."""
    folder = Path(tempfile.mkdtemp(prefix="wardwatch-tests-"))
    yield folder
    if not request.session.testsfailed:
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
    take_notes(broker)


@pytest.fixture(scope="session")
def elasticsearch_url(server_folder: Path) -> Iterator[str]:
    """A real Elasticsearch: ``WARDWATCH_TEST_ELASTICSEARCH``, or one built from its published jars and started here."""
    if named := os.environ.get("WARDWATCH_TEST_ELASTICSEARCH"):
        yield named
        return
    server = TestElasticsearch(server_folder / "elasticsearch")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def unique() -> str:
    """A name no other test uses, for topics, groups and indices."""
    return uuid.uuid4().hex[:10]


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """The folder of real events, rules and vectors; without it the test is skipped, and says so."""
    named = os.environ.get("WARDWATCH_TEST_DATA")
    if not named:
        pytest.skip("WARDWATCH_TEST_DATA names no folder of outside data")
    return Path(named)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a real Chromium; without one the test is skipped, and the run's last lines say so."""
    for name in _CHROMIUM_NAMES:
        if path := shutil.which(name):
            return path
    _lacking("browser", "no Chromium on PATH")


def _lacking(what: str, reason: str) -> NoReturn:
    """Skip a test of what this machine lacks, which the run's last lines tell; fail where it is required."""
    setting = f"WARDWATCH_REQUIRE_{what.upper().replace(' ', '_')}"
    if os.environ.get(setting) == "1":
        pytest.fail(f"{reason}, and {setting}=1 wants it: {_MAY_LACK[what]}")
    pytest.skip(f"{what}: {reason}")


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], SmallDisk]]:
    """Makes file systems of a few megabytes: their folder and size. Gone after the test."""
    with ExitStack() as stack:

        def make(folder: Path, megabytes: int) -> SmallDisk:
            try:
                return stack.enter_context(SmallDisk(folder, megabytes=megabytes))
            except NotAllowed as exc:
                _lacking("full disk", str(exc))

        yield make


@pytest.fixture(scope="session")
def wrong_clock() -> Callable[[int], dict[str, str]]:
    """The environment of a process whose clock is so many seconds ahead; what it waits for is as long as ever."""
    found = [library for pattern in _FAKETIME for library in Path("/").glob(pattern)]
    if not found or shutil.which("faketime") is None:
        _lacking("clock", "no faketime on PATH")
    tests = Path(__file__).parent
    return lambda seconds: {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join((str(tests / "faults" / "faketime"), str(tests.parent))),
    }


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium of its own for each test; for ``async def`` tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM_OPTIONS)
        yield browser
        await browser.close()


# What a test needs is told by what it asserts: the machine is shared, by the other half of the run if by nobody else.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


def pytest_configure() -> None:
    use_notes()


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for the whole run; what somebody picked runs here, where it can be watched and interrupted."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return 2 if whole and config.option.markexpr != "bench" else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):
    """Hands out whole files; all of :data:`_HEAVY` to one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "heavy" if file.startswith(_HEAVY) else file


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in MARK_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    items.sort(key=_turn)
    if "bench" not in config.option.markexpr:
        benches = [item for item in items if item.get_closest_marker("bench")]
        if benches:
            items[:] = [item for item in items if not item.get_closest_marker("bench")]
            config.hook.pytest_deselected(items=benches)


def _turn(item: pytest.Item) -> int:
    """What takes long comes first, so that two processes end together."""
    if item.nodeid.startswith(_HEAVY):
        return 0
    return 1 if item.get_closest_marker("kafka") else 2


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for what in _MAY_LACK:
        reasons = [reason.partition(f"Skipped: {what}: ")[2].rstrip("')") for reason in skipped]
        without = [reason for reason in reasons if reason]
        if without:
            terminalreporter.write_line(f"{what}: not run ({without[0]}; {len(without)} tests skipped)", yellow=True)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell whose home is empty."""
    return Shell(tmp_path / "home")
