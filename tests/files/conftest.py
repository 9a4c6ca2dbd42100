# SPDX-License-Identifier: MIT
"""A file store on each engine, and the endpoint as a WSGI application."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from minihttp.app.backends import open_documents, open_files
from minihttp.data.database import Database
from minihttp.errors import HTTPError, MinihttpError
from minihttp.files.endpoint import handle
from minihttp.files.storage import FILE_TABLES, FileStore
from minihttp.http.deferred import Deferred
from minihttp.http.request import Request
from minihttp.http.response import Response
from minihttp.http.target import raw_path

FILE_URLS = {"filesystem": "filesystem:{}/files", "sqlite": "sqlite:{}/files.db"}
OBJECTS = "objects"  # obstore's own store in memory: what s3, gs and az do, without a server
KINDS = [*FILE_URLS, *([OBJECTS] if find_spec("obstore") else [])]


class Clock:
    """Unix seconds that a test sets."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A data directory: opens its database and its file store, again and again."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.kind = kind
        self.clock = Clock()
        self.database = "app.db"
        self._bucket: Any = None

    def open(self) -> FileStore:
        database = Database(
            open_documents(f"sqlite:{self.path}/{self.database}"), system=FILE_TABLES, clock=self.clock
        )
        return FileStore(self.open_files(), database, clock=self.clock)

    def open_files(self, **options: str) -> Any:
        if self.kind == OBJECTS:
            from obstore.store import MemoryStore

            from storage_backends.object_store import FileBackend

            self._bucket = self._bucket or MemoryStore()
            query = "".join(f"?{name}={value}" for name, value in options.items())
            client = staticmethod(lambda *place, **settings: self._bucket)
            return type("FileBackend", (FileBackend,), {"client": client})(f"//bucket{query}")
        return open_files(FILE_URLS[self.kind].format(self.path))

    def close(self, store: FileStore) -> None:
        store.close()
        store.database.close()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.param)


@pytest.fixture(params=FILE_URLS)
def local_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """With a store that one process has for itself."""
    return Place(tmp_path, request.param)


@pytest.fixture
def store(place: Place) -> Iterator[FileStore]:
    opened = place.open()
    yield opened
    place.close(opened)


def endpoint(store: FileStore) -> Callable[..., Iterable[bytes]]:
    """What the app does around `store.handle`, and nothing more."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            response = handle(store, Request(environ, raw_path(environ)))
            if isinstance(response, Deferred):
                response = response.wait()
        except HTTPError as error:
            response = Response.json({"error": error.message}, error.status)
        except MinihttpError as error:
            response = Response.json({"error": error.code}, error.status)
        return response(environ, start_response)

    return application


class Reply:
    """Status, headers and body of one reply, whose iterable has been closed as a server would."""

    def __init__(self, application: Any, environ: dict[str, Any]) -> None:
        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            self.status = int(status[:3])
            self.headers = {name.lower(): value for name, value in headers}

        chunks = validator(application)(environ, start_response)
        try:
            self.body = b"".join(chunks)
        finally:
            chunks.close()

    @property
    def code(self) -> str:
        return json.loads(self.body)["code"]


class Web:
    """Sends requests to a WSGI application, through `wsgiref.validate`."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **environ: Any,
    ) -> Reply:
        target = url.removeprefix("http://testserver")
        path, _, query = target.partition("?")
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
        if "HTTP_CONTENT_TYPE" in fields:
            fields["CONTENT_TYPE"] = fields.pop("HTTP_CONTENT_TYPE")
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "REQUEST_URI": target,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            **fields,
            **environ,
        }
        setup_testing_defaults(environ)
        return Reply(self.application, environ)

    def get(self, url: str | None, **headers: str) -> Reply:
        assert url is not None
        return self("GET", url, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def web(store: FileStore) -> Web:
    return Web(endpoint(store))
