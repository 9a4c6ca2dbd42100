# SPDX-License-Identifier: MIT
"""What a signature check costs, beside raw HMAC and the providers' own libraries, in one run.

    python benchmarks/webhooks.py checks

"raw" is `hmac.digest` over the ready message and `compare_digest`: no headers are read, no time is checked.
Each figure is the best of several interleaved rounds; ratios within a run are what counts. Libraries that are
not installed are left out.
"""

from __future__ import annotations

import base64
import hmac
import os
import sys
import time
from collections.abc import Callable

from minihttp.webhooks import github, standard_webhooks, stripe, svix

RAW_KEY = os.urandom(24)
SECRET = "whsec_" + base64.b64encode(RAW_KEY).decode()
NOW = int(time.time())
SIZES_BYTES = (1024, 10 * 1024, 100 * 1024)
ROUNDS = 15
SECONDS_PER_ROUND = 0.01


def best_microseconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The fastest round of each call; the calls take turns, so that a slow moment hits all alike."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < SECONDS_PER_ROUND:
                for _ in range(20):
                    call()
                count += 20
            spent = (time.perf_counter() - start) / count * 1e6
            best[name] = min(spent, best.get(name, spent))
    return best


def raw(key: bytes, message: bytes) -> Callable[[], object]:
    expected = hmac.digest(key, message, "sha256")
    return lambda: hmac.compare_digest(hmac.digest(key, message, "sha256"), expected)


def official_stripe(body: bytes, headers: dict[str, str]) -> dict[str, Callable[[], object]]:
    try:
        import stripe as library
    except ImportError:
        return {}
    header, text = headers["Stripe-Signature"], body.decode()
    return {
        "stripe verify_header": lambda: library.WebhookSignature.verify_header(text, header, SECRET, 300),
        "stripe construct_event": lambda: library.Webhook.construct_event(body, header, SECRET),
    }


def official_webhooks(name: str, body: bytes, headers: dict[str, str]) -> dict[str, Callable[[], object]]:
    try:
        library = __import__(f"{name}.webhooks").webhooks.Webhook(SECRET)
    except ImportError:
        return {}
    lower = {key.lower(): value for key, value in headers.items()}
    return {f"{name} verify": lambda: library.verify(body.decode(), lower)}


def checks_of(size_bytes: int) -> dict[str, dict[str, Callable[[], object]]]:
    """For each provider, the calls to compare: raw HMAC first."""
    body = b'{"id": "evt_1", "object": "event", "filling": "%s"}' % (b"x" * (size_bytes - 50))
    calls: dict[str, dict[str, Callable[[], object]]] = {}
    for module, key, before in (
        (github, SECRET.encode(), b""),
        (stripe, SECRET.encode(), b"%d." % NOW),
        (svix, RAW_KEY, b"msg_1.%d." % NOW),
        (standard_webhooks, RAW_KEY, b"msg_1.%d." % NOW),
    ):
        name = module.SCHEME.name
        headers = module.sign(body, SECRET, id="msg_1", timestamp=NOW)
        calls[name] = {
            "raw": raw(key, before + body),
            "minihttp": lambda verify=module.verify, headers=headers: verify(body, headers, SECRET),
        }
        if module is stripe:
            calls[name] |= official_stripe(body, headers)
        elif module is not github:
            calls[name] |= official_webhooks(name.replace("-", ""), body, headers)
    return calls


def checks() -> None:
    print("| body | provider | call | µs | × raw |\n|---:|---|---|---:|---:|")
    for size_bytes in SIZES_BYTES:
        for provider, calls in checks_of(size_bytes).items():
            spent = best_microseconds(calls)
            for name, microseconds in spent.items():
                ratio = microseconds / spent["raw"]
                print(
                    f"| {size_bytes // 1024} KiB | {provider} | {name} | {microseconds:.2f} | {ratio:.2f} |"
                )


if __name__ == "__main__":
    {"checks": checks}[sys.argv[1] if len(sys.argv) > 1 else "checks"]()
