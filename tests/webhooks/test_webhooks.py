# SPDX-License-Identifier: MIT
"""The providers that there are, found by their names."""

from __future__ import annotations

import pytest

from minihttp import webhooks
from minihttp.errors import ConfigurationError


def test_every_provider_is_found_by_its_name() -> None:
    names = webhooks.names()
    assert {"github", "github-sha1", "stripe", "svix", "clerk", "slack", "twilio"} <= set(names)
    assert [webhooks.scheme_of(name).name for name in names] == names
    with pytest.raises(
        ConfigurationError, match=r"'nobody' is not a webhook provider; known are .*clerk, github"
    ):
        webhooks.scheme_of("nobody")
    with pytest.raises(AttributeError, match="nobody"):
        webhooks.nobody  # noqa: B018
