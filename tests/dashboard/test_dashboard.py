# SPDX-License-Identifier: MIT
"""How the dashboard is put into an app, and that it costs nothing until it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import webtest

from minihttp.dashboard import install
from minihttp.errors import ConfigurationError
from tests.dashboard.conftest import KEY, Person, Site, make_app
from tests.dashboard.seen import PATHS


def test_without_an_admin_key_there_is_none(tmp_path: Any) -> None:
    app = make_app(str(tmp_path))
    app.configure(environment={})
    assert install(app, "write") is None
    assert install(make_app(str(tmp_path)), "off") is None
    with pytest.raises(ConfigurationError, match="off, read, write"):
        install(make_app(str(tmp_path)), "yes")


def test_an_app_that_never_opens_it_loads_none_of_its_pages() -> None:
    program = (
        "import sys, minihttp.cli, minihttp.app.wsgi; print([m for m in sys.modules if 'dashboard' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_below_a_prefix_that_a_proxy_names(serve: Callable[..., Site]) -> None:
    site = serve(trusted_proxy="127.0.0.1")
    prefix = {"X-Forwarded-Prefix": "/shop"}
    stranger = Person(site.url)
    assert stranger.get("/_/data", **prefix).headers["Location"] == "/shop/_/login"
    assert 'action="/shop/_/login"' in stranger.get("/_/login", **prefix).text
    came = stranger.post("/_/login", {"key": KEY}, **prefix)
    assert came.headers["Location"] == "/shop/_/"
    assert "; Path=/shop/_/;" in came.headers["Set-Cookie"]
    for page in PATHS:
        text = site.person.get(f"/_/{page}", **prefix).text
        assert set(re.findall(r'(?:href|action)="(/[^/"]*)', text)) == {"/shop"}, page


@pytest.mark.parametrize("prefix", ["/shop", "/in/the/back", "/a b"])
def test_mounted_in_another_app(site: Site, prefix: str) -> None:
    """Flask with the app below a path, as `docs/serving.md` shows it: SCRIPT_NAME."""
    flask = pytest.importorskip("flask", reason="the app is mounted in Flask")
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.test import Client

    around = flask.Flask(__name__)
    client = Client(DispatcherMiddleware(around.wsgi_app, {prefix: site.app}), use_cookies=True)
    base = f"{quote(prefix)}/_/"
    origin = {"Origin": "http://localhost"}
    assert client.get(base).headers["Location"] == f"{base}login"
    came = client.post(f"{base}login", data={"key": KEY}, headers=origin)
    assert came.headers["Location"] == base
    text = client.get(f"{base}data/items/new").get_data(as_text=True)
    token = re.search(r'name="form_token" value="([^"]+)"', text)
    assert token
    form = {"form_token": token[1], "document": '{"name": "ink", "price": 1, "tags": []}'}
    made = client.post(f"{base}data/items/new", data=form, headers=origin)
    assert (made.status_code, made.headers["Location"].startswith(f"{base}data/items/")) == (303, True)
    assert "Inserted items" in client.get(made.headers["Location"]).get_data(as_text=True)
    assert client.get(f"{base}style.css").status_code == 200


def test_on_a_port_of_its_own(tmp_path: Any) -> None:
    """Then the app's own port has no dashboard, and that port nothing but it."""
    app = make_app(str(tmp_path))
    installed = install(app, "read", is_apart=True)
    assert installed is not None
    public, own = webtest.TestApp(app), webtest.TestApp(installed.on_its_own_port)
    app.listen_on("127.0.0.1", "10.0.0.7")
    with app:
        for path in ("/_/", "/_/login", "/_/style.css"):
            assert public.get(path, status=404).json == {"error": "Not found"}
        assert public.get("/_/health", status=200)
        assert own.get("/", status=303).headers["Location"].endswith("/_/")
        assert own.get("/items", status=404).body == b""
        assert own.get("/_/login", headers={"Host": "10.0.0.7:8081"}, status=200)
        assert own.get("/_/login", headers={"Host": "10.0.0.8:8081"}, status=421)


def test_nothing_of_the_pages_is_loaded_before_one_is_asked_for(tmp_path: Any) -> None:
    """Also on a terminal, where the banner has a link: a session needs no page."""
    program = """
import sys
from minihttp import App
from minihttp.dashboard import install
import webtest
app = App(data=":memory:", environment={"MINIHTTP_ADMIN_KEY": "a long key"})
installed = install(app, "read")
link = installed.link()
client = webtest.TestApp(app)
client.get("/items", status=404)
print(sorted(name for name in sys.modules if name.startswith("minihttp.dashboard.")))
client.get(link)
print("minihttp.dashboard.site" in sys.modules, "minihttp.dashboard.data" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    before, after = done.stdout.splitlines()
    assert before == "['minihttp.dashboard.activity', 'minihttp.dashboard.session']"
    assert after == "True False"


def test_it_starts_no_thread_and_opens_nothing(tmp_path: Any) -> None:
    before = threading.active_count()
    app = make_app(str(tmp_path / "data"))
    assert install(app, "write") is not None
    assert threading.active_count() == before
    assert not (tmp_path / "data").exists()
