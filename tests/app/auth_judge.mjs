// SPDX-License-Identifier: MIT
// Identity, judged by Convex's own HTTP client from npm: node auth_judge.mjs <<< '{"url": …}'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { url, modules, adminKey, token, refused } = JSON.parse(readFileSync(0, "utf8"));
const load = (name) => import(pathToFileURL(`${modules}/convex/dist/esm/${name}/index.js`).href);
const { ConvexHttpClient } = await load("browser");
const { anyApi: api } = await load("server");

const client = new ConvexHttpClient(url);
assert.equal(await client.query(api.who.me, {}), null);
client.setAuth(token);
const identity = await client.query(api.who.me, {});
assert.equal(identity.name, "Alice");
assert.equal(identity.tokenIdentifier, "https://issuer.example.com/1|alice");
assert.equal(identity.emailVerified, true);
assert.equal(await client.mutation(api.who.note, {}), "alice");
assert.deepEqual(await client.action(api.who.act, {}), ["alice", "alice", "alice"]);
client.clearAuth();
assert.equal(await client.query(api.who.me, {}), null);

for (const { token, code, text } of refused) {
  client.setAuth(token);
  await assert.rejects(client.query(api.who.me, {}), (error) => {
    const said = JSON.parse(error.message);
    assert.equal(said.code, code);
    assert.ok(said.message.includes(text), said.message);
    return true;
  });
}

const admin = new ConvexHttpClient(url);
admin.setAdminAuth(adminKey, { issuer: "https://me", subject: "bob", name: "Bób", emailVerified: true });
assert.equal((await admin.query(api.who.me, {})).tokenIdentifier, "https://me|bob");
assert.equal((await admin.query(api.who.me, {})).name, "Bób");
assert.equal(await admin.query(api.who.subject, {}), "bob");
console.log(JSON.stringify({ refused: refused.length }));
