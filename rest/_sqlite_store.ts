/**
 * Users in an SQLite database: one file, no server.
 *
 * @module
 */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import {
  DATABASE_ERROR,
  DuplicateEmail,
  type ListQuery,
  type Store,
  StoreUnavailable,
  VersionConflict,
  type VersionedUser,
} from "./_store.ts";
import { foldCase, searchKey, type User, type UserInput } from "./_user.ts";

const SCHEMA = `
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
/** How long a request waits for another process that holds the file, in milliseconds. */
const MAX_WAIT = 5000;
const COLUMNS = "id, name, email, created, updated, version";

/**
 * Stores users in a file. The write-ahead log (WAL) is flushed at each commit, so acknowledged changes survive a `kill -9`
 * and a power failure.
 */
export class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #list: StatementSync;
  readonly #get: StatementSync;
  readonly #create: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;

  /** Opens or creates the file. @throws {Error} if it cannot be opened, or is not such a database. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(SCHEMA);
    this.#db.exec("PRAGMA busy_timeout = 0"); // SQLite would wait without letting other requests proceed: see #whenFree
    this.#list = this.#db.prepare(
      `SELECT ${COLUMNS} FROM users WHERE id > ? AND instr(search, ?) > 0 ORDER BY id LIMIT ?`,
    );
    this.#get = this.#db.prepare(`SELECT ${COLUMNS} FROM users WHERE id = ?`);
    this.#create = this.#db.prepare(
      "INSERT INTO users (name, email, email_key, search, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#update = this.#db.prepare(
      `UPDATE users SET name = ?, email = ?, email_key = ?, search = ?, updated = ?, version = version + 1
       WHERE id = ? RETURNING ${COLUMNS}`,
    );
    this.#delete = this.#db.prepare("DELETE FROM users WHERE id = ?");
  }

  async list({ limit, after, q }: ListQuery): Promise<User[]> {
    const rows = await this.#whenFree(() => this.#list.all(after, foldCase(q), limit));
    return rows.map((row) => rowToUser(row).user);
  }

  async get(id: number): Promise<VersionedUser | undefined> {
    return await this.#whenFree(() => this.#read(id));
  }

  async create(input: UserInput): Promise<VersionedUser> {
    const { name, email } = input;
    const now = new Date().toISOString();
    // `run`, not `get` with RETURNING: `get` stops at the first row, and an error of the commit that follows (a full disk)
    // would be lost.
    const { lastInsertRowid } = await this.#whenFree(() =>
      this.#create.run(name, email, foldCase(email), searchKey(input), now, now)
    );
    return { user: { id: Number(lastInsertRowid), name, email, created: now, updated: now }, version: 1 };
  }

  async update(id: number, patch: Partial<UserInput>, expected?: number): Promise<VersionedUser | undefined> {
    return await this.#transaction(() => {
      const old = this.#read(id);
      if (!old) return undefined;
      if (expected !== undefined && expected !== old.version) throw new VersionConflict();
      const { name, email } = { ...old.user, ...patch };
      const keys = [foldCase(email), searchKey({ name, email })] as const;
      return rowToUser(this.#update.get(name, email, ...keys, new Date().toISOString(), id));
    });
  }

  async delete(id: number, expected?: number): Promise<boolean> {
    return await this.#transaction(() => {
      const old = this.#read(id);
      if (old && expected !== undefined && expected !== old.version) throw new VersionConflict();
      return this.#delete.run(id).changes > 0;
    });
  }

  #read(id: number): VersionedUser | undefined {
    const row = this.#get.get(id);
    return row && rowToUser(row);
  }

  /** Reads and writes in one step: other processes on the same file wait until it is done. */
  async #transaction<T>(body: () => T): Promise<T> {
    return await this.#whenFree(() => {
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

  /** Runs `body`, and tries again while another process holds the file. @throws {StoreUnavailable}, {DuplicateEmail} */
  async #whenFree<T>(body: () => T): Promise<T> {
    const end = Date.now() + MAX_WAIT;
    while (true) {
      try {
        return body();
      } catch (thrown) {
        const error = translateError(thrown);
        if (!(error instanceof Busy) || Date.now() >= end) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  close(): void {
    this.#db.close();
  }
}

/** Another process holds the file. */
class Busy extends StoreUnavailable {}

/** Turns SQLite's errors into those of a store; others come back unchanged. */
function translateError(error: unknown): unknown {
  if (!(error instanceof Error) || Reflect.get(error, "code") !== "ERR_SQLITE_ERROR") return error;
  const { message } = error;
  if (/UNIQUE constraint failed/.test(message)) return new DuplicateEmail();
  if (/database is locked/.test(message)) return new Busy(503, "another process holds the database");
  if (/disk is full|disk I\/O error|File too large/.test(message)) {
    return new StoreUnavailable(507, "the database's disk is full", error);
  }
  return new StoreUnavailable(503, DATABASE_ERROR, error); // for example: the file is damaged
}

function rowToUser(row: Record<string, SQLOutputValue> | undefined): VersionedUser {
  const { id, name, email, created, updated, version } = row ?? {};
  if (
    typeof id !== "number" || typeof name !== "string" || typeof email !== "string" || typeof created !== "string" ||
    typeof updated !== "string" || typeof version !== "number"
  ) throw new TypeError("a row of the database is not a user");
  return { user: { id, name, email, created, updated }, version };
}
