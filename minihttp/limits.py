# SPDX-License-Identifier: MIT
"""Every limit in one place, each with its reason; `App(limits=Limits(max_body_bytes=…))` changes one, and so
does `max_body_bytes = …` in the table `[limits]` of `minihttp.toml`.

Knows only numbers. A value may be raised or lowered, never switched off: a limit that nobody set is how a
small server dies.
"""

from __future__ import annotations

from .errors import ConfigurationError, did_you_mean

KIB = 1024
MIB = 1024 * KIB


_MAX_DEPTH = 250  # CPython recurs 1,000 deep; a level of JSON takes up to two frames, beside those of the app


class Limits:
    """The limits of one app. Each keyword replaces one number.

    Raises:
        ConfigurationError: for a name that is no limit (with a suggestion), or a value that is not a positive
            number.
    """

    # -- requests
    # Convex's documented request size; waitress spools this much per request to disk
    max_body_bytes: int = 20 * MIB
    # Apache's rate (mod_reqtimeout), of a request's body and of a response, once either took 30 s
    min_body_bytes_per_second: int = 500
    max_upload_bytes: int = 1024 * MIB  # only with a signed upload URL, so not for strangers; it goes to disk
    # All bodies and responses in memory at once; others go to files. As much again that handlers read whole
    max_buffered_bytes: int = 64 * MIB
    max_spooled_bytes: int = 2048 * MIB  # all bodies and responses in files at once; a disk is shared by all
    # A JSON body is parsed whole, in some ten times its size; `route(max_body=…)` asks for more
    max_json_bytes: int = 2 * MIB
    max_decoded_json_bytes: int = 16 * MIB  # of those over 64 KiB at once, while their handlers run: else 503
    # Values: an empty array is 2 bytes of text and 64 in memory. A fifth of them and one for each 4 bytes; of
    # arrays and objects a twentieth and one for each 8, of objects a twentieth and one for each 16: a text of
    # nothing but brackets costs far more than its bytes
    max_json_elements: int = 50_000
    max_json_depth: int = 64  # CPython's json raises RecursionError near 1,000; Convex values nest 16 deep
    max_form_parts: int = 1_000  # CVE-2023-25577: every part costs memory, files and fields alike
    max_part_headers: int = 8  # CVE-2026-42561: browsers send two or three
    max_part_header_bytes: int = 8 * KIB
    max_form_field_bytes: int = 1 * MIB  # a field is kept in memory; larger data belongs in a file part
    max_form_bytes: int = 2 * MIB  # all fields of a form that are no files; `route(max_body=…)` asks for more
    max_query_fields: int = 1_000  # a query string is parsed whole
    # -- functions
    query_seconds: float = 1.0  # Convex: 1 s of user code; longer holds a snapshot and lets the WAL grow
    mutation_seconds: float = 1.0  # a mutation holds the one write lock
    action_seconds: float = 600.0  # Convex: 10 min in node
    # A regular expression that backtracks keeps the interpreter's lock: the process ends, with its stacks
    frozen_cpu_seconds: float = 30.0
    max_call_depth: int = 8  # Convex's nesting of ctx.run_*
    max_args_bytes: int = 16 * MIB
    max_result_bytes: int = 16 * MIB
    max_scheduled: int = 1_000  # functions scheduled by one mutation
    max_scheduled_args_bytes: int = 4 * MIB  # each
    max_scheduled_total_bytes: int = 16 * MIB  # of one mutation
    job_result_seconds: float = 7 * 86_400.0  # Convex keeps the rows of ended jobs 7 days
    job_lease_seconds: float = 60.0  # after it another process may take over an action; renewed while it runs
    idempotency_key_seconds: float = 86_400.0  # a repeated Idempotency-Key is known; Stripe: 24 hours
    # -- webhooks
    max_webhook_bytes: int = 1024 * MIB  # of one endpoint's deliveries; one full inbox must not fill the disk
    # -- files
    upload_url_seconds: float = 3_600.0  # Convex: an upload URL is good for an hour, any number of times
    # -- documents (`docs/convex.md` §3)
    max_document_bytes: int = 1 * MIB
    max_document_fields: int = 1_024
    max_document_depth: int = 16
    max_array_length: int = 8_192
    max_read_bytes: int = 16 * MIB  # of one query or mutation
    max_read_documents: int = 32_000
    max_read_ranges: int = 4_096
    max_write_bytes: int = 16 * MIB
    max_write_documents: int = 16_000
    max_filter_operators: int = 256

    def __init__(self, **overrides: float) -> None:
        for name, value in overrides.items():
            if name not in Limits.__annotations__:
                raise ConfigurationError(
                    f"{name!r} is not a limit{did_you_mean(name, Limits.__annotations__)}"
                )
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ConfigurationError(f"limit {name} must be a positive number, not {value!r}")
            if name in ("max_json_depth", "max_document_depth") and value > _MAX_DEPTH:
                raise ConfigurationError(f"limit {name} must be at most {_MAX_DEPTH}, not {value!r}")
            setattr(self, name, value)

    def items(self) -> list[tuple[str, float]]:
        """(name, value) of every limit."""
        return [(name, getattr(self, name)) for name in Limits.__annotations__]

    def changed(self, **overrides: float) -> Limits:
        """These limits, but for those given."""
        return Limits(**{**vars(self), **overrides})


DEFAULT_LIMITS = Limits()
