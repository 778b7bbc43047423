/**
 * The page at `/`: it shows the API, lists users and adds some.
 *
 * @module
 */
import { page, pagePolicy } from "../http/_page.ts";
import { script } from "./_page_script.ts";

const endpoints = [
  ["GET", "/users?limit=20&amp;after=0&amp;q=", "list"],
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
input, button { font: inherit; padding: 0.4rem 0.6rem; }
#status { min-height: 1.5em; }
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
<h2>Users</h2>
<form id="find"><label>Search <input name="q" type="search"></label></form>
<table>
<thead><tr><th>Id</th><th>Name</th><th>Email</th><th></th></tr></thead>
<tbody id="users"></tbody>
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
