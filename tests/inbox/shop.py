# SPDX-License-Identifier: MIT
"""An app with webhooks and the sender of its deliveries: over WSGI, jobs by hand, a clock that tests move."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from minihttp import App, HttpRouter, testing, v
from minihttp.functions.decorators import internal_action, internal_mutation, internal_query
from minihttp.functions.registry import Function

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {
    "STRIPE": SECRET,
    "GITHUB": SECRET,
    "SLACK": SECRET,
    "ZOOM": SECRET,
    "CLERK": SECRET,
    "GITLAB": SECRET,
}


class Reply:
    """What the app answered."""

    def __init__(self, app: App, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "HTTP_HOST": "localhost",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": fields.pop("HTTP_CONTENT_TYPE", "application/json"),
            **fields,
        }
        self.body = b"".join(app(environ, self._start))

    def _start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self.status = int(status[:3])
        self.headers = dict(headers)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Shop:
    """An app with webhooks, and the sender of its deliveries. `on_event` is what its handlers do."""

    def __init__(
        self, data: str | None = None, environment: dict[str, str] | None = None, **settings: Any
    ) -> None:
        self.http = HttpRouter()
        self.data = data
        self.environment = ENVIRONMENT if environment is None else environment
        self.settings = settings
        self.on_event: Callable[[Any, Any], object] = lambda ctx, delivery: None
        self.seen: list[Any] = []
        self.clock = testing.Clock()

        @internal_mutation
        def mutate(ctx: Any, delivery: Any) -> None:
            ctx.db.insert("effects", {"id": delivery["id"]})
            self.on_event(ctx, delivery)

        @internal_mutation(args={"delivery": v.any()}, returns=v.null())
        def check(ctx: Any, delivery: Any) -> None:
            mutate(ctx, delivery)

        @internal_action
        def act(ctx: Any, delivery: Any) -> None:
            self.seen.append(delivery["id"])
            self.on_event(ctx, delivery)

        @internal_query
        def look(ctx: Any, delivery: Any) -> None: ...

        self.mutate, self.check, self.act, self.look = mutate, check, act, look
        self.opened: App | None = None

    def webhook(self, module: Any, handler: Function | None, path: str = "", **options: Any) -> None:
        provider = options.pop("provider", None) or module.provider(secret=module.SCHEME.name.upper())
        self.http.webhook(path or f"/webhooks/{module.SCHEME.name}", provider, handler=handler, **options)

    @property
    def app(self) -> App:
        if self.opened is None:
            module = type(sys)("shop")
            for function in (self.mutate, self.check, self.act, self.look):
                function.handler.__module__ = "shop"
                setattr(module, function.handler.__name__, function)
            app = App(self.http, modules=[module], data=self.data or ":memory:", workers=0, **self.settings)
            app.configure(clock=self.clock, environment=self.environment)
            self.opened = app.open()
        return self.opened

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
            self.opened = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return Reply(self.app, "POST", path, body, headers)

    def stripe(self, id: str = "evt_1", **event: Any) -> Reply:
        """Sends an event as Stripe does."""
        body, headers = testing.signed(
            "stripe", {"id": id, "type": "charge.succeeded", **event}, SECRET, now=self.clock()
        )
        return self.post("/webhooks/stripe", body, headers)

    def run(self) -> int:
        return testing.run_jobs(self.app)

    def run_for(self, seconds: float, step_seconds: float = 600.0) -> None:
        """Let time pass, running what is due."""
        end = self.clock() + seconds
        while self.clock() < end:
            self.clock.advance(step_seconds)
            self.run()

    def effects(self) -> list[str]:
        return [row["id"] for row in self.rows("effects")]

    def rows(self, table: str) -> list[Any]:
        return self.app.database.read(
            lambda transaction: list((transaction.system if table[0] == "_" else transaction.db).query(table))
        )

    def list(self, state: str | None = None) -> list[Any]:
        return list(reversed(self.app.run_query("_webhooks:list", state=state, limit=1_000)))

    def states(self) -> list[str]:
        return [row["state"] for row in self.list()]

    def show(self, id: str) -> Any:
        return self.app.run_query("_webhooks:show", id=id)


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()
