# SPDX-License-Identifier: MIT
"""Rows whose signatures stand literally in the providers' own documents and tests (`data/webhooks.json`)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from minihttp import webhooks
from minihttp.errors import ConfigurationError, WebhookError
from minihttp.webhooks.scheme import Scheme
from minihttp.webhooks.verifier import Verifier

ROWS = json.loads((Path(__file__).parents[1] / "data" / "webhooks.json").read_text())["rows"]


def verifier(row: dict[str, Any]) -> Verifier:
    if row["provider"] != "generic":
        return Verifier(webhooks.scheme_of(row["provider"]))
    config = row["config"]
    return Verifier(Scheme("generic", config.pop("header"), **config))


def verdict(row: dict[str, Any]) -> str:
    check = verifier(row).verify
    options = {"now": row["now"], "tolerance_seconds": row["tolerance"], "url": row.get("url", "")}
    try:
        check(base64.b64decode(row["body"]), row["headers"], row["secrets"], **options)
    except WebhookError as error:
        return error.reason
    except ConfigurationError:
        return "config"
    return "ok"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_published_row_has_its_verdict(row: dict[str, Any]) -> None:
    assert verdict(row) == row["reason"]
