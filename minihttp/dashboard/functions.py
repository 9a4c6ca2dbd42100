# SPDX-License-Identifier: MIT
"""Functions: what there is, how often it is called, and a form that runs one."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

from ..errors import HTTPError, MinihttpError
from ..tracebacks import describe
from ..values import encode_wire
from .html import Safe, join, tag
from .view import Page, View, code, facts, parse_fields, table

_MAX_LINES = 200
_NEVER: dict[str, Any] = {"calls": 0, "errors": 0, "p95Ms": 0.0}


def page(view: View, rest: list[str]) -> Page | None:
    if not rest:
        return _list(view)
    name = "/".join(rest)
    function = next((row for row in view.call("_app:functions") if row["name"] == name), None)
    return _one(view, function) if function is not None else None


def change(view: View, form: Any, rest: list[str]) -> Page:
    """Run a function; its result is the page itself."""
    name = "/".join(rest)
    function = next((row for row in view.call("_app:functions") if row["name"] == name), None)
    if function is None:
        raise HTTPError(404, f"There is no function {name!r}")
    args = _arguments(function, form)
    logging.getLogger("minihttp.audit").info("dashboard admin: ran %s request_id=%s", name, view.request.id)
    lines, began = _Lines(), time.perf_counter()
    logging.getLogger().addHandler(lines)
    try:
        shown = code(json.dumps(encode_wire(view.call(name, **args)), ensure_ascii=False, indent=2))
        head = tag("h2", "Result")
    except MinihttpError as error:
        head, shown = tag("h2", "Refused"), tag("p", str(error), class_="error", role="alert")
    except Exception as error:
        head, shown = tag("h2", f"{type(error).__name__}"), code(describe(error))
    finally:
        logging.getLogger().removeHandler(lines)
    took = tag("p", f"Took {(time.perf_counter() - began) * 1000:.1f} ms.", class_="muted")
    logged = [tag("h2", "Log lines"), code("\n".join(lines.lines))] if lines.lines else []
    return Page(name, join([head, shown, took, *logged, _form(view, function, args)]))


class _Lines(logging.Handler):
    """Collects what is logged in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.lines) < _MAX_LINES:
            self.lines.append(f"{record.levelname} {record.getMessage()}")


def _list(view: View) -> Page:
    rows, counted = [], {row["name"]: row for row in view.call("_app:calls")}
    for function in view.call("_app:functions"):
        calls = counted.get(function["name"], _NEVER)
        rows.append(
            (
                view.link(function["name"], "functions", *function["name"].split("/")),
                function["kind"],
                function["visibility"],
                ", ".join(_parameters(function)) or "–",
                f"{calls['calls']:,}",
                f"{calls['errors']:,}",
                f"{calls['p95Ms']:.2f} ms" if calls["calls"] else "–",
                _place(function),
            )
        )
    heads = ("Function", "Kind", "Visibility", "Arguments", "Calls", "Errors", "p95", "Where")
    empty = (
        "There are no functions. Name their modules in App(modules=[…]), or put them into the app's folder."
    )
    return Page(
        "Functions",
        join(
            [
                table(heads, rows, empty, [4, 5, 6]),
                tag("p", "Calls are counted since the start.", class_="muted"),
            ]
        ),
    )


def _place(function: dict[str, Any]) -> Safe:
    path, _, line = function["location"].rpartition(":")
    return tag("code", f"{path.rpartition('/')[2]}:{line}", title=function["location"])


def _parameters(function: dict[str, Any]) -> dict[str, Any]:
    args = function["args"]
    found: dict[str, Any] = args["value"] if args and args.get("type") == "object" else {}
    return found


def _one(view: View, function: dict[str, Any]) -> Page:
    name = function["name"]
    calls = next((row for row in view.call("_app:calls") if row["name"] == name), _NEVER)
    about = facts(
        [
            ("Kind", f"{function['visibility']} {function['kind']}"),
            ("Where", tag("code", function["location"])),
            ("About", function["about"] or None),
            ("Calls since the start", f"{calls['calls']:,}, {calls['errors']:,} of them failed"),
            ("Log", view.link("lines of this function", "logs", function=name)),
        ]
    )
    validators = [
        tag("h2", "Arguments"),
        code(json.dumps(function["args"], indent=2)),
        tag("h2", "Result"),
        code(json.dumps(function["returns"], indent=2)),
    ]
    return Page(function["name"], join([about, _form(view, function, {}), *validators]))


def _form(view: View, function: dict[str, Any], given: dict[str, Any]) -> Safe:
    if not view.may_write:
        return tag(
            "p", "To run functions from here, start the server with --dashboard write.", class_="muted"
        )
    parameters = _parameters(function)
    if parameters:
        inputs = [_input(name, field, given.get(name)) for name, field in parameters.items()]
    else:
        text = json.dumps(encode_wire(given), ensure_ascii=False)
        inputs = [
            tag("label", "Arguments as JSON", tag("textarea", text, name="args", rows=4), class_="block")
        ]
    action = view.path("functions", *function["name"].split("/"))
    return join(
        [
            tag("h2", "Run"),
            view.form(action, inputs, tag("button", f"Run {function['kind']}"), class_="stack"),
        ]
    )


def _input(name: str, field: dict[str, Any], given: Any) -> Safe:
    kind, required = field["fieldType"]["type"], not field["optional"]
    label = f"{name} ({kind}{'' if required else ', optional'})"
    if kind in ("string", "id"):
        return tag(
            "label",
            label,
            tag("input", name=f"text:{name}", value=given or "", required=required and kind == "id"),
            class_="block",
        )
    if kind == "boolean":
        return tag(
            "label", tag("input", type="checkbox", name=f"true:{name}", checked=given is True), f" {label}"
        )
    text = "" if given is None else json.dumps(encode_wire(given), ensure_ascii=False)
    return tag(
        "label",
        f"{label}, as JSON",
        tag("input", name=f"json:{name}", value=text, required=required),
        class_="block",
    )


def _arguments(function: dict[str, Any], form: Any) -> dict[str, Any]:
    parameters = _parameters(function)
    if not parameters:
        value = parse_fields(str(form.get("args") or "{}"))
        if not isinstance(value, dict):
            raise HTTPError(400, "The arguments are a JSON object")
        return value
    args: dict[str, Any] = {}
    for name, field in parameters.items():
        text, number = form.get(f"text:{name}"), form.get(f"json:{name}")
        if field["fieldType"]["type"] == "boolean":
            args[name] = form.get(f"true:{name}") is not None
        elif text or (text is not None and not field["optional"]):
            args[name] = str(text)
        elif number:
            args[name] = parse_fields(str(number))
    return args
