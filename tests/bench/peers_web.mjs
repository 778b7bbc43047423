// The HTTP servers in Node that `deno task bench` compares: `files` is serve-handler, `users` is Express with better-sqlite3.
// The packages are in the folder MODULES. They do the same work as ours: the same validation and the same durability.
import { createRequire } from "node:module";
import { createServer } from "node:http";

const require = createRequire(`${process.env.MODULES}/`);
const [what, path] = process.argv.slice(2);
const port = Number(process.env.PORT);

if (what === "files") {
  const handler = require("serve-handler");
  createServer((request, response) => handler(request, response, { public: path }))
    .listen(port, "127.0.0.1", () => console.log("listening"));
} else {
  const express = require("express");
  const Database = require("better-sqlite3");
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE, created TEXT, updated TEXT)");
  const get = db.prepare("SELECT * FROM users WHERE id = ?");
  const create = db.prepare("INSERT INTO users (name, email, created, updated) VALUES (?, ?, ?, ?)");
  const app = express();
  app.use(express.json());
  app.get("/users/:id", (request, response) => {
    const user = get.get(request.params.id);
    if (user) response.json(user);
    else response.status(404).json({ title: "Not Found", status: 404 });
  });
  app.post("/users", (request, response) => {
    const { name, email } = request.body;
    if (typeof name !== "string" || !/^[^\s@]+@[^\s@]+$/.test(email)) return response.status(422).json({ status: 422 });
    const now = new Date().toISOString();
    const { lastInsertRowid: id } = create.run(name, email.toLowerCase(), now, now);
    response.status(201).location(`/users/${id}`).json({ id, name, email, created: now, updated: now });
  });
  app.listen(port, "127.0.0.1", () => console.log("listening"));
}
