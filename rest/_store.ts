/**
 * What a store of users does, and the store in memory.
 *
 * @module
 */
import { foldCase, searchKey, type User, type UserInput } from "./_user.ts";

/** A user and its version: 1 when created, plus 1 with each change. */
export interface VersionedUser {
  readonly user: User;
  readonly version: number;
}

/** Which users to list, by rising id. */
export interface ListQuery {
  /** How many users at most. */
  readonly limit: number;
  /** Only users with a higher id. */
  readonly after: number;
  /** Only users with this text in their name or email, without case; "" for all. */
  readonly q: string;
}

/** Stores users. How long an acknowledged change lasts depends on the store. */
export interface Store {
  list(query: ListQuery): Promise<User[]> | User[];
  get(id: number): Promise<VersionedUser | undefined> | VersionedUser | undefined;
  /** @throws {DuplicateEmail} */
  create(input: UserInput): Promise<VersionedUser> | VersionedUser;
  /**
   * Changes the given fields in one step. Returns `undefined` if there is no such user.
   *
   * @throws {DuplicateEmail}
   * @throws {VersionConflict} if `expected` is given and is not the user's version.
   */
  update(
    id: number,
    patch: Partial<UserInput>,
    expected?: number,
  ): Promise<VersionedUser | undefined> | VersionedUser | undefined;
  /** Returns whether there was such a user. @throws {VersionConflict} as `update` does. */
  delete(id: number, expected?: number): Promise<boolean> | boolean;
  close(): Promise<void> | void;
}

/** Another user has this email. */
export class DuplicateEmail extends Error {}

/** The user is not in the version that was expected. */
export class VersionConflict extends Error {}

/** The store is full (507), or it cannot be used (503). `cause` is the database's own error: it is for the log, not for clients. */
export class StoreUnavailable extends Error {
  constructor(readonly status: 503 | 507, message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** The message of an error that only the server's log explains. */
export const DATABASE_ERROR = "the database reports an error: see the server's log";

/** Stores users in memory: they are gone when the process ends. */
export class MemoryStore implements Store {
  // A Map keeps the order of insertion, which is the order of the ids.
  readonly #users = new Map<number, VersionedUser>();
  readonly #idsByEmail = new Map<string, number>();
  #nextId = 1;

  /** @param maxUsers the maximum number of users, which bounds the memory. */
  constructor(readonly maxUsers = 1_000_000) {}

  list({ limit, after, q }: ListQuery): User[] {
    const key = foldCase(q);
    const found: User[] = [];
    for (const { user } of this.#users.values()) {
      if (user.id <= after || !searchKey(user).includes(key)) continue;
      if (found.push(user) === limit) break;
    }
    return found;
  }

  get(id: number): VersionedUser | undefined {
    return this.#users.get(id);
  }

  create(input: UserInput): VersionedUser {
    if (this.#users.size >= this.maxUsers) {
      throw new StoreUnavailable(507, `no room for more than ${this.maxUsers} users`);
    }
    const created = new Date().toISOString();
    return this.#set({ id: this.#nextId, ...input, created, updated: created }, 1, undefined);
  }

  update(id: number, patch: Partial<UserInput>, expected?: number): VersionedUser | undefined {
    const old = this.#users.get(id);
    if (!old) return undefined;
    if (expected !== undefined && expected !== old.version) throw new VersionConflict();
    return this.#set({ ...old.user, ...patch, updated: new Date().toISOString() }, old.version + 1, old.user);
  }

  delete(id: number, expected?: number): boolean {
    const old = this.#users.get(id);
    if (!old) return false;
    if (expected !== undefined && expected !== old.version) throw new VersionConflict();
    this.#idsByEmail.delete(foldCase(old.user.email));
    return this.#users.delete(id);
  }

  #set(user: User, version: number, old: User | undefined): VersionedUser {
    const key = foldCase(user.email);
    const owner = this.#idsByEmail.get(key);
    if (owner !== undefined && owner !== user.id) throw new DuplicateEmail();
    if (old) this.#idsByEmail.delete(foldCase(old.email));
    else this.#nextId++;
    this.#idsByEmail.set(key, user.id);
    const versioned = { user, version };
    this.#users.set(user.id, versioned);
    return versioned;
  }

  close(): void {}
}
