# SPDX-License-Identifier: MIT
"""A second module of the judged app, in a directory of its own and with a default export."""

from minihttp import query


@query
def default(ctx):
    return "the default"


@query
def other(ctx):
    return "the other"
