# SPDX-License-Identifier: MIT
"""The app that the crash test kills: each mutation leaves a trace under the caller's key."""

from minihttp import App, ApplicationError, HttpRouter, Schema, Table, mutation, query, v

schema = Schema(
    notes=Table({"key": v.string(), "round": v.number()}).index("by_round", ["round"]),
    halves=Table({"key": v.string(), "round": v.number(), "side": v.string()}).index("by_round", ["round"]),
    transfers=Table({"key": v.string(), "round": v.number()}).index("by_round", ["round"]),
    accounts=Table({"name": v.string(), "cents": v.number()}).index("by_name", ["name"]),
)
KEY = {"key": v.string(), "round": v.number()}


@mutation(args={"names": v.array(v.string()), "cents": v.number()})
def open_accounts(ctx, names, cents):
    for name in names:
        ctx.db.insert("accounts", {"name": name, "cents": cents})


@mutation(args=KEY)
def note(ctx, key, round):
    ctx.db.insert("notes", {"key": key, "round": round})


@mutation
def upload_url(ctx):
    return ctx.storage.generate_upload_url()


@mutation(args=KEY)
def pair(ctx, key, round):
    for side in ("left", "right"):
        ctx.db.insert("halves", {"key": key, "round": round, "side": side})


@mutation(args={**KEY, "source": v.string(), "target": v.string(), "cents": v.number()})
def transfer(ctx, key, round, source, target, cents):
    """Move money; a refusal comes last, so that there is something to undo."""
    ctx.db.insert("transfers", {"key": key, "round": round})
    balances = []
    for name, change in ((target, cents), (source, -cents)):
        account = ctx.db.query("accounts").with_index("by_name", lambda q, n=name: q.eq("name", n)).unique()
        ctx.db.patch(account["_id"], {"cents": account["cents"] + change})
        balances.append(account["cents"] + change)
    if min(balances) < 0:
        raise ApplicationError("overdrawn")


@query(args={"round": v.number()})
def state(ctx, round):
    """What one round left, and every balance."""
    found = {
        table: [
            row["key"] for row in ctx.db.query(table).with_index("by_round", lambda q: q.eq("round", round))
        ]
        for table in ("notes", "halves", "transfers")
    }
    return {**found, "accounts": {row["name"]: row["cents"] for row in ctx.db.query("accounts")}}


app = App(HttpRouter(), schema=schema, modules={"bank": __name__})
