"""A project that holds minihttp as a part of itself: nothing is installed.

python -m minihttp vendor examples/vendored/acme/vendor    # run again, it updates
cd examples/vendored && python -m acme.vendor.minihttp serve acme.app:app
"""

from acme.vendor.minihttp import App, HttpRouter, Schema, Table, internal_mutation, internal_query, v

schema = Schema(visits=Table({"who": v.string()}))
http = HttpRouter()


@internal_mutation(args={"who": v.string()})
def note(ctx, who):
    ctx.db.insert("visits", {"who": who})


@internal_query(args={})
def count(ctx):
    return len(ctx.db.query("visits").take(1000))


@http.get("/hello/{who}")
def hello(ctx, request):
    ctx.run_mutation(note, who=request.path_params["who"])
    return {"visits": ctx.run_query(count)}


app = App(http, schema=schema, modules=[__name__], data="data")
