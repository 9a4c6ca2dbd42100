# SPDX-License-Identifier: MIT
"""What every webhook provider must do; its test gives a module, a secret and a body, and inherits this."""

from __future__ import annotations

import string
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.errors import ConfigurationError, WebhookError
from minihttp.http.headers import RequestHeaders
from minihttp.webhooks.delivery import Delivery

NOW = 1_700_000_000
INVALID_TIMESTAMPS = [
    "0",
    "-1",
    "+1700000000",
    "01700000000",
    "1700000000.5",
    "1_700_000_000",
    "17e8",
    "1700000000abc",
    " 1700000000",
    "1700000000\n",
    "١٧٠٠٠٠٠٠٠٠",
    "１７００００００００",
    "1700000000000",  # milliseconds: 13 digits
    "9" * 5000,
    "0x6553f100",
    "now",
]
HOSTILE_VALUES = [
    "",
    " ",
    "=",
    ",",
    ";",
    "v1",
    "v1,",
    "v1=",
    "t=",
    "t=1",
    "t=1,v1=",
    "t=1,v1=é",
    "sha256=",
    "sha256=" + "é" * 64,
    "sha256=" + "ａ" * 64,
    "v0=\udcff",
    "\0",
    "\x00repeated",
    "%s%s{0}{id}",
    "1" * 100_000,
    ",".join(["v1=a"] * 5_000),
    " ".join(["v1,a"] * 5_000),
]


