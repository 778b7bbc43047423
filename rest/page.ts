/**
 * The page at `/`: shows the API, lists users and adds some.
 *
 * @module
 */

/** Only this server's script runs, whatever a user's name may bring in. */
export const PAGE_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; " +
  "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const rows = [
  ["GET", "/users?limit=20&amp;after=0&amp;q=", "list"],
  ["POST", "/users", "create"],
  ["GET", "/users/{id}", "get"],
  ["PUT", "/users/{id}", "replace"],
  ["PATCH", "/users/{id}", "change"],
  ["DELETE", "/users/{id}", "delete"],
].map(([method, path, what]) =>
  `<tr><td><code>${method}</code></td><td><code>${path}</code></td><td>${what}</td></tr>`
);

export const page = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Users API</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 48rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.125rem; margin-top: 2rem; }
table { width: 100%; border-collapse: collapse; }
th { text-align: start; font-weight: 500; font-size: 0.875rem; opacity: 0.7; }
th, td { padding: 0.4rem 0.5rem; border-bottom: 1px solid color-mix(in srgb, currentcolor 15%, transparent);
  overflow-wrap: anywhere; }
form { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: end; }
label { display: grid; flex: 1 1 12rem; font-size: 0.875rem; }
input, button { font: inherit; padding: 0.4rem 0.6rem; }
#said { min-height: 1.5em; }
</style>
<h1>Users API</h1>
<table>
<thead><tr><th>Method</th><th>Path</th><th></th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>
<p>All of it: <a href="/openapi.json">openapi.json</a></p>
<h2>Add a user</h2>
<form id="add">
<label>Name <input name="name" autocomplete="off" required></label>
<label>Email <input name="email" autocomplete="off" required></label>
<button>Add</button>
</form>
<p id="said" role="status"></p>
<h2>Users</h2>
<form id="find"><label>Search <input name="q" type="search"></label></form>
<table>
<thead><tr><th>Id</th><th>Name</th><th>Email</th><th></th></tr></thead>
<tbody id="users"></tbody>
</table>
<p><button id="more" hidden>More</button></p>
<script src="/page.js" type="module"></script>
`;

export const script = `const users = document.querySelector("#users");
const said = document.querySelector("#said");
const more = document.querySelector("#more");
const add = document.querySelector("#add");
const find = document.querySelector("#find");
let next = "";

async function call(path, init) {
  const response = await fetch(path, init);
  if (response.ok) return response;
  const problem = await response.json();
  throw new Error(\`\${problem.status} \${problem.title}: \${problem.detail}\`);
}

const report = (error) => { said.textContent = error.message; };

function show(user) {
  const row = users.insertRow();
  for (const text of [user.id, user.name, user.email]) row.insertCell().textContent = text;
  const remove = document.createElement("button");
  remove.textContent = "Delete";
  remove.addEventListener("click", () =>
    call(\`/users/\${user.id}\`, { method: "DELETE" }).then(() => {
      row.remove();
      said.textContent = \`204: user \${user.id} is gone\`;
    }).catch(report));
  row.insertCell().append(remove);
}

async function list(path) {
  const response = await call(path);
  for (const user of await response.json()) show(user);
  next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1] ?? "";
  more.hidden = next === "";
}

function reload() {
  users.replaceChildren();
  return list(\`/users?q=\${encodeURIComponent(new FormData(find).get("q"))}\`).catch(report);
}

add.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const response = await call("/users", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(add))),
    });
    said.textContent = \`201 Created: \${response.headers.get("location")}\`;
    add.reset();
    await reload();
  } catch (error) {
    report(error);
  }
});
find.addEventListener("submit", (event) => { event.preventDefault(); reload(); });
find.addEventListener("input", reload);
more.addEventListener("click", () => list(next).catch(report));
reload();
`;
