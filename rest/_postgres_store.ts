/**
 * Users in a database server that speaks PostgreSQL's protocol. Several instances of the API can use the same one.
 *
 * @module
 */
import postgres from "npm:postgres@3";
import {
  DuplicateEmail,
  type ListQuery,
  type Store,
  StoreUnavailable,
  VersionConflict,
  type VersionedUser,
} from "./_store.ts";
import { foldCase, searchKey, type User, type UserInput } from "./_user.ts";

const COLUMNS = ["id", "name", "email", "created", "updated", "version"];

/** Stores users in a table `users`, and creates the table if it is missing. */
export class PostgresStore implements Store {
  readonly #sql: postgres.Sql;

  private constructor(sql: postgres.Sql) {
    this.#sql = sql;
  }

  /** Connects. @throws {StoreUnavailable} if the server cannot be reached or refuses. */
  static async open(url: string, seconds: number): Promise<PostgresStore> {
    const sql = postgres(url, {
      max: 10,
      connect_timeout: seconds,
      onnotice: () => {},
      transform: { undefined: null },
    });
    try {
      // If two servers start at once, the second one waits for the lock and then finds the table.
      await sql`
        CREATE TABLE IF NOT EXISTS users (
          id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          name TEXT NOT NULL,
          email TEXT NOT NULL,
          email_key TEXT NOT NULL UNIQUE,
          search TEXT NOT NULL,
          created TIMESTAMPTZ(3) NOT NULL,
          updated TIMESTAMPTZ(3) NOT NULL,
          version INTEGER NOT NULL DEFAULT 1
        )`;
    } catch (error) {
      await sql.end({ timeout: 0 });
      throw new StoreUnavailable(503, error instanceof Error ? error.message : String(error));
    }
    return new PostgresStore(sql);
  }

  async list({ limit, after, q }: ListQuery): Promise<User[]> {
    const key = foldCase(q);
    const rows = await this.#translateErrors(() =>
      this.#sql`
        SELECT ${this.#sql(COLUMNS)} FROM users
        WHERE id > ${after} AND strpos(search, ${key}) > 0 ORDER BY id LIMIT ${limit}`
    );
    return rows.map((row) => rowToUser(row).user);
  }

  async get(id: number): Promise<VersionedUser | undefined> {
    const [row] = await this.#translateErrors(() =>
      this.#sql`SELECT ${this.#sql(COLUMNS)} FROM users WHERE id = ${id}`
    );
    return row && rowToUser(row);
  }

  async create(input: UserInput): Promise<VersionedUser> {
    const { name, email } = input;
    const now = new Date();
    const [row] = await this.#translateErrors(() =>
      this.#sql`
        INSERT INTO users (name, email, email_key, search, created, updated)
        VALUES (${name}, ${email}, ${foldCase(email)}, ${searchKey(input)}, ${now}, ${now})
        RETURNING ${this.#sql(COLUMNS)}`
    );
    return rowToUser(row);
  }

  async update(id: number, patch: Partial<UserInput>, expected?: number): Promise<VersionedUser | undefined> {
    return await this.#translateErrors(() =>
      this.#sql.begin(async (sql) => {
        const [row] = await sql`
          SELECT ${sql(COLUMNS)} FROM users WHERE id = ${id} FOR UPDATE`;
        if (!row) return undefined;
        const old = rowToUser(row);
        if (expected !== undefined && expected !== old.version) throw new VersionConflict();
        const { name, email } = { ...old.user, ...patch };
        const [changed] = await sql`
          UPDATE users SET name = ${name}, email = ${email}, email_key = ${foldCase(email)},
            search = ${searchKey({ name, email })}, updated = ${new Date()}, version = version + 1
          WHERE id = ${id} RETURNING ${sql(COLUMNS)}`;
        return rowToUser(changed);
      })
    );
  }

  async delete(id: number, expected?: number): Promise<boolean> {
    return await this.#translateErrors(() =>
      this.#sql.begin(async (sql) => {
        const [row] = await sql`SELECT version FROM users WHERE id = ${id} FOR UPDATE`;
        if (!row) return false;
        if (expected !== undefined && expected !== Number(row.version)) throw new VersionConflict();
        await sql`DELETE FROM users WHERE id = ${id}`;
        return true;
      })
    );
  }

  async close(): Promise<void> {
    await this.#sql.end({ timeout: 5 });
  }

  /** Turns the server's errors into those of a store (PostgreSQL's appendix A lists the codes); a bug is thrown unchanged. */
  async #translateErrors<T>(body: () => PromiseLike<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      const code = error instanceof Error ? String(Reflect.get(error, "code")) : "";
      if (code === "23505") throw new DuplicateEmail();
      if (code === "53100") throw new StoreUnavailable(507, "the database's disk is full");
      const isUnreachable = /^(08|53|57P|40)|^CONNECT|^ECONN|^CONNECTION/.test(code);
      if (isUnreachable) throw new StoreUnavailable(503, "the database cannot be reached: try again later");
      throw error;
    }
  }
}

function rowToUser(row: postgres.Row | undefined): VersionedUser {
  const { id, name, email, created, updated, version }: Record<string, unknown> = row ?? {};
  if (
    typeof name !== "string" || typeof email !== "string" || !(created instanceof Date) || !(updated instanceof Date)
  ) {
    throw new TypeError("a row of the database is not a user");
  }
  const times = { created: created.toISOString(), updated: updated.toISOString() };
  return { user: { id: Number(id), name, email, ...times }, version: Number(version) }; // the library returns a BIGINT as text
}
