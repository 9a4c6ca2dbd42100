# SPDX-License-Identifier: MIT
"""Which tests are slow (`slow.txt`); and what a machine may bring that no test is about: a proxy in the
environment is not the way to 127.0.0.1.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SLOW = frozenset(
    line
    for line in Path(__file__).with_name("slow.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)
# Of contracts, whichever file inherits them.
SLOW_NAMES = ("test_many_kills", "test_any_transactions_leave_what_a_dict_would_hold")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        name = item.nodeid.partition("[")[0]
        function = name.rpartition("::")[2]
        is_slow = name.partition("::")[0] in SLOW or name in SLOW or function in SLOW_NAMES
        if is_slow and not (ON_POSTGRESQL and name.startswith("tests/examples/")):  # the only ones there
            item.add_marker(pytest.mark.slow)
    out = [item for item in items if ON_POSTGRESQL and item.get_closest_marker("sqlite")]
    if out:  # tests of the sqlite engine itself
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = f"{os.environ.get(name, '')},127.0.0.1".lstrip(",")

ON_POSTGRESQL = os.environ.get("CI_DOCUMENTS") == "postgresql"
if ON_POSTGRESQL:  # every database of a test in a schema of its own
    from tests.on_postgresql import forget

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown() -> None:
        forget()
