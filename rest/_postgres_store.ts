/**
 * Users in a database server that speaks PostgreSQL's protocol. Several instances of the API can use the same one.
 *
 * @module
 */
import postgres from "npm:postgres@3";
import { within } from "../cli.ts";
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

const COLUMNS = ["id", "name", "email", "created", "updated", "version"];

/**
 * Stores users in a table `users`, and creates the table if it is missing.
 *
 * No request waits longer than `seconds` for the database. The server cancels a query that is too slow. If the server itself
 * is silent (it is frozen, or the network is gone), all connections are given up, and the next query opens new ones.
 */
export class PostgresStore implements Store {
  readonly #connect: () => postgres.Sql;
  readonly #seconds: number;
  #sql: postgres.Sql;

  private constructor(url: string, seconds: number) {
    // A little less than the limit, so that the server's own error arrives in time.
    const limit = 0.9 * seconds;
    this.#connect = () =>
      postgres(url, {
        max: 10,
        connect_timeout: limit,
        connection: { statement_timeout: Math.ceil(limit * 1000) }, // milliseconds; 0: no limit
        // The library waits up to 20 s before it connects again: too long after a restart of the database.
        backoff: () => 0.1,
        fetch_types: false,
        onnotice: () => {},
        transform: { undefined: null },
      });
    this.#seconds = seconds;
    this.#sql = this.#connect();
  }

  /**
   * Connects. `seconds` limits each query; 0: no limit.
   *
   * @throws {StoreUnavailable} if the URL is malformed, or the server cannot be reached or refuses.
   */
  static async open(url: string, seconds: number): Promise<PostgresStore> {
    let store: PostgresStore | undefined;
    try {
      store = new PostgresStore(url, seconds);
      // If two servers start at once, the second one waits for the lock and then finds the table.
      await store.#query((sql) =>
        sql`
        CREATE TABLE IF NOT EXISTS users (
          id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          name TEXT NOT NULL,
          email TEXT NOT NULL,
          email_key TEXT NOT NULL UNIQUE,
          search TEXT NOT NULL,
          created TIMESTAMPTZ(3) NOT NULL,
          updated TIMESTAMPTZ(3) NOT NULL,
          version INTEGER NOT NULL DEFAULT 1
        )`
      );
      return store;
    } catch (error) {
      if (store) await store.#sql.end({ timeout: 0 });
      const reason = error instanceof StoreUnavailable && error.cause instanceof Error ? error.cause : error;
      throw new StoreUnavailable(503, reason instanceof Error ? reason.message : String(reason));
    }
  }

  async list({ limit, after, q }: ListQuery): Promise<User[]> {
    const key = foldCase(q);
    const rows = await this.#query((sql) =>
      sql`
        SELECT ${sql(COLUMNS)} FROM users
        WHERE id > ${after} AND strpos(search, ${key}) > 0 ORDER BY id LIMIT ${limit}`
    );
    return rows.map((row) => rowToUser(row).user);
  }

  async get(id: number): Promise<VersionedUser | undefined> {
    const [row] = await this.#query((sql) => sql`SELECT ${sql(COLUMNS)} FROM users WHERE id = ${id}`);
    return row && rowToUser(row);
  }

  async create(input: UserInput): Promise<VersionedUser> {
    const { name, email } = input;
    const now = new Date();
    const [row] = await this.#query((sql) =>
      sql`
        INSERT INTO users (name, email, email_key, search, created, updated)
        VALUES (${name}, ${email}, ${foldCase(email)}, ${searchKey(input)}, ${now}, ${now})
        RETURNING ${sql(COLUMNS)}`
    );
    return rowToUser(row);
  }

  async update(id: number, patch: Partial<UserInput>, expected?: number): Promise<VersionedUser | undefined> {
    return await this.#query((connection) =>
      connection.begin(async (sql) => {
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
    return await this.#query((connection) =>
      connection.begin(async (sql) => {
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

  /** Runs a query or a transaction. @throws {DuplicateEmail}, {StoreUnavailable}, or what `body` throws. */
  async #query<T>(body: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
    const sql = this.#sql;
    try {
      return await within(this.#seconds, Promise.resolve(body(sql)), () => {
        if (sql === this.#sql) this.#sql = this.#connect();
        sql.end({ timeout: 0 }).catch(() => {}); // its queries fail now: nothing waits for them any more
        throw new StoreUnavailable(503, "the database did not answer in time");
      });
    } catch (error) {
      throw translateError(error);
    }
  }
}

/** Turns the server's errors into those of a store (PostgreSQL's appendix A lists the codes); others come back unchanged. */
function translateError(error: unknown): unknown {
  const code = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (typeof code !== "string") return error;
  if (code === "23505") return new DuplicateEmail();
  if (code === "53100") return new StoreUnavailable(507, "the database's disk is full");
  if (code === "57014") return new StoreUnavailable(503, "the database did not answer in time");
  if (/^(08|53|57P|40)|^CONNECT|^E[A-Z]+$/.test(code)) {
    return new StoreUnavailable(503, "the database cannot be reached: try again later", error);
  }
  if (/^[\dA-Z]{5}$/.test(code)) return new StoreUnavailable(503, DATABASE_ERROR, error);
  return error;
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
