# SPDX-License-Identifier: MIT
"""`types`: the documents of an app's schema as TypedDicts, for type checkers and editors."""

from __future__ import annotations

import argparse

from ..data.schema import Schema
from ..data.typed_dicts import typed_dicts
from . import APP, add_arguments, load_app

HELP = "write the schema's documents as TypedDicts"


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, *APP)
    parser.add_argument("--output", "-o", metavar="FILE", help="the file to write; by default it is printed")


def run(args: argparse.Namespace) -> int:
    source = typed_dicts(load_app(args).options.schema or Schema())
    if args.output is None:
        print(source, end="")
    else:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(source)
    return 0
