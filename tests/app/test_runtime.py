# SPDX-License-Identifier: MIT
"""The services of an app, opened on demand and handed to what needs them, without WSGI."""

from __future__ import annotations

import pytest

from minihttp import App, HttpRouter
from minihttp.app.options import DEFAULTS, changed
from minihttp.app.runtime import Runtime
from minihttp.errors import AuthError, ConfigurationError
from minihttp.webhooks import stripe


def runtime(http: HttpRouter | None = None, **options: object) -> Runtime:
    made = Runtime(http or HttpRouter())
    made.options = changed(DEFAULTS, {"data": ":memory:", "workers": 0, **options})
    return made


def test_services_are_opened_when_somebody_asks_and_once() -> None:
    one = runtime()
    assert not one.is_open
    assert one.has_admin_key is False and one.problems() == [] and one.missing_secrets() == []
    assert not one.is_open, "that needs no storage"
    database = one.database
    assert one.is_open
    assert one.open() is one and one.database is database
    assert one.runner.database is database and one.files is one.services.files
    one.services.close(0.0)


def test_a_mistake_leaves_nothing_open() -> None:
    one = runtime(modules="items")
    with pytest.raises(ConfigurationError, match="takes a list"):
        one.open()
    assert not one.is_open


def test_secrets_that_are_missing_are_known_before_the_first_delivery() -> None:
    http = HttpRouter(secrets=["ONE", "TWO"])
    assert App(http, environment={"ONE": "x", "TWO": ""}).missing_secrets() == [("", "TWO")]


def test_of_several_secrets_of_a_webhook_one_is_enough() -> None:
    http = HttpRouter()
    http.webhook("/h", stripe.provider(secret=["NEW", "OLD"]), handler=None)
    one = runtime(http, environment={"NEW": "whsec_x"})
    assert one.secrets() == [("/h", "NEW"), ("/h", "OLD")]
    assert one.missing_secrets() == [] and one.spare_secrets() == [("/h", "OLD", 1, 2)]
    assert runtime(http, environment={}).missing_secrets() == [("/h", "NEW"), ("/h", "OLD")]


def test_the_admin_key_is_the_one_of_the_options_or_the_environment() -> None:
    for one in (runtime(admin_key=" key "), runtime(environment={"MINIHTTP_ADMIN_KEY": "key"})):
        assert one.has_admin_key and one.admin_key.acting("key") == "" and one.admin_key.acting("") is None
        assert one.read_authorization("Convex key")[0]
    assert runtime().admin_key.acting("") is None
    with pytest.raises(AuthError):
        runtime().identify("Bearer x")
