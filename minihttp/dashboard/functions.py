# SPDX-License-Identifier: MIT
"""Functions: what there is, how often it is called, and a form that runs one."""

from __future__ import annotations

import json
import time
from typing import Any

from ..data.walks import fields_of, type_text
from ..errors import HTTPError
from ..values import encode_wire
from .html import Safe, join, tag
from .pieces import code, entry, facts, options, parse_fields, table, validator
from .view import Page, Redirect, View

_NEVER: dict[str, Any] = {"calls": 0, "errors": 0, "p95Ms": 0.0}
_SWITCH = (("", "not given"), ("true", "true"), ("false", "false"))


def _run(view: View, form: Any, *rest: str) -> Redirect:
    """Run a function, as `run` of the command line does; its result is shown on the page of the function."""
    name = "/".join(rest)
    function = _named(view, name)
    if function is None:
        raise HTTPError(404, f"There is no function {name!r}")
    args = json.dumps(encode_wire(_arguments(function, form)), ensure_ascii=False)
    text = str(form.get("identity") or "")
    identity = parse_fields(text) if text.strip() else None
    if identity is not None and not isinstance(identity, dict):
        raise HTTPError(400, 'An identity is an object, such as {"subject": "u1"}')
    began = time.perf_counter()
    done = view.call("_app:run", name=name, args=args, identity=identity)
    shown = _outcome(view, done, (time.perf_counter() - began) * 1000, args)
    asked = {"form": "json"} if form.get("args") is not None else {}
    return Redirect(view.path("functions", *rest, **asked), f"ran {name}", shown, is_once=False)


def _outcome(view: View, done: dict[str, Any], took_ms: float, args: str) -> Safe:
    if done["error"] is not None:
        head, shown = tag("h2", "It failed"), code(done["error"])
    else:
        head = tag("h2", "Result")
        shown = code(json.dumps(encode_wire(done["result"]), ensure_ascii=False, indent=2))
    took = tag("p", f"Took {took_ms:.1f} ms, with ", tag("code", args), class_="muted")
    logged = [tag("h2", "Log lines"), code("\n".join(done["logs"]))] if done["logs"] else None
    return tag("section", head, shown, took, logged, class_="outcome", aria_label="Outcome")


def _named(view: View, name: str) -> dict[str, Any] | None:
    return next((row for row in view.call("_app:functions") if row["name"] == name), None)


def _list(view: View) -> Page:
    rows, counted = [], {row["name"]: row for row in view.call("_app:calls")}
    wanted = view.asked("name")
    every = view.call("_app:functions")
    for function in every:
        if wanted.lower() not in function["name"].lower():
            continue
        calls = counted.get(function["name"], _NEVER)
        errors = f"{calls['errors']:,}"
        rows.append(
            (
                view.link(function["name"], "functions", *function["name"].split("/")),
                function["kind"],
                function["visibility"],
                ", ".join(fields_of(function["args"])) or tag("span", "none", class_="muted"),
                f"{calls['calls']:,}",
                tag("b", errors, class_="bad") if calls["errors"] else errors,
                f"{calls['p95Ms']:.2f} ms" if calls["calls"] else "–",
                _place(function),
            )
        )
    chooser = view.chooser(["functions"], entry("name", "Name", wanted, type="search"))
    heads = ("Function", "Kind", "Visibility", "Arguments", "Calls", "Errors", "p95", "Where")
    empty = (
        "No function has such a name."
        if every
        else "No functions yet. Name their modules in App(modules=[…]), or put them into the app's folder."
    )
    note = tag("p", "Calls are counted since the start, in this process.", class_="muted")
    return Page("Functions", join([chooser if every else None, table(heads, rows, empty, [4, 5, 6]), note]))


def _place(function: dict[str, Any]) -> Safe:
    path, _, line = function["location"].rpartition(":")
    return tag("code", f"{path.rpartition('/')[2]}:{line}", title=function["location"])


