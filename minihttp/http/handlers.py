# SPDX-License-Identifier: MIT
"""Whether what somebody registers can be a handler: a mistake shows at registration, not at the first call.

Every refusal says what was given, where that is written, and what to write instead. Knows handlers and
providers by their shape only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import RouteError

_VAR_POSITIONAL, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x20, 0x80, 0x200  # of `code.co_flags`
_FUNCTION_KINDS = ("query", "mutation", "action")


def check_handler(
    handler: Callable[..., Any], where: str, takes: tuple[str, ...] = ("ctx", "request")
) -> None:
    """Refuse a handler or a hook that cannot be called as `handler(ctx, request)` and return a response.

    Args:
        where: method and path, or "before" or "after", for the message.
        takes: the names of what it is called with.

    Raises:
        RouteError: for an `async def`, a generator, a query, mutation or action, and for other parameters.
    """
    kind = getattr(handler, "kind", None)
    if kind in _FUNCTION_KINDS:
        raise RouteError(
            f"{where}: {handler!r} cannot be a handler: write def handler(ctx, request) and call it there,"
            f" as in ctx.run_{kind}({getattr(handler, 'name', 'f')}, …)"
        )
    if isinstance(handler, partial) and _is_async(handler):
        raise RouteError(f"{where}: {handler.func!r} is an async def; handlers run in threads: write def")
    call = handler if hasattr(handler, "__code__") else getattr(handler, "__call__", handler)  # noqa: B004
    code = getattr(call, "__code__", None)
    if code is None or isinstance(handler, type):
        return  # of a partial, or written in C: its first call tells
    problem = _problem(call, code, where, takes)
    if problem:
        name = getattr(handler, "__name__", type(handler).__name__)
        raise RouteError(f"{where}: the handler {name} ({code.co_filename}:{code.co_firstlineno}) {problem}")


def _problem(call: Any, code: Any, where: str, takes: tuple[str, ...]) -> str:
    """What is wrong with a function as a handler, or ""."""
    if code.co_flags & (_COROUTINE | _ASYNC_GENERATOR):
        return "is an async def; handlers run in threads: write def"
    if code.co_flags & _GENERATOR:
        return "yields, so it returns no response: return Response(generator()) instead"
    swapped = takes[1:] + takes[:1]  # (request, ctx): each is there, and not where it is given
    if not _takes(call, code, len(takes)) or code.co_varnames[: len(takes)] == swapped:
        given = ", ".join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        return f"takes ({given}); it must take ({', '.join(takes)})"
    names = code.co_varnames[: code.co_argcount]
    segment = None if takes[1] in names else next((n for n in names if f"/{{{n}}}" in where), None)
    if segment is None:
        return ""
    return (
        f"takes {segment}; it must take ({', '.join(takes)}): the segment is request.path_params[{segment!r}]"
    )


def _is_async(handler: Any) -> bool:
    while isinstance(handler, partial):
        handler = handler.func
    code = getattr(handler, "__code__", None)
    return code is not None and bool(code.co_flags & (_COROUTINE | _ASYNC_GENERATOR))


def _takes(call: Any, code: Any, count: int) -> bool:
    bound = int(getattr(call, "__self__", None) is not None)
    most = code.co_argcount - bound
    least = most - len(call.__defaults__ or ())
    named_only = set(code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount])
    is_filled = named_only <= set(call.__kwdefaults__ or ())
    return is_filled and least <= count and (most >= count or bool(code.co_flags & _VAR_POSITIONAL))
