// SPDX-License-Identifier: MIT
// Convex's own HTTP client from npm, unmodified, against a running server: node judge.mjs URL ADMIN_KEY
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const [url, adminKey, modules] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${modules}/convex/dist/esm/${name}/index.js`).href);
const { ConvexHttpClient } = await load("browser");
const { ConvexError } = await load("values");
const { anyApi: api } = await load("server");

const client = new ConvexHttpClient(url);
const judged = [];
const judge = async (what, test) => {
  await test();
  judged.push(what);
};

await judge("queries, mutations, actions", async () => {
  const id = await client.mutation(api.messages.send, { body: "hi", author: "ada" });
  const [message] = await client.query(api.messages.list_messages, { author: "ada" });
  assert.equal(message._id, id);
  assert.equal(message.body, "hi");
  assert.equal(typeof message._creationTime, "number");
  assert.equal((await client.query(api.messages.get, { id }))._id, id);
  assert.equal(await client.action(api.messages.act, { value: "x" }), "x");
});

await judge("every value type, there and back", async () => {
  const values = [
    null, true, false, 0, -0, 1, -1.5, 1e21, 5e-324, NaN, Infinity, -Infinity,
    0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n),
    "", "é", "\uFFFD", "😀", "a\0b", "$x", '{"$integer": 1}',
    new Uint8Array([]).buffer, new Uint8Array([0, 1, 255]).buffer,
    [], [[], [null, 1n]], {}, { a: 1, b: { c: [2n] } },
  ];
  for (const value of values) {
    assert.deepEqual(await client.query(api.messages.echo, { value }), value);
    const id = await client.mutation(api.messages.send, { body: value });
    assert.deepEqual((await client.query(api.messages.get, { id })).body, value);
  }
  assert.ok(Object.is(await client.query(api.messages.echo, { value: -0 }), -0));
  assert.deepEqual(await client.query(api.messages.echo_all, { a: 1, b: undefined }), { a: 1 });
});

await judge("directories and default exports", async () => {
  assert.equal(await client.query("dir/messages"), "the default");
  assert.equal(await client.query("dir/messages:other"), "the other");
});

await judge("ConvexError data", async () => {
  for (const data of ["sold out", { code: "SOLD_OUT", left: 0n }, null, [1]]) {
    await assert.rejects(client.mutation(api.messages.refuse, { data }), (error) => {
      assert.ok(error instanceof ConvexError);
      assert.deepEqual(error.data, data);
      return true;
    });
  }
});

await judge("errors", async () => {
  const says = (pattern) => (error) => {
    assert.ok(!(error instanceof ConvexError));
    assert.match(error.message, pattern);
    return true;
  };
  await assert.rejects(client.query(api.messages.nope, {}), says(/Could not find public function for 'messages:nope'/));
  await assert.rejects(client.query(api.messages.secret, {}), says(/Could not find public function for 'messages:secret'/));
  await assert.rejects(client.mutation(api.messages.count, {}), says(/missing the required field `name`/));
  await assert.rejects(client.query(api.messages.crash, {}), says(/^\[Request ID: [0-9a-f]{16}\] Server Error$/));
});

await judge("parallel mutations", async () => {
  const name = "parallel";
  const values = await Promise.all(
    Array.from({ length: 30 }, () => client.mutation(api.messages.count, { name }, { skipQueue: true })),
  );
  assert.deepEqual(values.sort((a, b) => a - b), Array.from({ length: 30 }, (_, i) => i + 1));
  const queued = await Promise.all([1, 2, 3].map(() => client.mutation(api.messages.count, { name })));
  assert.deepEqual(queued, [31, 32, 33]);
});

await judge("consistent queries", async () => {
  const name = "consistent";
  const consistent = new ConvexHttpClient(url);
  await client.mutation(api.messages.count, { name });
  assert.equal(await consistent.consistentQuery(api.messages.counted, { name }), 1);
  await client.mutation(api.messages.count, { name });
  assert.equal(await consistent.consistentQuery(api.messages.counted, { name }), 1);
  assert.equal(await client.query(api.messages.counted, { name }), 2);
});

await judge("pages, as usePaginatedQuery asks for them", async () => {
  const page = (options) => client.query(api.messages.page, { paginationOpts: { numItems: 3, cursor: null, id: 1, ...options } });
  const bodies = (result) => result.page.map((message) => message.body);
  const all = [];
  const cursors = [null];
  for (;;) {
    const result = await page({ cursor: cursors.at(-1) });
    all.push(...bodies(result));
    cursors.push(result.continueCursor);
    if (result.isDone) break;
  }
  const again = [];
  for (let i = 0; i + 1 < cursors.length; i++) {
    const result = await page({ cursor: cursors[i], endCursor: cursors[i + 1], numItems: 1 });
    assert.equal(result.continueCursor, cursors[i + 1]);
    again.push(...bodies(result));
  }
  assert.deepEqual(again, all);
  // A page that cannot be read whole comes in two halves.
  const whole = { cursor: null, endCursor: cursors.at(-1) };
  const cut = await page({ ...whole, maximumRowsRead: 5 });
  assert.equal(cut.pageStatus, "SplitRequired");
  const halves = [
    await page({ cursor: null, endCursor: cut.splitCursor }),
    await page({ cursor: cut.splitCursor, endCursor: cut.continueCursor }),
  ];
  assert.deepEqual(halves.flatMap(bodies), all);
  await assert.rejects(page({ cursor: "garbled" }), /Cursor/);
  await assert.rejects(page({ numItems: 0 }), /at least 1 document/);
});

await judge("HTTP actions and the functions behind them", async () => {
  const send = (method, path, body, headers) => fetch(url + path, { method, body, headers });
  const json = { "Content-Type": "application/json" };
  const sent = await send("POST", "/http/messages", JSON.stringify({ body: { n: 1.5 }, author: "http" }), json);
  assert.equal(sent.status, 201);
  const { id } = await sent.json();
  assert.deepEqual((await client.query(api.messages.get, { id })).body, { n: 1.5 });
  const mine = await client.mutation(api.messages.send, { body: "é😀" });
  const read = await send("GET", `/http/messages/${mine}`);
  assert.equal(read.headers.get("Content-Type"), "application/json");
  assert.deepEqual(await read.json(), await client.query(api.messages.get, { id: mine }));
  const head = await send("HEAD", `/http/messages/${mine}`);
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const raw = await send("PUT", "/http/raw/a/b?q=%C3%A9+%2B", new Blob([bytes], { type: "image/png" }));
  assert.deepEqual(new Uint8Array(await raw.arrayBuffer()), bytes);
  assert.equal(raw.headers.get("Content-Type"), "image/png");
  const stream = new ReadableStream({ start: (it) => (it.enqueue(bytes), it.enqueue(bytes), it.close()) });
  const streamed = await fetch(`${url}/http/raw/x`, { method: "PUT", body: stream, duplex: "half" });
  assert.equal((await streamed.arrayBuffer()).byteLength, 512);
  const broken = await send("GET", "/http/caller", undefined, { Authorization: "Bearer helloworld" });
  assert.deepEqual(await broken.json(), { raw: "Bearer helloworld", error: "NoAuthProvider" });
  assert.deepEqual(await (await send("GET", "/http/caller")).json(), { identity: null });
  const crashed = await send("GET", "/http/crash");
  assert.equal(crashed.status, 500);
  assert.doesNotMatch(await crashed.text(), /hunter2/);
  assert.equal((await send("GET", "/http/nowhere")).status, 404);
  assert.equal((await send("POST", "/http/messages", "{", json)).status, 400);
});

await judge("the admin", async () => {
  const admin = new ConvexHttpClient(url);
  admin.setAdminAuth(adminKey);
  assert.equal(await admin.query(api.messages.secret, {}), "only for the admin");
  assert.equal(await admin.function(api.messages.secret, undefined, {}), "only for the admin");
  await assert.rejects(client.function(api.messages.secret, undefined, {}));
  const wrong = new ConvexHttpClient(url);
  wrong.setAdminAuth("wrong");
  await assert.rejects(wrong.query(api.messages.secret, {}), /InvalidAuthHeader/);
  const user = new ConvexHttpClient(url);
  user.setAuth("some.jwt.here");
  await assert.rejects(user.query(api.messages.echo, { value: 1 }), /NoAuthProvider/);
});

console.log(JSON.stringify(judged));