def _one(view: View, *rest: str) -> Page | None:
    name = "/".join(rest)
    function = _named(view, name)
    if function is None:
        return None
    calls = next((row for row in view.call("_app:calls") if row["name"] == name), _NEVER)
    about = facts(
        [
            ("Kind", f"{function['visibility']} {function['kind']}"),
            ("Where", tag("code", function["location"])),
            ("About", function["about"] or None),
            ("Calls since the start", f"{calls['calls']:,}, {calls['errors']:,} of them failed"),
            ("p95", f"{calls['p95Ms']:.2f} ms" if calls["calls"] else None),
            ("Log", view.link("its log lines", "logs", function=name)),
            ("Jobs", view.link("its jobs", "jobs", name=name) if function["kind"] != "query" else None),
        ]
    )
    beside = [
        tag("h2", "Arguments"),
        validator(function["args"]),
        tag("h2", "Result"),
        validator(function["returns"]),
    ]
    halves = tag("div", tag("div", _form(view, function)), tag("div", beside), class_="beside")
    return Page(name, join([about, halves]), trail=(("Functions", "functions"),))


def _form(view: View, function: dict[str, Any]) -> Safe:
    title = tag("h2", "Run")
    if not view.may_write:
        said = "To run functions from here, start the server with --dashboard write."
        return join([title, tag("p", said, class_="muted")])
    place = ("functions", *function["name"].split("/"))
    parameters = fields_of(function["args"])
    as_json = view.asked("form") == "json" or not (parameters or function["args"]["type"] == "object")
    if as_json:
        area = tag("textarea", "\n", view.kept("args", "{}"), name="args", rows=6, spellcheck="false")
        inputs = [tag("label", "Arguments as JSON", area, class_="block")]
    else:
        inputs = [_input(view, name, field) for name, field in parameters.items()]
    other = view.link("As fields", *place) if as_json else view.link("As JSON", *place, form="json")
    caller = tag(
        "input", name="identity", value=view.kept("identity", ""), placeholder='nobody, or {"subject": "u1"}'
    )
    run = tag("button", f"Run this {function['kind']}")
    form = view.form(
        view.path(*place, **({"form": "json"} if as_json else {})),
        inputs or tag("p", "It takes no arguments.", class_="muted"),
        tag("label", "Called by, as JSON", caller, class_="block"),
        run,
    )
    return join([title, form, tag("p", other, class_="muted") if parameters else None])


def _input(view: View, name: str, field: dict[str, Any]) -> Safe:
    """A field for an argument, by its validator; what has no better one takes JSON."""
    kind, required = field["fieldType"], not field["optional"]
    literals = _literals(kind)
    label = f"{name} ({type_text(kind)}{'' if required else ', optional'})"
    if literals or kind["type"] == "boolean":
        choices = [(json.dumps(value), str(value)) for value in literals] or list(_SWITCH[1:])
        values = choices if required else [_SWITCH[0], *choices]
        chooser = options(f"json:{name}", label, values, view.kept(f"json:{name}", ""))
        return tag("div", chooser, class_="block")
    if kind["type"] in ("string", "id"):
        sent = view.kept(f"text:{name}", "")
        is_needed = required and kind["type"] == "id"
        box = tag("input", name=f"text:{name}", value=sent, required=is_needed)
    else:
        how = "numeric" if kind["type"] in ("number", "float64", "bigint") else None
        sent = view.kept(f"json:{name}", "")
        box = tag("input", name=f"json:{name}", value=sent, required=required, inputmode=how)
        label += "" if how else ", as JSON"
    return tag("label", label, box, class_="block")


def _literals(kind: dict[str, Any]) -> list[Any]:
    """The values of a literal, or of a union of nothing but literals that JSON can say."""
    parts = kind["value"] if kind["type"] == "union" else [kind]
    plain = all(part["type"] == "literal" and not isinstance(part["value"], dict) for part in parts)
    return [part["value"] for part in parts] if plain else []


def _arguments(function: dict[str, Any], form: Any) -> dict[str, Any]:
    text = form.get("args")
    if text is not None:
        value = parse_fields(str(text) or "{}")
        if not isinstance(value, dict):
            raise HTTPError(400, "The arguments are a JSON object")
        return value
    args: dict[str, Any] = {}
    for name, field in fields_of(function["args"]).items():
        text, as_json = form.get(f"text:{name}"), form.get(f"json:{name}")
        if text or (text is not None and not field["optional"]):
            args[name] = str(text)
        elif as_json:
            try:
                args[name] = parse_fields(str(as_json))
            except HTTPError as error:
                raise HTTPError(error.status, f"{name}: {error}") from None
    return args


PAGES = {"": _list, "**": _one}
CHANGES = {"**": _run}
