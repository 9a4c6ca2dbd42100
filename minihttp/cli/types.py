# SPDX-License-Identifier: MIT
"""`types`: the documents of an app's schema as TypedDicts, for type checkers and editors."""

from __future__ import annotations

import argparse

from ..data.schema import Schema
from ..data.typed_dicts import typed_dicts
from . import load_app
from ._arguments import APP, option

HELP = "write the schema's documents as TypedDicts"
ARGUMENTS = (*APP, option("--output", "-o", "FILE", "the file to write; by default it is printed"))


def run(args: argparse.Namespace) -> int:
    source = typed_dicts(load_app(args).options.schema or Schema())
    if args.output is None:
        print(source, end="")
    else:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(source)
    return 0
