# SPDX-License-Identifier: MIT
"""What an app is made of while it runs: services, opened on demand; who may call them; what they need.

The framework's own routes, the function API and the probes are handed this, and know no WSGI. Nothing is
opened before somebody asks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, SchemaError
from ..limits import Limits
from ..loopback import is_loopback
from ..tracebacks import RepeatFilter
from .options import DEFAULTS

if TYPE_CHECKING:
    from ..auth.admin import AdminKey
    from ..auth.authenticator import Authenticator
    from ..auth.caller import Caller
    from ..auth.identity import Identity
    from ..data.database import Database
    from ..files.storage import FileStore
    from ..functions.runner import Runner
    from ..http.router import HttpRouter
    from ..inbox.inbox import Inbox
    from ..jobs.jobs import Jobs
    from .metrics import Metrics
    from .services import Services


class Runtime:
    """The services of one app.

    Args:
        http: its routes.

    Attributes:
        options: all of them, as they are in force.
        failures: what handlers and functions let out, for the log.
        system_handlers: what answers below `/_/`, and `/` where the user has no route: packages that
            are built on this one put themselves in.
        progress: told what of a changed schema is being taken in, how many documents are done, and of how
            many; where it is None, a line is logged every 5 s.
        refusal: why storage is closed: documents that do not match the schema were found after the start.
    """

    limits: Limits
    metrics: Metrics | None = None

    def __init__(self, http: HttpRouter) -> None:
        self.http = http
        self.options = DEFAULTS
        self.failures = RepeatFilter()
        self.system_handlers: dict[str, Any] = {}
        self.progress: Callable[[str, int, int], None] | None = None
        self.refusal: SchemaError | None = None
        self._services: Services | None = None
        self._opening = threading.RLock()

    def open(self) -> Runtime:
        """Open storage, check the schema and register the functions; a second call does nothing.

        Raises:
            ConfigurationError: DataDirectoryError, SchemaError, FunctionError, CronError and their kin, each
                naming the value and the place.
        """
        self._open()
        return self

    def _open(self, refused: Callable[[SchemaError], object] | None = None) -> None:
        """As `open`; with `refused`, what takes long goes on behind the requests, as `Database` says."""
        with self._opening:
            if self._services is None:
                from .services import Services

                self.refusal = None
                self._services = Services(self.options, self.http, self.secrets, self.progress, refused)

    @property
    def clock(self) -> Callable[[], float]:
        """Unix seconds: a `testing.Clock` where tests move the time."""
        clock: Callable[[], float] = self.options.clock
        return clock

    @property
    def is_open(self) -> bool:
        """Whether storage is open."""
        return self._services is not None

    @property
    def services(self) -> Services:
        services = self._services
        if services is None:
            self.open()
            services = self._services
            assert services is not None
        return services

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def files(self) -> FileStore:
        return self.services.files

    @property
    def runner(self) -> Runner:
        return self.services.runner

    @property
    def jobs(self) -> Jobs:
        return self.services.jobs

    @property
    def inbox(self) -> Inbox:
        return self.services.inbox

    @property
    def has_admin_key(self) -> bool:
        """Whether there is an admin key, given as an option or in the environment."""
        return bool(self._admin_key_text)

    def missing_secrets(self) -> list[tuple[str, str]]:
        """Those of `secrets` that the environment lacks; of several secrets of one webhook, one is enough."""
        spare = {(path, name) for path, name, _, _ in self.spare_secrets()}
        return [
            (path, name)
            for path, name in self.secrets()
            if not self._has_secret(name) and (path, name) not in spare
        ]

    def _has_secret(self, name: str) -> bool:
        return bool(self.options.environment.get(name, "").strip())

    def spare_secrets(self) -> list[tuple[str, str, int, int]]:
        """The (path, variable name, secrets that are set, secrets that are named) of every one of a webhook's
        several secrets that is not set, while another is.
        """
        spare = []
        for endpoint in self.http.webhooks:
            names = endpoint.provider.secret_names
            unset = [name for name in names if not self._has_secret(name)]
            named = len(names)
            spare += [
                (endpoint.path, name, named - len(unset), named) for name in unset if len(unset) < named
            ]
        return spare

    def secrets(self) -> list[tuple[str, str]]:
        """The (path or "", variable name) of every secret that routes and webhooks need."""
        wanted = [("", name) for name in self.http.secrets]
        wanted += [("", name) for name in self.authenticator.secret_names()] if self.options.auth else []
        for endpoint in self.http.webhooks:
            names = (*endpoint.provider.secret_names, endpoint.provider.verify_token_name)
            wanted += [(endpoint.path, name) for name in names if name]
        return wanted

    def openapi(self, *, title: str = "minihttp", version: str = "1", server: str = "") -> dict[str, Any]:
        """The app as an OpenAPI 3.1 document: its routes, and its functions where the function API is on.

        Args:
            title, version: of the API, as the document shows them.
            server: its URL; "" for wherever the document is got from.
        """
        from .openapi import openapi

        registry = self.runner.registry if self.options.function_api and self.options.modules else None
        resolve = lambda function: self.runner.resolve(function)  # noqa: E731
        return openapi(
            self.http, registry, resolve, title=title, version=version, server=server or self.options.origin
        )

    # ------------------------------------------------------------ who calls

    @cached_property
    def authenticator(self) -> Authenticator:
        """Checks the tokens of the app's providers."""
        from ..auth.authenticator import Authenticator

        options = self.options
        return Authenticator(options.auth, environment=options.environment, clock=options.clock)

    @cached_property
    def admin_key(self) -> AdminKey:
        """Whether somebody holds the admin key."""
        from ..auth.admin import AdminKey

        return AdminKey(self._admin_key_text)

    def read_authorization(self, header: str, peer: str = "") -> tuple[bool, Caller]:
        """What an Authorization header proves: whether it holds the admin key, and who calls.

        Args:
            peer: the address that it came from.

        Raises:
            AuthError: 401 for one that proves nothing; HTTPError 503 for one that cannot be checked now, 429
                for a peer that has sent too many wrong admin keys.
        """
        from ..auth.header import read_header

        return read_header(header, self.authenticator, self.admin_key, peer)

    def check_exposed(self, addresses: Iterable[str] = (), behind_proxy: bool = False) -> None:
        """Find what an app that strangers reach must not have; a server's start is refused by it.

        Args:
            addresses: where it is served. A webhook secret that could be guessed is refused where one of
                them is not of this machine alone; else `guessable_secrets` is only warned of.
            behind_proxy: a proxy hands on what comes from other machines.

        Raises:
            ConfigurationError: an admin key or a webhook secret that could be guessed, or a webhook whose
                signed URL nobody has said.
        """
        if self.has_admin_key:
            self.admin_key.check()
        for webhook in self.http.webhooks:
            try:
                webhook.provider.check_url(self.options.origin)
            except ConfigurationError as error:
                raise ConfigurationError(f"webhook {webhook.path} ({webhook.location}): {error}") from None
        if behind_proxy or not all(map(is_loopback, addresses)):
            for sentence in self.guessable_secrets():
                raise ConfigurationError(sentence)

    def guessable_secrets(self) -> Iterator[str]:
        """A sentence for each webhook secret that is short enough to be guessed."""
        for webhook in self.http.webhooks:
            for sentence in webhook.provider.guessable_secrets(self.options.environment):
                yield f"webhook {webhook.path} ({webhook.location}): {sentence}"

    @property
    def _admin_key_text(self) -> str:
        key = self.options.admin_key or self.options.environment.get("MINIHTTP_ADMIN_KEY") or ""
        return key.strip()

    def problems(self) -> list[str]:
        """What is wrong while the app goes on: providers whose keys cannot be fetched."""
        return self.authenticator.problems() if self.options.auth else []

    def identify(self, header: str, peer: str = "") -> Identity | None:
        """The identity in an Authorization header; raises as `read_authorization`."""
        return self.read_authorization(header, peer)[1].get_user_identity()
