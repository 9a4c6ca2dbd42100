# SPDX-License-Identifier: MIT
"""`vendor`: copies minihttp, or a part of it, into a folder of yours; run again it updates the copy.

The copy works under any package: `vendor acme/vendor` makes `acme.vendor.minihttp`. What somebody has changed
in it is never overwritten.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import re
from collections.abc import Iterator

from .. import __version__
from ..errors import ConfigurationError, MinihttpError
from . import note, print_rows
from ._arguments import option, word

HELP = "copy minihttp, or a part of it, into a folder of yours"
LIST = "VENDORED.json"
_PARTS = ("router", "backend")
_PARTS_HELP = "router: routes, requests, forms, CORS, signatures; backend: all but server and command line"
_ROUTER = (  # what its users import; what these import when they are loaded comes along
    *("http/router.py", "http/request.py", "http/response.py", "http/multipart.py", "http/cors.py"),
    *("http/credentials.py", "webhooks/github.py", "webhooks/stripe.py", "webhooks/svix.py"),
)
_NOT_BACKEND = ("server/", "cli/", "dashboard/", "__main__.py")
_match_typed_name = re.compile(r" +from \.([\w.]*) import (\w+) as ").match
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARGUMENTS = (
    word("folder", "DIR", "where to, such as acme/vendor"),
    option("--only", "PART", _PARTS_HELP, choices=_PARTS),
    "json",
)


def run(args: argparse.Namespace) -> int:
    files = dict(_files(args.only))
    try:
        _refuse_changes(args.folder, files)
        _copy(args.folder, files)
    except OSError as error:
        raise MinihttpError(f"{error.filename}: {error.strerror}") from None
    lines = sum(text.count(b"\n") for text in files.values())
    row = {"files": len(files), "lines": lines, "bytes": sum(map(len, files.values()))}
    print_rows([{"folder": args.folder, "version": __version__, **row}], args.json)
    return 0


def _files(only: str | None) -> Iterator[tuple[str, bytes]]:
    """The path in the copy and the bytes of every file."""
    name = os.path.basename(_PACKAGE)
    modules = sorted(_modules(_PACKAGE))
    if only == "router":
        modules = sorted(_with_imports(_ROUTER))
    elif only == "backend":
        modules = [path for path in modules if not path.startswith(_NOT_BACKEND)]
    for path in modules:
        data = _read(os.path.join(_PACKAGE, path))
        yield f"{name}/{path}", _without_missing_names(data, modules) if path == "__init__.py" else data
    if only != "router":
        parent, _, _ = (__package__ or "").rpartition(".")[0].rpartition(".")
        backends = importlib.import_module(f"{parent}.storage_backends".lstrip(".")).__path__[0]
        for path in sorted(_modules(backends)):
            yield f"storage_backends/{path}", _read(os.path.join(backends, path))
    yield "LICENSE", _licence()


def _without_missing_names(data: bytes, modules: list[str]) -> bytes:
    """The public names without those, for type checkers, whose modules are not in the copy."""
    there = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in modules}
    kept = []
    for line in data.decode().splitlines(keepends=True):
        found = _match_typed_name(line)
        if found is None or (found[1] or found[2]) in there:
            kept.append(line)
    return "".join(kept).encode()


def _modules(folder: str) -> Iterator[str]:
    for parent, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
        for file in files:
            if not file.endswith(".pyc"):
                yield os.path.relpath(os.path.join(parent, file), folder).replace(os.sep, "/")


def _with_imports(entries: tuple[str, ...]) -> set[str]:
    """These modules and all that they import, each with the packages that it lies in."""
    found: set[str] = set()
    waiting = ["__init__.py", "py.typed", *entries]
    while waiting:
        path = waiting.pop()
        if path in found or not os.path.isfile(os.path.join(_PACKAGE, path)):
            continue
        found.add(path)
        folder = os.path.dirname(path)
        waiting.append(f"{folder}/__init__.py" if folder else "__init__.py")
        if path.endswith(".py") and path != "__init__.py":
            waiting += _imported(path)
    return found


def _imported(path: str) -> Iterator[str]:
    tree = ast.parse(_read(os.path.join(_PACKAGE, path)))
    skipped = {id(inner) for node in ast.walk(tree) if _is_on_demand(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in skipped:
            base = path.split("/")[: -node.level] + [part for part in (node.module or "").split(".") if part]
            yield "/".join(base) + ".py"
            for name in node.names:
                yield "/".join([*base, name.name]) + ".py"
                yield "/".join([*base, name.name, "__init__.py"])
            yield "/".join([*base, "__init__.py"])


def _is_on_demand(node: ast.AST) -> bool:
    """Whether what is imported there is for type checkers, or for somebody who calls that function."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _licence() -> bytes:
    for folder in (os.path.dirname(_PACKAGE), _PACKAGE):
        if os.path.isfile(os.path.join(folder, "LICENSE")):
            return _read(os.path.join(folder, "LICENSE"))
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = [path for path in files("minihttp-actions") or () if path.name == "LICENSE"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise MinihttpError("the LICENSE, which belongs to every copy, is not beside this installation")
    return _read(str(found[0].locate()))


def _recorded(folder: str) -> dict[str, str]:
    try:
        listed: dict[str, str] = json.loads(_read(os.path.join(folder, LIST)))["files"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{os.path.join(folder, LIST)} cannot be read") from None
    return listed


def _refuse_changes(folder: str, files: dict[str, bytes]) -> None:
    recorded = _recorded(folder)
    changed = []
    for name in {*recorded, *files}:
        path = os.path.join(folder, name)
        fine = (recorded.get(name), _digest(files.get(name, b"")))
        if os.path.exists(path) and _digest(_read(path)) not in fine:
            changed.append(path)
    for path in sorted(changed):
        note(f"changed since it was copied: {path}")
    if changed:
        raise MinihttpError("nothing was copied: put your changes elsewhere, or remove these files")


def _copy(folder: str, files: dict[str, bytes]) -> None:
    for name in _recorded(folder).keys() - files.keys():
        if os.path.exists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    digests = {name: _digest(data) for name, data in sorted(files.items())}
    listed = json.dumps({"version": __version__, "files": digests}, indent=1).encode() + b"\n"
    for name, data in {**files, LIST: listed}.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
