/**
 * Users in a database that speaks PostgreSQL's protocol, for those who outgrow one machine.
 *
 * @module
 */
import postgres from "npm:postgres@3";
import { Changed, Duplicate, type Page, type Store, Unavailable, type Versioned } from "./store.ts";
import { type Draft, foldCase, searchKey, type User } from "./user.ts";

/** Keeps users in a table `users`, which it makes when it is not there. It needs nothing beyond standard SQL. */
export class PostgresStore implements Store {
  readonly #sql: postgres.Sql;

  private constructor(sql: postgres.Sql) {
    this.#sql = sql;
  }

  /** Connects. @throws {Unavailable} when the server does not let us in. */
  static async open(url: string, seconds: number): Promise<PostgresStore> {
    const sql = postgres(url, {
      max: 10,
      connect_timeout: seconds,
      onnotice: () => {},
      transform: { undefined: null },
    });
    try {
      // Two servers that start at once may both want to make the table: the second one waits for the lock.
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
      throw new Unavailable(503, error instanceof Error ? error.message : String(error));
    }
    return new PostgresStore(sql);
  }

  async list({ limit, after, q }: Page): Promise<User[]> {
    const key = foldCase(q);
    const rows = await this.#attempt(() =>
      this.#sql`
        SELECT id, name, email, created, updated, version FROM users
        WHERE id > ${after} AND strpos(search, ${key}) > 0 ORDER BY id LIMIT ${limit}`
    );
    return rows.map((row) => parse(row).user);
  }

  async get(id: number): Promise<Versioned | undefined> {
    const [row] = await this.#attempt(() =>
      this.#sql`SELECT id, name, email, created, updated, version FROM users WHERE id = ${id}`
    );
    return row && parse(row);
  }

  async create(draft: Draft): Promise<Versioned> {
    const { name, email } = draft;
    const now = new Date();
    const [row] = await this.#attempt(() =>
      this.#sql`
        INSERT INTO users (name, email, email_key, search, created, updated)
        VALUES (${name}, ${email}, ${foldCase(email)}, ${searchKey(draft)}, ${now}, ${now})
        RETURNING id, name, email, created, updated, version`
    );
    return parse(row);
  }

  async update(id: number, change: Partial<Draft>, expected?: number): Promise<Versioned | undefined> {
    return await this.#attempt(() =>
      this.#sql.begin(async (sql) => {
        const [row] = await sql`
          SELECT id, name, email, created, updated, version FROM users WHERE id = ${id} FOR UPDATE`;
        if (!row) return undefined;
        const old = parse(row);
        if (expected !== undefined && expected !== old.version) throw new Changed();
        const { name, email } = { ...old.user, ...change };
        const [changed] = await sql`
          UPDATE users SET name = ${name}, email = ${email}, email_key = ${foldCase(email)},
            search = ${searchKey({ name, email })}, updated = ${new Date()}, version = version + 1
          WHERE id = ${id} RETURNING id, name, email, created, updated, version`;
        return parse(changed);
      })
    );
  }

  async delete(id: number, expected?: number): Promise<boolean> {
    return await this.#attempt(() =>
      this.#sql.begin(async (sql) => {
        const [row] = await sql`SELECT version FROM users WHERE id = ${id} FOR UPDATE`;
        if (!row) return false;
        if (expected !== undefined && expected !== Number(row.version)) throw new Changed();
        await sql`DELETE FROM users WHERE id = ${id}`;
        return true;
      })
    );
  }

  async close(): Promise<void> {
    await this.#sql.end({ timeout: 5 });
  }

  /** Turns the server's errors into those of a store (PostgreSQL's appendix A has the codes); a bug stays what it is. */
  async #attempt<T>(body: () => PromiseLike<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      const code = error instanceof Error ? String(Reflect.get(error, "code")) : "";
      if (code === "23505") throw new Duplicate();
      if (code === "53100") throw new Unavailable(507, "the database's disk is full");
      const gone = /^(08|53|57P|40)|^CONNECT|^ECONN|^CONNECTION/.test(code);
      if (gone) throw new Unavailable(503, "the database cannot be reached at the moment");
      throw error;
    }
  }
}

function parse(row: postgres.Row | undefined): Versioned {
  const { id, name, email, created, updated, version }: Record<string, unknown> = row ?? {};
  if (
    typeof name !== "string" || typeof email !== "string" || !(created instanceof Date) || !(updated instanceof Date)
  ) {
    throw new TypeError("the database has a row that is no user");
  }
  const times = { created: created.toISOString(), updated: updated.toISOString() };
  return { user: { id: Number(id), name, email, ...times }, version: Number(version) }; // a bigint comes as text
}
