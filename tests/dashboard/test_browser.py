# SPDX-License-Identifier: MIT
"""The dashboard in a real Chromium: without scripts, by keyboard, narrow and wide, and attacked.

Skips where there is no browser; set CI_REQUIRE_SERVERS and it fails instead.
"""

from __future__ import annotations

import http.server
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import key_store
from minihttp.dashboard.session import SESSION_SECONDS, Sessions
from tests.dashboard.conftest import HOSTILE, KEY, Site
from tests.servers import program

pytest.importorskip("selenium", reason="the package selenium drives the browser")
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

PAGES = (
    *("", "data", "data/items", "data/items/new", "functions", "functions/shop%3Acreate", "files", "jobs"),
    *("crons", "webhooks", "webhooks?state=refused", "logs", "keys", "?span=day", "data?system=1"),
)
LISTS = ("data/items", "data/orders", "files", "jobs", "webhooks", "webhooks?state=refused")
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
    wait_for(driver, "h1", "Overview")


def set_width(driver: Any, width: int, height: int = 900) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def every_page(site: Site) -> list[str]:
    """The pages, and the first single thing of every list."""
    found = list(PAGES)
    for page in LISTS:
        text = site.person.get(f"/_/{page}").text
        link = re.search('href="/_/((?:data/[a-z]+|files|jobs|webhooks)/[0-9a-v]{32})"', text)
        assert link, page
        found.append(link[1])
    return found


def press(driver: Any, label: str) -> None:
    driver.find_element(By.XPATH, f"//button[text()='{label}']").click()


def be_sure(driver: Any, label: str) -> None:
    """Press a button that asks first, and then the one behind it."""
    driver.find_element(By.XPATH, f"//summary[text()='{label}…']").click()
    press(driver, label)


def wait_for(driver: Any, selector: str, text: str) -> None:
    """Until the page that a form leads to is there: without scripts the driver does not wait for it."""

    def there(driver: Any) -> bool:
        return any(text in each.text for each in driver.find_elements(By.CSS_SELECTOR, selector))

    WebDriverWait(driver, 20, ignored_exceptions=[WebDriverException]).until(there)


def wait_for_note(driver: Any, text: str) -> None:
    wait_for(driver, "[role=status].done", text)


