# SPDX-License-Identifier: MIT
"""What MkDocs makes of these pages beside rendering them.

Pages that lie elsewhere in the repository are taken in; links to source files become plain text, since the
site has no sources; `<!-- help -->`, `<!-- settings -->` and `<!-- statuses -->` become what the code says.
At the end each page is put beside its HTML as Markdown, which is what `llms.txt` points to.
"""

from __future__ import annotations

import argparse
import inspect
import os
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ["COLUMNS"] = "100"  # argparse breaks lines by it

FOREIGN = {  # in the site -> in the repository
    "ARCHITECTURE.md": "ARCHITECTURE.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "RESULTS.md": "benchmarks/RESULTS.md",
}
_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    sys.path.insert(0, str(ROOT))  # MkDocs takes back what a hook does to it while it is loaded
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for page, path in FOREIGN.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    where = FOREIGN.get(page.file.src_uri, "docs/" + page.file.src_uri)
    made = re.sub(r"<!-- (help|settings|limits|statuses) -->", lambda found: MAKERS[found[1]](), markdown)
    return _LINK.sub(lambda found: _link(found, where, page.file.src_uri), made)


def on_post_build(config: Any) -> None:
    site = Path(config["site_dir"])
    for path in (ROOT / "docs").rglob("*.md"):
        there = site / path.relative_to(ROOT / "docs")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, there)
    for page, path in FOREIGN.items():
        shutil.copyfile(ROOT / path, site / page)


def _link(found: re.Match[str], where: str, page: str) -> str:
    """A link of the repository as one of the site."""
    image, text, target = found.groups()
    path, _, anchor = target.partition("#")
    if not path or re.match("[a-z]+:", target):
        return found[0]
    there = posixpath.normpath(posixpath.join(posixpath.dirname(where), path))
    inside = {own: name for name, own in FOREIGN.items()}.get(there)
    if inside is None and there.startswith("docs/"):
        inside = there.removeprefix("docs/")
        if (ROOT / there).is_dir():
            return text
    if inside is None:
        return text
    relative = posixpath.relpath(inside, posixpath.dirname(page) or ".")
    return f"{image}[{text}]({relative}{'#' if anchor else ''}{anchor})"


# ---------------------------------------------------------------- what the code says


def command_line() -> str:
    """`--help` of every verb, and of every verb below it."""
    from minihttp import cli

    name = "python -m minihttp"
    parts = [f"```text\n{cli._parser(['--help']).format_help().rstrip()}\n```\n"]
    for verb in cli.verbs():  # a parser has the flags of one verb
        parts += _below(cli._parser([verb]), name)
    return "\n".join(parts)


def _parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    parser.prog = name
    verb = " ".join(name.split()[3:])
    yield f"\n{'##' if ' ' not in verb else '###'} {verb}\n"
    yield f"```text\n{parser.format_help().rstrip()}\n```\n"
    yield from _below(parser, name)


def _below(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from _parsers(below, f"{name} {verb}")


def settings() -> str:
    """Every setting that is no limit."""
    from minihttp.app.options import APP_OPTIONS
    from minihttp.cli._settings import LIMITS, SETTINGS

    lines = ["| setting | in code | default | what it is |", "|---|---|---|---|"]
    for name, option in SETTINGS.items():
        if not name.startswith(LIMITS):
            in_code = f"`App({name}=…)`" if name in APP_OPTIONS else ""
            lines.append(f"| `{name}` | {in_code} | {_shown(option.default)} | {option.help} |")
    for name, option in APP_OPTIONS.items():
        if not option.convert:
            lines.append(f"| – | `App({name}=…)` | {_shown(option.default)} | {option.help} |")
    return "\n".join(lines)


def limits() -> str:
    """Every limit, with its reason as `limits.py` gives it."""
    from minihttp import limits as module

    lines = ["| limit | default | reason |", "|---|---|---|"]
    source = inspect.getsource(module.Limits)
    above = ""
    for line in source.splitlines():
        text = line.strip()
        if text.startswith("# --"):
            above = ""
        elif text.startswith("#"):
            above = f"{above} {text[1:].strip()}".strip()
        elif found := re.match(r"([a-z_]+): (?:int|float) = [^#]*(?:# *(.*))?", text):
            value = getattr(module.DEFAULT_LIMITS, found[1])
            lines.append(f"| `{found[1]}` | {value:,} | {_cell(found[2] or above)} |")
            above = ""
    return "\n".join(lines)


def statuses() -> str:
    """Every error of `errors.py` that has a status."""
    from minihttp import errors

    lines = ["| status | error | when |", "|---|---|---|"]
    found = [
        ("as said" if issubclass(kind, errors.HTTPError) else str(kind.status), name, kind)
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and isinstance(getattr(kind, "status", None), int)
    ]
    for status, name, kind in sorted(found, key=lambda row: row[:2]):
        first = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        lines.append(f"| {status} | `{name}` | {_cell(first)} |")
    return "\n".join(lines)


def _shown(default: Any) -> str:
    if default is None or default in ("", (), []):
        return "–"
    return f"`{default}`" if isinstance(default, (str, int, float)) else "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


MAKERS = {"help": command_line, "settings": settings, "limits": limits, "statuses": statuses}
