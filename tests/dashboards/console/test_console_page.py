"""The console's page over a real store, in a real Chromium."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, expect
from synthetic_alerts import alert, over, own

from streams.embedded.java import free_port
from streams.sinks.store import AlertStore

ROOT = Path(__file__).parents[3]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AlertStore]:
    opened = AlertStore(tmp_path / "alerts.sqlite")
    yield opened
    opened.close()


class Page:
    """A console process, as ``up`` starts it."""

    def __init__(self, store: Path) -> None:
        self.port = free_port()
        self._store = store
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "dashboards.console", "--store", str(self._store), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        for _ in range(200):
            try:
                httpx.get(f"{self.url}api/status")
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError("the console did not answer")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> float:
        """Seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began


@pytest.fixture
def page(store: AlertStore) -> Iterator[Page]:
    running = Page(store.path)
    yield running
    running.process.kill()
    running.process.wait()


async def test_alerts_appear_by_themselves_and_open(browser: Browser, page: Page, store: AlertStore) -> None:
    store.write([alert("a")], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    rows = tab.locator("#alerts tbody tr")
    await expect(rows).to_have_count(1)
    store.write([alert("b", severity="critical")], now=2)
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("Synthetic alert b")
    await expect(tab.locator("#critical")).to_have_text("1")
    await rows.last.click()
    detail = tab.locator("#detail")
    await expect(detail).to_contain_text("192.0.2.7")
    await expect(detail).to_contain_text("T1485")
    await tab.keyboard.press("Escape")
    await expect(detail).to_be_hidden()


async def test_those_that_keep_events_are_seen_beside_the_rest(browser: Browser, page: Page, store: AlertStore) -> None:
    said = {"time": int(time.time() * 1000), "records_per_second": 12.0, "lag": 5, "stopped": []}
    store.set_fact("worker.host.1", said)
    store.set_fact("events.host.2", {**said, "lag": 71, "stopped": ["events events[0]: synthetic"]})
    tab = await browser.new_page()
    await tab.goto(page.url)
    await expect(tab.locator("#keeping")).to_have_text("71")
    await expect(tab.locator("#lag")).to_have_text("5")
    await expect(tab.locator("#throughput")).to_have_text("12")
    await expect(tab.locator("#health")).to_have_text("stopped: events events[0]: synthetic")


async def test_what_is_over_is_seen_where_it_stood_open(browser: Browser, page: Page, store: AlertStore) -> None:
    begun = own("a")
    store.write([begun, own("b")], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    rows = tab.locator("#alerts tbody tr")
    await expect(rows).to_have_count(2)
    await expect(tab.locator(".state")).to_have_count(0)
    store.write([over(begun)], now=2)
    await expect(rows.first).to_contain_text("Over after 12 minutes. It was: it does not answer.")
    await expect(tab.locator(".state")).to_have_text(["over"])
    await expect(rows).to_have_count(2)
    await rows.first.click()
    await expect(tab.locator("#detail")).to_contain_text("recovered")
    await expect(tab.locator("#detail")).to_contain_text("last seen")


async def test_filter_and_search_are_in_the_address(browser: Browser, page: Page, store: AlertStore) -> None:
    store.write([alert("a", severity="low"), alert("b", source="device"), alert("c")], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    rows = tab.locator("#alerts tbody tr")
    await expect(rows).to_have_count(3)
    await tab.select_option("#severity", "high")
    await expect(rows).to_have_count(2)
    await tab.fill("#text", "alert device")
    await expect(rows).to_have_count(1)
    assert "severity=high" in tab.url
    assert "text=alert+device" in tab.url
    await tab.reload()
    await expect(rows).to_have_count(1)
    store.write([alert("d", source="device", severity="low"), alert("e")], now=2)
    await expect(tab.locator("#total")).to_have_text("5", timeout=8000)
    await expect(rows).to_have_count(1)


async def test_an_address_opens_what_it_names_and_is_no_trap(browser: Browser, page: Page, store: AlertStore) -> None:
    store.write([alert("a"), alert("b")], now=1)
    tab = await browser.new_page()
    await tab.goto(f"{page.url}?severity=worst&source=fax#%")
    await expect(tab.locator("#detail")).to_have_text("This alert is not kept any more.")
    await expect(tab.locator("#alerts tbody tr")).to_have_count(2)
    await expect(tab.locator("#health")).not_to_have_text("connection lost, retrying")
    store.write([alert("c")], now=2)
    await expect(tab.locator("#alerts tbody tr")).to_have_count(3)
    for name in ("a", "b"):
        await tab.goto(f"{page.url}?severity=worst&source=fax#{alert(name).id}")
        await expect(tab.locator("#detail h2")).to_have_text(f"Synthetic alert {name}")


async def test_what_an_attacker_wrote_is_text(browser: Browser, page: Page, store: AlertStore) -> None:
    evidence: dict[str, Any] = {"user_agent.original": HOSTILE, HOSTILE: HOSTILE}
    store.write([alert("a", title=HOSTILE, reason=HOSTILE, entity=f"user:{HOSTILE}", evidence=evidence)], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    row = tab.locator("#alerts tbody tr")
    await expect(row).to_contain_text(HOSTILE)
    await row.click()
    await expect(tab.locator("#detail")).to_contain_text(HOSTILE)
    assert await tab.title() == "Wardwatch"
    assert await tab.locator("#alerts img, #detail img, #alerts script, #detail script").count() == 0


RULE = {
    "id": "r1",
    "name": "Synthetic rule",
    "description": "Why it matters, in a sentence.",
    "response": "Call the ward.",
    "version": "synthetic-version",
    "reference": "https://git.hospital.example/rules/synthetic.yml",
}


async def test_who_what_when_and_why_are_seen_at_a_glance(browser: Browser, page: Page, store: AlertStore) -> None:
    model = {
        "detector": "rate.device",
        "entity": "device:pump-1",
        "reason": "40 events; usually 4.",
        "rule": {"id": "rate"},
    }
    store.write([alert("a", rule=RULE), alert("b", source="device", **model)], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    first, second = tab.locator("#alerts tbody tr").nth(0), tab.locator("#alerts tbody tr").nth(1)
    await expect(second.locator(".who")).to_have_text("userPractitioner/synthetic-p1")
    await expect(second.locator(".act")).to_have_text("delete from 192.0.2.7")
    await expect(second.locator(".why")).to_have_text("Why it matters, in a sentence.")
    await expect(second.locator("time")).to_have_attribute("datetime", "2023-11-14T22:13:20.000Z")
    await expect(first.locator(".why")).to_have_text("40 events; usually 4.")
    await second.click()
    detail = tab.locator("#detail")
    await expect(detail).to_contain_text("Call the ward.")
    await expect(detail).to_contain_text("because")
    await expect(detail).to_contain_text("action is D")
    await expect(detail).to_contain_text("synthetic-version")
    link = detail.locator("a")
    await expect(link).to_have_attribute("href", RULE["reference"])
    await expect(link).to_have_attribute("rel", "noopener noreferrer")


async def test_an_address_that_runs_something_is_text(browser: Browser, page: Page, store: AlertStore) -> None:
    store.write([alert("a", rule={**RULE, "reference": "javascript:alert(1)"})], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    await tab.locator("#alerts tbody tr").click()
    detail = tab.locator("#detail")
    await expect(detail).to_contain_text("javascript:alert(1)")
    assert await detail.locator("a").count() == 0


async def test_it_is_used_by_keyboard_alone(browser: Browser, page: Page, store: AlertStore) -> None:
    store.write([alert("a"), alert("b"), alert("c")], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    await expect(tab.locator("#alerts tbody tr")).to_have_count(3)
    await tab.focus("#text")
    for key in ("Tab", "Tab", "Tab", "ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
        await tab.keyboard.press(key)
    await expect(tab.locator("#detail h2")).to_have_text("Synthetic alert b")
    await tab.keyboard.press("Escape")
    await expect(tab.locator("#detail")).to_be_hidden()
    await expect(tab.locator(".title:focus")).to_have_text("Synthetic alert b")


async def test_nothing_yet_and_nothing_that_fits_are_different(browser: Browser, page: Page, store: AlertStore) -> None:
    tab = await browser.new_page()
    await tab.goto(f"{page.url}?text=nowhere")
    await expect(tab.locator("#unfit")).to_be_visible()
    await expect(tab.locator("#empty")).to_be_hidden()
    store.write([alert("a")], now=1)
    await expect(tab.locator("#total")).to_have_text("1", timeout=8000)
    await expect(tab.locator("#unfit")).to_be_visible()
    await tab.click("#all")
    await expect(tab.locator("#alerts tbody tr")).to_have_count(1)
    assert "text=" not in tab.url


LONG = {
    "title": "Long title " * 40,
    "reason": "why " * 200,
    "entity": f"user:arn:aws:sts::123456789012:assumed-role/{'x' * 400}",
    "evidence": {"long.field." + "n" * 90: "v" * 500, "event.action": "a" * 300, "source.ip": "192.0.2.7"},
}


@pytest.mark.parametrize("width", [1440, 400])
async def test_long_texts_stay_within_their_place(browser: Browser, page: Page, store: AlertStore, width: int) -> None:
    store.write([*(alert(f"n{n}") for n in range(150)), alert("long", **LONG)], now=1)
    tab = await browser.new_page(viewport={"width": width, "height": 800})
    await tab.goto(page.url)
    rows = tab.locator("#alerts tbody tr")
    await expect(rows).to_have_count(100)
    assert (await rows.first.bounding_box() or {})["height"] < 260
    await rows.first.locator(".title").click()
    await expect(tab.locator("#detail h2")).to_be_in_viewport()
    assert await tab.evaluate("document.documentElement.scrollWidth") == width
    await tab.click("#older")
    await expect(rows).to_have_count(151)


async def test_what_hides_or_turns_text_is_shown_by_its_number(browser: Browser, page: Page, store: AlertStore) -> None:
    store.write([alert("a", entity="user:\u202egnp.exe", evidence={"file.name": "a\u200bb"})], now=1)
    tab = await browser.new_page()
    await tab.goto(page.url)
    row = tab.locator("#alerts tbody tr")
    await expect(row.locator(".who")).to_have_text("user\\u202egnp.exe")
    await row.click()
    await expect(tab.locator("#detail")).to_contain_text("a\\u200bb")


CONTRAST = """
(names) => {
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const probe = document.body.appendChild(document.createElement("p"));
  const colour = (name) => { probe.style.color = `var(--${name})`; return light(rgb(getComputedStyle(probe).color)); };
  return names.flatMap((name) => ["ground", "panel"].map((under) => {
    const [low, high] = [colour(name), colour(under)].sort((a, b) => a - b);
    return [name, under, (high + 0.05) / (low + 0.05)];
  }));
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_contrast(browser: Browser, page: Page, scheme: Any) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    tab = await browser.new_page(color_scheme=scheme)
    await tab.goto(page.url)
    names = ["text", "quiet", "accent", "critical", "high", "medium", "low", "informational"]
    measured = await tab.evaluate(CONTRAST, names)
    assert len(measured) == 16
    assert not [found for found in measured if found[2] < 4.5]


async def test_a_lost_console_is_said_and_found_again(browser: Browser, page: Page, store: AlertStore) -> None:
    tab = await browser.new_page()
    await tab.goto(page.url)
    await expect(tab.locator("#empty")).to_be_visible()
    assert page.stop() < 5, "an open stream of events holds it up"
    await expect(tab.locator("#health")).to_have_text("connection lost, retrying")
    page.start()
    store.write([alert("a")], now=1)
    await expect(tab.locator("#alerts tbody tr")).to_have_count(1, timeout=15_000)


def test_a_port_in_use_is_one_sentence(page: Page, store: AlertStore) -> None:
    command = [sys.executable, "-m", "dashboards.console", "--store", str(store.path), "--port", str(page.port)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip() == f"port {page.port} is in use: stop what holds it, or choose another"
