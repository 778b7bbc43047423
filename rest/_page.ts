/**
 * The page at `/`: it shows the API, lists users and adds some.
 *
 * @module
 */
import { page, pagePolicy } from "../http/_page.ts";
import { script } from "./_page_script.ts";

const endpoints = [
  ["GET", "/users<wbr>?limit=20<wbr>&amp;after=0<wbr>&amp;q=", "list"],
  ["POST", "/users", "create"],
  ["GET", "/users/{id}", "read"],
  ["PUT", "/users/{id}", "replace"],
  ["PATCH", "/users/{id}", "change"],
  ["DELETE", "/users/{id}", "delete"],
].map(([method, path, action]) =>
  `<tr><td><code>${method}</code></td><td><code>${path}</code></td><td>${action}</td></tr>`
);

const usersPage = page({
  title: "Users API",
  style: `
h1 { font-size: 1.5rem; }
form { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: end; }
label { display: grid; flex: 1 1 12rem; font-size: 0.875rem; }
input { font-size: 1rem; }
td { overflow-wrap: break-word; }
#find { margin-bottom: 0.75rem; }
#users td:nth-child(3) { overflow-wrap: anywhere; }
#users td:nth-child(4) { text-align: end; }
#status { min-height: 1.5em; }
@media (max-width: 36rem) { /* a user's email goes below the name */
  #list thead { position: absolute; clip-path: inset(50%); }
  #users tr { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; border-bottom: 1px solid var(--line); }
  #users td { border: 0; }
  #users td:nth-child(1), #users td:nth-child(4) { grid-row: 1 / 3; }
  #users td:nth-child(3) { grid-area: 2 / 2; padding-top: 0; }
  #users td:nth-child(4) { grid-column: 3; align-self: center; }
}
`,
  body: `<h1>Users API</h1>
<table>
<thead><tr><th>Method</th><th>Path</th><th>Action</th></tr></thead>
<tbody>
${endpoints.join("\n")}
</tbody>
</table>
<p>The full description: <a href="/openapi.json">openapi.json</a></p>
<h2>Add a user</h2>
<form id="add">
<label>Name <input name="name" autocomplete="off" required></label>
<label>Email <input name="email" autocomplete="off" required></label>
<button>Add</button>
</form>
<p id="status" role="status"></p>
<h2 id="heading">Users</h2>
<form id="find"><label>Search <input name="q" type="search" autocomplete="off"></label></form>
<!-- The roles are those of the elements. They are written down because browsers forget them where the rows become grids. -->
<table id="list" role="table" aria-labelledby="heading">
<thead role="rowgroup"><tr role="row"><th role="columnheader">Id</th><th role="columnheader">Name</th>
<th role="columnheader">Email</th><th role="columnheader"><span class="hidden-text">Action</span></th></tr></thead>
<tbody id="users" role="rowgroup"></tbody>
</table>
<p><button id="more" hidden>More</button></p>
<script src="/page.js" type="module"></script>`,
});

/** The page runs its own script, which may send requests to this server. */
const policy = pagePolicy({ "script-src": "'self'", "connect-src": "'self'" });

export function pageResponse(): Response {
  return new Response(usersPage, {
    headers: {
      "content-type": "text/html; charset=UTF-8",
      "content-security-policy": policy,
      "cache-control": "no-cache",
    },
  });
}

export function scriptResponse(): Response {
  const headers = { "content-type": "text/javascript; charset=UTF-8", "cache-control": "no-cache" };
  return new Response(script, { headers });
}
