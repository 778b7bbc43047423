/**
 * Where users are kept: what every store does, and the one in memory.
 *
 * @module
 */
import { type Draft, foldCase, searchKey, type User } from "./user.ts";

/** A user with the number of its state: 1 when it is new, one more with each change. */
export interface Versioned {
  readonly user: User;
  readonly version: number;
}

/** Which users to list, by rising id. */
export interface Page {
  /** How many at most. */
  readonly limit: number;
  /** Only those with a higher id. */
  readonly after: number;
  /** Only those with this in their name or email, in any case; "" for all. */
  readonly q: string;
}

/** Keeps users. What it has acknowledged stays, for as long as its kind promises. */
export interface Store {
  list(page: Page): Promise<User[]> | User[];
  get(id: number): Promise<Versioned | undefined> | Versioned | undefined;
  /** @throws {Duplicate} */
  create(draft: Draft): Promise<Versioned> | Versioned;
  /**
   * Changes the fields that are given, in one step: `undefined` when there is no such user.
   *
   * @throws {Duplicate}
   * @throws {Changed} when it is not in the state `expected`; without it any will do.
   */
  update(
    id: number,
    change: Partial<Draft>,
    expected?: number,
  ): Promise<Versioned | undefined> | Versioned | undefined;
  /** Whether there was such a user. @throws {Changed} */
  delete(id: number, expected?: number): Promise<boolean> | boolean;
  close(): Promise<void> | void;
}

/** Another user has this email. */
export class Duplicate extends Error {}

/** The user is not in the state that was expected. */
export class Changed extends Error {}

/** The store has no room left, or cannot be reached. */
export class Unavailable extends Error {
  constructor(readonly status: 503 | 507, message: string) {
    super(message);
  }
}

/** Keeps users in memory: they are gone with the process. */
export class MemoryStore implements Store {
  // A Map keeps the order of insertion, which is that of the ids.
  readonly #users = new Map<number, Versioned>();
  readonly #emails = new Map<string, number>();
  #next = 1;

  /** @param most how many users it takes: memory ends, too. */
  constructor(readonly most = 1_000_000) {}

  list({ limit, after, q }: Page): User[] {
    const key = foldCase(q);
    const found: User[] = [];
    for (const { user } of this.#users.values()) {
      if (user.id <= after || !searchKey(user).includes(key)) continue;
      if (found.push(user) === limit) break;
    }
    return found;
  }

  get(id: number): Versioned | undefined {
    return this.#users.get(id);
  }

  create(draft: Draft): Versioned {
    if (this.#users.size >= this.most) throw new Unavailable(507, `no room for more than ${this.most} users`);
    const created = new Date().toISOString();
    return this.#put({ id: this.#next, ...draft, created, updated: created }, 1, undefined);
  }

  update(id: number, change: Partial<Draft>, expected?: number): Versioned | undefined {
    const old = this.#users.get(id);
    if (!old) return undefined;
    if (expected !== undefined && expected !== old.version) throw new Changed();
    return this.#put({ ...old.user, ...change, updated: new Date().toISOString() }, old.version + 1, old.user);
  }

  delete(id: number, expected?: number): boolean {
    const old = this.#users.get(id);
    if (!old) return false;
    if (expected !== undefined && expected !== old.version) throw new Changed();
    this.#emails.delete(foldCase(old.user.email));
    return this.#users.delete(id);
  }

  #put(user: User, version: number, old: User | undefined): Versioned {
    const key = foldCase(user.email);
    const other = this.#emails.get(key);
    if (other !== undefined && other !== user.id) throw new Duplicate();
    if (old) this.#emails.delete(foldCase(old.email));
    else this.#next++;
    this.#emails.set(key, user.id);
    const put = { user, version };
    this.#users.set(user.id, put);
    return put;
  }

  close(): void {}
}
