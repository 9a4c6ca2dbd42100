# SPDX-License-Identifier: MIT
"""The dashboard in a real Chromium: without scripts, by keyboard, narrow and wide, and attacked.

Skips where there is no browser; set CI_REQUIRE_SERVERS and it fails instead.
"""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.conftest import HOSTILE, KEY, Site
from tests.servers import program

pytest.importorskip("selenium", reason="the package selenium drives the browser")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

PAGES = (
    *("", "data", "data/items", "data/items/new", "functions", "functions/shop%3Acreate", "files", "jobs"),
    *("crons", "webhooks", "logs"),
)
WIDTHS = (360, 1400)
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)


def browser(folder: Path, *, scripts: bool = True, dark: bool = False) -> Any:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    if not scripts:
        content = "profile.managed_default_content_settings.javascript"
        options.add_experimental_option("prefs", {content: 2})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(program("chromedriver")))
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return driver


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Any]:
    driver = browser(tmp_path / "profile")
    yield driver
    driver.quit()


@pytest.fixture
def scriptless(tmp_path: Path) -> Iterator[Any]:
    driver = browser(tmp_path / "scriptless", scripts=False)
    yield driver
    driver.quit()


def sign_in(driver: Any, site: Site) -> None:
    driver.get(f"{site.url}/_/")
    driver.find_element(By.NAME, "key").send_keys(KEY, Keys.ENTER)
    assert driver.find_element(By.TAG_NAME, "h1").text == "Overview"


def set_width(driver: Any, width: int, height: int = 900) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_every_page_fits_and_runs_nothing_of_a_strangers(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    for width in WIDTHS:
        set_width(chromium, width)
        for page in PAGES:
            chromium.get(f"{site.url}/_/{page}")
            assert "owned" not in chromium.title
            assert chromium.title.endswith("· minihttp")
            needed, there = chromium.execute_script(
                "return [document.documentElement.scrollWidth, window.innerWidth]"
            )
            assert needed <= there, (page, width)
            broken = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
            assert broken == [], page


def test_without_scripts_a_document_is_made_and_found(scriptless: Any, site: Site) -> None:
    sign_in(scriptless, site)
    scriptless.find_element(By.LINK_TEXT, "Data").click()
    scriptless.find_element(By.LINK_TEXT, "items").click()
    assert HOSTILE.partition('"')[0] in scriptless.find_element(By.TAG_NAME, "table").text
    scriptless.find_element(By.LINK_TEXT, "Insert a document").click()
    editor = scriptless.find_element(By.NAME, "document")
    editor.clear()
    editor.send_keys('{"name": "made by hand", "price": 3, "tags": []}')
    scriptless.find_element(By.XPATH, "//button[text()='Insert']").click()
    assert "made by hand" in scriptless.find_element(By.NAME, "document").get_attribute("value")
    scriptless.find_element(By.XPATH, "//button[text()='Delete this document']").click()
    assert "made by hand" not in scriptless.find_element(By.TAG_NAME, "table").text
    scriptless.find_element(By.XPATH, "//button[text()='Sign out']").click()
    assert scriptless.current_url.endswith("/_/login")


def test_by_keyboard_alone(chromium: Any, site: Site) -> None:
    """Tab reaches the link that skips the menu, each entry of the menu, and shows where it is."""
    sign_in(chromium, site)
    seen = []
    for _ in range(12):
        active = chromium.switch_to.active_element
        active.send_keys(Keys.TAB)
        active = chromium.switch_to.active_element
        seen.append(active.text or active.get_attribute("textContent"))
        outline = active.value_of_css_property("outline-style")
        assert outline != "none", seen
    assert seen[0] == "Skip to content"
    assert seen[1:9] == ["Overview", "Data", "Functions", "Files", "Jobs", "Crons", "Webhooks", "Logs"]
    chromium.find_element(By.LINK_TEXT, "Jobs").send_keys(Keys.ENTER)
    assert chromium.find_element(By.TAG_NAME, "h1").text == "Jobs"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(tmp_path: Path, site: Site, dark: bool) -> None:
    modules = os.environ.get("CONVEX_NODE_MODULES", "")
    source = Path(modules, "axe-core", "axe.min.js")
    if not source.exists():
        pytest.skip("the npm package axe-core is not installed")
    driver = browser(tmp_path / "axe", dark=dark)
    try:
        sign_in(driver, site)
        site.app.jobs.run_due()
        for page in (*PAGES, "login"):
            driver.get(f"{site.url}/_/{page}")
            driver.execute_script(source.read_text("utf-8"))
            found = driver.execute_async_script(
                "axe.run().then(arguments[0], error => arguments[0]({violations: [String(error)]}))"
            )
            serious = [
                (problem["id"], [node["html"] for node in problem["nodes"]][:3])
                for problem in found["violations"]
                if problem["impact"] in ("serious", "critical")
            ]
            assert serious == [], page
    finally:
        driver.quit()


class _Attacker(http.server.BaseHTTPRequestHandler):
    target = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        field = "<input name=document value='{}'><button>x</button>"
        form = f"<form method=post action='{self.target}'>{field}</form>"
        frame = f"<iframe src='{self.target.rpartition('/data')[0]}/'></iframe>"
        self.wfile.write(f"<title>attack</title>{form}{frame}".encode())

    def log_message(self, *args: Any) -> None:
        pass


def test_a_form_and_a_frame_of_another_site(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    attacker = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Attacker)
    _Attacker.target = f"{site.url}/_/data/items/new"
    threading.Thread(target=attacker.serve_forever, daemon=True).start()
    try:
        chromium.get(f"http://127.0.0.1:{attacker.server_port}/")
        chromium.switch_to.frame(0)
        assert "Overview" not in chromium.page_source
        chromium.switch_to.default_content()
        chromium.find_element(By.TAG_NAME, "button").click()
        assert "not sent from a page of the dashboard" in chromium.page_source
        assert len(site.app.run_query("_app:documents", table="items")["page"]) == 4
    finally:
        attacker.shutdown()
        attacker.server_close()


def test_a_session_that_has_ended_leads_to_the_login(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    chromium.delete_all_cookies()
    chromium.find_element(By.LINK_TEXT, "Jobs").click()
    assert chromium.current_url.endswith("/_/login")
