/**
 * Users in an SQLite database: one file, no server.
 *
 * @module
 */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { Changed, Duplicate, type Page, type Store, Unavailable, type Versioned } from "./store.ts";
import { type Draft, foldCase, searchKey, type User } from "./user.ts";

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    search TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
  ) STRICT;
`;
const fields = "id, name, email, created, updated, version";

/**
 * Keeps users in a file. With a write-ahead log (WAL) that is flushed at each commit, what was acknowledged survives a
 * `kill -9`, and the machine's power too.
 */
export class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #list: StatementSync;
  readonly #get: StatementSync;
  readonly #create: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;

  /** Opens the file, or makes it. @throws {Error} when it cannot, or when it is not such a database. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(schema);
    const user = (sql: string) => this.#db.prepare(sql);
    this.#list = user(`SELECT ${fields} FROM users WHERE id > ? AND instr(search, ?) > 0 ORDER BY id LIMIT ?`);
    this.#get = user(`SELECT ${fields} FROM users WHERE id = ?`);
    this.#create = user(
      "INSERT INTO users (name, email, email_key, search, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#update = user(
      `UPDATE users SET name = ?, email = ?, email_key = ?, search = ?, updated = ?, version = version + 1
       WHERE id = ? RETURNING ${fields}`,
    );
    this.#delete = user("DELETE FROM users WHERE id = ?");
  }

  list({ limit, after, q }: Page): User[] {
    return this.#list.all(after, foldCase(q), limit).map((row) => parse(row).user);
  }

  get(id: number): Versioned | undefined {
    const row = this.#get.get(id);
    return row && parse(row);
  }

  create(draft: Draft): Versioned {
    const { name, email } = draft;
    const now = new Date().toISOString();
    // Not get() with RETURNING: it stops at the first row, and an error of the commit that follows, as on a full disk, is lost.
    const { lastInsertRowid } = attempt(() =>
      this.#create.run(name, email, foldCase(email), searchKey(draft), now, now)
    );
    return { user: { id: Number(lastInsertRowid), name, email, created: now, updated: now }, version: 1 };
  }

  update(id: number, change: Partial<Draft>, expected?: number): Versioned | undefined {
    return this.#locked(() => {
      const old = this.get(id);
      if (!old) return undefined;
      if (expected !== undefined && expected !== old.version) throw new Changed();
      const { name, email } = { ...old.user, ...change };
      const keys = [foldCase(email), searchKey({ name, email })] as const;
      return parse(this.#update.get(name, email, ...keys, new Date().toISOString(), id));
    });
  }

  delete(id: number, expected?: number): boolean {
    return this.#locked(() => {
      const old = this.get(id);
      if (old && expected !== undefined && expected !== old.version) throw new Changed();
      return this.#delete.run(id).changes > 0;
    });
  }

  /** Reads and writes as one step, for other processes on the same file, too. */
  #locked<T>(body: () => T): T {
    return attempt(() => {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = body();
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  close(): void {
    this.#db.close();
  }
}

/** Turns SQLite's errors into those of a store; a bug stays what it is. */
function attempt<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    const said = error instanceof Error ? error.message : "";
    if (/UNIQUE constraint failed/.test(said)) throw new Duplicate();
    if (/disk is full|disk I\/O error|File too large/.test(said)) {
      throw new Unavailable(507, "the database's disk is full");
    }
    if (/database is locked/.test(said)) throw new Unavailable(503, "another process holds the database");
    throw error;
  }
}

function parse(row: Record<string, SQLOutputValue> | undefined): Versioned {
  const { id, name, email, created, updated, version } = row ?? {};
  if (
    typeof id !== "number" || typeof name !== "string" || typeof email !== "string" || typeof created !== "string" ||
    typeof updated !== "string" || typeof version !== "number"
  ) throw new TypeError("the database has a row that is no user");
  return { user: { id, name, email, created, updated }, version };
}