def test_every_page_fits_and_runs_nothing_of_a_strangers(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    site.app.jobs.run_due()
    key_store.issue(site.app, HOSTILE, data=HOSTILE)
    for width in WIDTHS:
        set_width(chromium, width)
        for page in every_page(site):
            chromium.get(f"{site.url}/_/{page}")
            assert "owned" not in chromium.title
            assert chromium.title.endswith("· minihttp")
            assert chromium.find_elements(By.TAG_NAME, "script") == []
            assert chromium.find_elements(By.TAG_NAME, "img") == []
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
    editor.send_keys('{"name": "made by hand", "price": "3", "tags": []}')
    press(scriptless, "Insert")
    wait_for(scriptless, "[role=alert]", "does not match the schema")
    editor = scriptless.find_element(By.NAME, "document")
    assert "made by hand" in editor.get_attribute("value")
    editor.clear()
    editor.send_keys('{"name": "made by hand", "price": 3, "tags": []}')
    press(scriptless, "Insert")
    wait_for_note(scriptless, "Inserted items ")
    editor = scriptless.find_element(By.NAME, "document")
    editor.clear()
    editor.send_keys('{"name": "changed by hand", "price": 3, "tags": []}')
    press(scriptless, "Save")
    wait_for_note(scriptless, "Changed items ")
    assert "changed by hand" in scriptless.find_element(By.NAME, "document").get_attribute("value")
    be_sure(scriptless, "Delete this document")
    wait_for_note(scriptless, "Deleted items ")
    assert "by hand" not in scriptless.find_element(By.TAG_NAME, "table").text
    press(scriptless, "Sign out")
    wait_for(scriptless, "label", "Admin key")


def test_without_scripts_a_function_is_run_by_its_form(scriptless: Any, site: Site) -> None:
    sign_in(scriptless, site)
    scriptless.find_element(By.LINK_TEXT, "Functions").click()
    scriptless.find_element(By.LINK_TEXT, "shop:create").click()
    scriptless.find_element(By.NAME, "text:name").send_keys("ink")
    scriptless.find_element(By.NAME, "json:price").send_keys("2.5")
    press(scriptless, "Run this mutation")
    wait_for_note(scriptless, "Ran shop:create.")
    outcome = scriptless.find_element(By.CLASS_NAME, "outcome").text
    assert "Took" in outcome
    assert "creating ink" in outcome
    assert site.app.run_query("shop:total") == 9


def test_without_scripts_jobs_and_deliveries_run_again(scriptless: Any, site: Site) -> None:
    app = site.app
    late = app.jobs.scheduler(None, None).run_after(3_600, "shop:tidy")
    app.jobs.run_due()
    sign_in(scriptless, site)
    scriptless.get(f"{site.url}/_/jobs?state=failed")
    scriptless.find_element(By.CSS_SELECTOR, "td a").click()
    press(scriptless, "Run it again")
    wait_for_note(scriptless, "Ran job ")
    scriptless.get(f"{site.url}/_/jobs/{late}")
    be_sure(scriptless, "Cancel")
    wait_for(scriptless, ".state", "canceled")
    scriptless.get(f"{site.url}/_/webhooks?state=done")
    scriptless.find_element(By.CSS_SELECTOR, "td a[href*='/webhooks/']").click()
    press(scriptless, "Run its handler again")
    wait_for_note(scriptless, "Replayed delivery ")
    scriptless.find_element(By.LINK_TEXT, "Crons").click()
    press(scriptless, "Run now")
    wait_for_note(scriptless, "Ran cron nightly tidy.")


def test_without_scripts_files_and_keys(scriptless: Any, site: Site, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("by hand")
    sign_in(scriptless, site)
    scriptless.find_element(By.LINK_TEXT, "Files").click()
    scriptless.find_element(By.NAME, "file").send_keys(str(tmp_path / "letter.txt"))
    press(scriptless, "Upload")
    wait_for_note(scriptless, "Stored file ")
    assert "text/plain" in scriptless.find_element(By.TAG_NAME, "dl").text
    be_sure(scriptless, "Delete this file")
    wait_for_note(scriptless, "Deleted file ")
    scriptless.find_element(By.LINK_TEXT, "Keys").click()
    scriptless.find_element(By.NAME, "name").send_keys("laptop of Ada")
    press(scriptless, "Issue a key")
    wait_for_note(scriptless, "Issued API key ")
    key = scriptless.find_element(By.CSS_SELECTOR, "pre .whole").text
    assert key_store.validate(site.app, key) is not None
    be_sure(scriptless, "Revoke")
    wait_for_note(scriptless, "Revoked API key ")
    assert key_store.validate(site.app, key) is None
    assert key not in scriptless.page_source


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
    menu = ["Overview", "Data", "Functions", "Files", "Jobs", "Crons", "Webhooks", "Logs", "Keys"]
    assert seen[1:11] == ["minihttp", *menu]
    chromium.find_element(By.LINK_TEXT, "Jobs").send_keys(Keys.ENTER)
    assert chromium.find_element(By.TAG_NAME, "h1").text == "Jobs"


def test_a_document_is_deleted_by_keyboard_alone(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    id = site.app.run_mutation("shop:create", name="to go", price=1)
    chromium.get(f"{site.url}/_/data/items/{id}")
    for _ in range(30):
        chromium.switch_to.active_element.send_keys(Keys.TAB)
        if chromium.switch_to.active_element.tag_name == "summary":
            break
    chromium.switch_to.active_element.send_keys(Keys.ENTER)
    chromium.switch_to.active_element.send_keys(Keys.TAB)
    assert chromium.switch_to.active_element.text == "Delete this document"
    chromium.switch_to.active_element.send_keys(Keys.ENTER)
    wait_for_note(chromium, f"Deleted items {id}.")


@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 360)], ids=["light-wide", "dark-narrow"])
def test_axe_finds_nothing_serious(tmp_path: Path, site: Site, dark: bool, width: int) -> None:
    modules = os.environ.get("CONVEX_NODE_MODULES", "")
    source = Path(modules, "axe-core", "axe.min.js")
    if not source.exists():
        pytest.skip("the npm package axe-core is not installed")
    driver = browser(tmp_path / "axe", dark=dark)
    try:
        sign_in(driver, site)
        set_width(driver, width)
        for page in (*every_page(site), "login", "nowhere", "data/nothing", "?note=x", "../"):
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
        wait_for(chromium, "[role=alert]", "not sent from a page of the dashboard")
        assert len(site.app.run_query("_app:documents", table="items")["page"]) == 4
    finally:
        attacker.shutdown()
        attacker.server_close()


