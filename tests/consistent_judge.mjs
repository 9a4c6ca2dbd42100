// SPDX-License-Identifier: MIT
// Consistent queries through two servers, judged by Convex's own HTTP client from npm, whose requests a load
// balancer would send to either: node consistent_judge.mjs <<< '{"urls": […]}'
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { urls, modules } = JSON.parse(readFileSync(0, "utf8"));
const load = (name) => import(pathToFileURL(`${modules}/convex/dist/esm/${name}/index.js`).href);
const { ConvexHttpClient } = await load("browser");
const { anyApi: api } = await load("server");

let sent = 0;
const balanced = (url, options) => fetch(url.replace(urls[0], urls[sent++ % 2]), options);
const client = new ConvexHttpClient(urls[0], { fetch: balanced });
const seen = [];
await client.mutation(api.app.add, { n: 1 });
seen.push(await client.consistentQuery(api.app.numbers, {}));
await client.mutation(api.app.add, { n: 2 });
seen.push(await client.consistentQuery(api.app.numbers, {}));
seen.push(await client.consistentQuery(api.app.numbers, {}));
seen.push(await client.query(api.app.numbers, {}));
console.log(JSON.stringify({ seen }));