class WebhookContract:
    """Set `module`, `secret` and, where the defaults do not fit, the rest."""

    module: ModuleType
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    other_secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    body = b'{"hello": "world"}'
    odd_bodies: tuple[bytes, ...] = (b"", b"\xef\xbb\xbf{}", b"\xff\xfe\x00", b"{}\r\n", b"x" * 1_000_000)
    url = "https://example.com/hooks?a=1"
    refusal_status = 400

    def sign(self, body: bytes | None = None, secret: str | None = None, **options: Any) -> dict[str, str]:
        options = {"timestamp": NOW, "url": self.url, "id": "msg_1", **options}
        body = self.body if body is None else body
        headers: dict[str, str] = self.module.sign(body, secret or self.secret, **options)
        return headers

    def verify(
        self, headers: Any, body: bytes | None = None, secrets: Any = None, **options: Any
    ) -> Delivery:
        options = {"now": NOW, "url": self.url, **options}
        body = self.body if body is None else body
        delivery: Delivery = self.module.verify(
            body, headers, self.secret if secrets is None else secrets, **options
        )
        return delivery

    def refuse(self, headers: Any, body: bytes | None = None, secrets: Any = None, **options: Any) -> str:
        """The reason of the refusal, whose message does not hold the secret."""
        with pytest.raises(WebhookError) as caught:
            self.verify(headers, body, secrets, **options)
        assert caught.value.reason in WebhookError.REASONS
        assert self.secret not in str(caught.value)
        return caught.value.reason

    @property
    def signature_header(self) -> str:
        name: str = self.module.SCHEME.signature_header
        return name

    def signs_time(self) -> bool:
        return "{timestamp}" in self.module.SCHEME.signed or bool(self.module.SCHEME.timestamp_path)

    # -- accepted

    def test_what_is_signed_verifies(self) -> None:
        delivery = self.verify(self.sign())
        assert delivery.body == self.body
        assert delivery.secret_index == 0
        assert delivery.timestamp == (NOW if self.signs_time() else None)

    def test_odd_bodies_are_only_bytes(self) -> None:
        for body in self.odd_bodies:
            assert self.verify(self.sign(body), body).body == body

    def test_headers_in_every_shape(self) -> None:
        headers = self.sign()
        shapes: list[Any] = [
            {name.upper(): value for name, value in headers.items()},
            {name.lower(): value for name, value in headers.items()},
            list(headers.items()),
            (pair for pair in headers.items()),
            {name: value.encode("latin-1") for name, value in headers.items()},
            RequestHeaders({f"HTTP_{name.upper().replace('-', '_')}": headers[name] for name in headers}),
            [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            {name.lower().encode(): value.encode("latin-1") for name, value in headers.items()},
            [*headers.items(), ("X-Other", "a"), ("x-other", "b"), ("X-Odd", None)],
        ]
        for shape in shapes:
            delivery = self.verify(shape)
            assert delivery.secret_index == 0
            assert delivery.headers.items() >= {name.lower(): headers[name] for name in headers}.items()

    def test_any_secret_of_a_list_accepts_and_is_reported(self) -> None:
        headers = self.sign()
        assert self.verify(headers, secrets=[self.other_secret, self.secret]).secret_index == 1
        assert self.verify(headers, secrets=(self.secret, self.other_secret)).secret_index == 0
        assert self.verify(headers, secrets=iter([self.secret, self.secret])).secret_index == 0

    # -- refused

    def test_another_secret_is_a_mismatch(self) -> None:
        assert self.refuse(self.sign(secret=self.other_secret)) == "mismatch"
        assert self.refuse(self.sign(), secrets=[self.other_secret] * 3) == "mismatch"

    def test_a_changed_body_is_a_mismatch(self) -> None:
        headers = self.sign()
        for body in (
            self.body + b"\n",
            self.body[1:],
            b"",
            self.body.replace(b" ", b""),
            b"\xef\xbb\xbf" + self.body,
        ):
            if body != self.body:
                assert self.refuse(headers, body) == "mismatch"

    def test_a_signature_changed_in_any_place_is_refused(self) -> None:
        headers = self.sign()
        signature = headers[self.signature_header]
        for position in range(len(signature)):
            for character in "0aé\n ":
                changed = signature[:position] + character + signature[position + 1 :]
                if changed != signature:
                    self.refuse({**headers, self.signature_header: changed})

    def test_junk_around_the_signature_is_refused(self) -> None:
        headers = self.sign()
        signature = headers[self.signature_header]
        for changed in (
            signature[:-1],
            signature + "0",
            signature + "=",
            signature.upper(),
            signature.swapcase(),
        ):
            if changed != signature:
                self.refuse({**headers, self.signature_header: changed})

    def test_a_missing_or_empty_header_is_missing(self) -> None:
        headers = self.sign()
        for name in (self.signature_header, *self.required()):
            without = {other: value for other, value in headers.items() if other != name}
            assert self.refuse(without) == "missing_header"
            assert self.refuse({**headers, name: ""}) == "missing_header"
        assert self.refuse({}) == "missing_header"
        assert self.refuse([]) == "missing_header"

    def required(self) -> list[str]:
        """The headers that take part in the signature, beside the signature itself."""
        scheme = self.module.SCHEME
        return [
            name
            for name in (scheme.timestamp_header, scheme.id_header if "{id}" in scheme.signed else "")
            if name
        ]

    def test_a_repeated_header_is_malformed(self) -> None:
        headers = self.sign()
        for name in (self.signature_header, *self.required()):
            again = (name.swapcase(), headers[name])
            assert self.refuse([*headers.items(), again]) == "malformed_header"
            assert self.refuse([again, *headers.items()]) == "malformed_header"
            assert self.refuse(dict([again, *headers.items()])) == "malformed_header"

    # -- configuration

    @pytest.mark.parametrize("secrets", ["", " \t", [], [""], ["ok", ""], b"", [None], "\ud800"])
    def test_a_secret_that_is_none_is_a_configuration_error(self, secrets: Any) -> None:
        with pytest.raises(ConfigurationError):
            self.verify(self.sign(), secrets=secrets)

    @pytest.mark.parametrize(
        "pasted", ["{}\n", "  {}", "{}\r\n", '"{}"', "'{}' ", "\ufeff{}", "\u201c{}\u201d", "\t` {} `"]
    )
    def test_what_pasting_adds_to_a_secret_is_dropped(self, pasted: str) -> None:
        secret = pasted.format(self.secret)
        assert self.verify(self.sign(), secrets=secret).secret_index == 0
        assert self.verify(self.sign(secret=secret)).secret_index == 0

    @pytest.mark.parametrize(
        ("pasted", "cause"),
        [
            ('"{}', "quote"),
            ("'{}\"", "quote"),
            ("{0}\n{0}", "line break"),
            ("{}\0x", "control"),
            ('"  "', "blank"),
        ],
    )
    def test_an_ambiguous_secret_is_refused_with_its_cause(self, pasted: str, cause: str) -> None:
        with pytest.raises(ConfigurationError, match=cause) as caught:
            self.verify(self.sign(), secrets=pasted.format(self.secret))
        assert self.secret not in str(caught.value)

    @pytest.mark.parametrize("body", ['{"hello": "world"}', {"hello": "world"}, None, [b"x"]])
    def test_a_body_that_is_not_raw_is_the_callers_mistake(self, body: Any) -> None:
        with pytest.raises(TypeError, match=r"body must be the raw bytes of the request, request\.bytes\(\)"):
            self.module.verify(body, self.sign(), self.secret, now=NOW, url=self.url)
        with pytest.raises(TypeError, match="raw bytes"):
            self.module.sign(body, self.secret)

    def test_other_kinds_of_bytes_are_bytes(self) -> None:
        for body in (bytearray(self.body), memoryview(self.body)):
            found = self.module.verify(body, self.sign(), self.secret, now=NOW, url=self.url)
            assert type(found.body) is bytes and found.body == self.body

    def test_a_refusal_has_the_status_that_the_provider_wants(self) -> None:
        for headers in ({}, self.sign(secret=self.other_secret)):
            with pytest.raises(WebhookError) as caught:
                self.verify(headers)
            assert caught.value.status == self.refusal_status

    def test_a_negative_tolerance_is_a_configuration_error(self) -> None:
        for tolerance_seconds in (-1, float("nan")):
            with pytest.raises(ConfigurationError):
                self.verify(self.sign(), tolerance_seconds=tolerance_seconds)

    # -- whatever a stranger sends

    def test_hostile_values_are_refused(self) -> None:
        headers = self.sign()
        for name in headers:
            for value in HOSTILE_VALUES:
                if name in (self.signature_header, *self.required()):
                    self.refuse({**headers, name: value})
                else:
                    assert self.verify({**headers, name: value}).body == self.body

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(data=st.data())
    def test_nothing_is_accepted_without_the_key(self, data: st.DataObject) -> None:
        """Any header values, shaped like real ones and not, over any body: WebhookError and nothing else."""
        text = st.text(max_size=40) | st.text(string.hexdigits + "+/=,;. v1t0sha256", max_size=90)
        names = (self.signature_header, *self.required())
        signature = self.sign()[self.signature_header]
        forged = st.sampled_from([signature.translate(str.maketrans("0123456789", "1234567890"))])
        headers = {name: data.draw(text | st.just(str(NOW)) | forged) for name in names}
        self.refuse(headers, data.draw(st.binary(max_size=60)))

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(data=st.data())
    def test_the_usual_form_is_read_as_any_other(self, data: st.DataObject) -> None:
        """A dictionary goes the short way, pairs the long one; whatever is in them, the verdict is one."""
        headers = self.sign()
        pieces = st.sampled_from([*headers.values(), str(NOW), "v1,x", "\n", " ", ",", "=", "é", "ａ", ""])
        values = st.lists(pieces, min_size=1, max_size=4).map("".join)
        names = (self.signature_header, *self.required())
        changed = {**headers, **{name: data.draw(st.just(headers[name]) | values) for name in names}}
        assert self.verdict(changed) == self.verdict(list(changed.items()))

    def verdict(self, headers: Any) -> str:
        try:
            self.verify(headers)
        except WebhookError as error:
            return error.reason
        return "ok"


class TimedWebhookContract(WebhookContract):
    """For providers that sign a time outside the body."""

    def test_the_tolerance_holds_both_ways_in_whole_seconds(self) -> None:
        headers = self.sign()
        own = self.module.SCHEME.tolerance_seconds
        assert self.verify(headers, now=NOW + own + 0.9).timestamp == NOW
        assert self.verify(headers, now=NOW - own).timestamp == NOW
        assert self.refuse(headers, now=NOW + own + 1) == "too_old"
        assert self.refuse(headers, now=NOW - own - 0.1) == "too_new"
        assert self.verify(headers, now=NOW + 60, tolerance_seconds=60).timestamp == NOW
        assert self.refuse(headers, now=NOW + 61, tolerance_seconds=60) == "too_old"
        assert self.verify(headers, now=NOW + 0.99, tolerance_seconds=0).timestamp == NOW
        assert self.refuse(headers, now=NOW + 1, tolerance_seconds=0) == "too_old"
        assert self.verify(headers, now=NOW * 3, tolerance_seconds=None).timestamp == NOW

    def test_an_old_forgery_is_a_mismatch_and_not_old(self) -> None:
        assert self.refuse(self.sign(secret=self.other_secret), now=NOW * 3) == "mismatch"

    def test_a_timestamp_has_one_spelling_even_when_it_is_signed(self) -> None:
        for text in INVALID_TIMESTAMPS:
            headers = self.sign(timestamp=text)
            assert self.refuse(headers, now=float(NOW), tolerance_seconds=None) == "invalid_timestamp", text