def test_a_session_that_has_ended_leads_to_the_login(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    long_ago = Sessions(KEY, lambda: time.time() - SESSION_SECONDS - 1).new()
    name = site.installed.sessions.cookie_name
    cookie = {"name": name, "value": long_ago, "path": "/_/", "httpOnly": True, "sameSite": "Strict"}
    chromium.get(f"{site.url}/_/data/items/new")
    chromium.add_cookie(cookie)
    press(chromium, "Insert")
    wait_for(chromium, "[role=alert]", "The session has ended")
    chromium.find_element(By.LINK_TEXT, "To the dashboard").click()
    assert chromium.current_url.endswith("/_/login")


def test_the_link_of_the_banner_opens_it_at_once(chromium: Any, site: Site) -> None:
    chromium.get(f"{site.url}{site.installed.link()}")
    chromium.get(f"{site.url}/_/")
    assert chromium.find_element(By.TAG_NAME, "h1").text == "Overview"


def test_the_welcome_page_of_development(chromium: Any, site: Site) -> None:
    chromium.get(f"{site.url}/")
    assert chromium.find_element(By.TAG_NAME, "h1").text == "It runs"
    rows = [row.text for row in chromium.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert any(re.fullmatch(r"GET /make _make .*conftest\.py:\d+", row) for row in rows), rows
    assert any("POST /webhooks/github github webhook, then shop:on_event" in row for row in rows), rows
    assert f"curl {site.url}/" in chromium.find_element(By.TAG_NAME, "ul").text
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_on_paper_there_are_no_menus_and_forms(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    chromium.get(f"{site.url}/_/data/items")
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not chromium.find_element(By.TAG_NAME, "header").is_displayed()
    assert not chromium.find_element(By.CLASS_NAME, "filter").is_displayed()
    chromium.find_element(By.CSS_SELECTOR, "td a").click()
    assert chromium.find_element(By.NAME, "document").is_displayed()
    assert not chromium.find_element(By.TAG_NAME, "button").is_displayed()


def test_the_next_error_is_found(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    chromium.find_element(By.LINK_TEXT, "Logs").click()
    chromium.find_element(By.PARTIAL_LINK_TEXT, "Next error").click()
    row = chromium.find_element(By.CSS_SELECTOR, ":target").find_element(By.XPATH, "ancestor::tr")
    assert "GET /boom failed: ZeroDivisionError" in row.text
    request = row.find_element(By.CSS_SELECTOR, "td:last-child a")
    request.click()
    assert "/boom 500" in chromium.find_element(By.TAG_NAME, "table").text


def test_the_day_is_shown_too(chromium: Any, site: Site) -> None:
    sign_in(chromium, site)
    chromium.find_element(By.LINK_TEXT, "Last day").click()
    assert chromium.find_element(By.CSS_SELECTOR, ".tabs [aria-current]").text == "Last day"
    assert "in 15 minutes" in chromium.find_element(By.TAG_NAME, "figcaption").text
    chromium.find_element(By.PARTIAL_LINK_TEXT, "5xx").click()
    assert "GET /boom 500" in chromium.find_element(By.TAG_NAME, "table").text
