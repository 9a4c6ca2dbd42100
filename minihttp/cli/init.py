# SPDX-License-Identifier: MIT
"""`init`: a folder with a small app that runs and passes its own test."""

from __future__ import annotations

import argparse
import os
from pkgutil import get_data

from ..errors import ConfigurationError
from . import PROGRAM, note
from ._arguments import word

HELP = "make a folder with a small app that runs and passes its own test"

# The app that is made, as text files of new_app/: what is in one of them is in the file of that name.
_FILES = (
    *("backend/routes.py", "backend/schema.py", "backend/items.py"),
    *("test_app.py", ".env.example", ".gitignore"),
)
ARGUMENTS = (word("folder", "DIR", "the folder to make; what is in it stays"),)


def run(args: argparse.Namespace) -> int:
    there = [name for name in _FILES if os.path.exists(os.path.join(args.folder, name))]
    if there:
        raise ConfigurationError(f"{os.path.join(args.folder, there[0])} is there already")
    for name in _FILES:
        path = os.path.join(args.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(get_data(__package__ or "", f"new_app/{name}.txt") or b"")
        print(path)
    steps = (
        f"cd {args.folder}",
        f"python -m {PROGRAM} serve --reload",
        "pytest    # needs pytest and webtest",
    )
    note("\nGo on with:\n" + "\n".join(f"  {step}" for step in steps))
    return 0
