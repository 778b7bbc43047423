/**
 * The files of a site, found by a request target. Small ones are kept in memory, and so are the bytes of whole responses.
 *
 * @module
 */
import { httpDate } from "./_clock.ts";
import { concat } from "./_concat.ts";
import { codingWeight } from "./_conditions.ts";
import type { RequestHead } from "./_message.ts";
import { parseTargetPath } from "./_path.ts";
import { compress, etagOf, load, type Representation, type Representations } from "./_representation.ts";
import { encodeHead, type Field } from "./_response.ts";
import { findFileOrIndex, type Folder, type Site } from "./_site.ts";

/** How long a cached file counts as fresh, in milliseconds. After that it is compared with the file on the disk. */
const FRESH_MS = 500;
/** The largest file in memory, and the most that all of them may take, in bytes; and the most files. */
const CACHE_LIMITS = { file: 1 << 20, all: 64 << 20, files: 10_000 };
/** The largest body that is sent in one write with its head, in bytes. */
export const MAX_SINGLE_WRITE = 65_536;

/** Fields that make a GET conditional or partial. */
const conditional = ["range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since"];

interface Entry extends Representations {
  checked: number;
  readonly target: string;
  readonly segments: readonly string[];
}

/** The bytes of a response, head and body. They are valid while `date` is the time: it is in the head. */
interface CachedResponse {
  readonly date: string;
  readonly bytes: Uint8Array;
  /** Bytes of the body alone. */
  readonly size: number;
}

/** The files of one server. */
export class FileCache {
  readonly #entries = new Map<string, Entry>();
  readonly #responses = new WeakMap<Representation, CachedResponse>();
  #size = 0;

  /** `cors` is whether the responses carry the field of CORS; `maxAge` is how many seconds a cache may use them unasked. */
  constructor(readonly site: Site, readonly cors: boolean, readonly maxAge = 0) {}

  /**
   * The whole response to a GET on a connection that stays open, if its file is in memory, fresh and small, and the request
   * has no condition. Nothing is awaited here: this is the fast path, and most requests take it.
   */
  response({ method, target, minor, fields }: RequestHead): CachedResponse | undefined {
    if (method !== "GET" || minor === 0 || conditional.some((name) => fields.has(name))) return undefined;
    const entry = this.#entries.get(target);
    if (entry === undefined || !isFresh(entry)) return undefined;
    const file = chooseCoding(entry, fields.get("accept-encoding"));
    if (!file?.body || file.body.length > MAX_SINGLE_WRITE) return undefined;
    const date = httpDate();
    const cached = this.#responses.get(file);
    if (cached?.date === date) return cached;
    const head = encodeHead({ status: 200, fields: representationFields(file, this.maxAge), body: [file.body] }, {
      ...{ minor, keepAlive: true, cors: this.cors },
    });
    const response = { date, bytes: concat([head, file.body]), size: file.body.length };
    this.#responses.set(file, response);
    return response;
  }

  /**
   * Finds what a request target names, in the best coding that `acceptEncoding` accepts; `undefined` when there is nothing.
   *
   * @throws {MessageError} when the target is malformed.
   */
  async get(target: string, acceptEncoding: string | undefined): Promise<Representation | Folder | undefined> {
    const entry = await this.#lookup(target);
    if (entry === undefined || "folder" in entry) return entry;
    const file = chooseCoding(entry, acceptEncoding);
    return file ?? await this.#compress(entry) ?? entry.identity;
  }

  async #lookup(target: string): Promise<Entry | Folder | undefined> {
    const cached = this.#entries.get(target);
    if (cached && isFresh(cached)) return cached;
    const segments = cached?.segments ?? parseTargetPath(target);
    const found = await findFileOrIndex(this.site, segments);
    if (found && "folder" in found) return found;
    if (cached) {
      if (found && etagOf(found.info) === cached.identity.etag && found.path === cached.identity.path) {
        cached.checked = Date.now();
        return cached;
      }
      this.#remove(cached);
    }
    const checked = Date.now();
    const loaded = found && await load(found, CACHE_LIMITS.file);
    if (!loaded) return undefined;
    const entry = { ...loaded, checked, target, segments };
    if (loaded.identity.body) this.#add(entry);
    return entry;
  }

  async #compress(entry: Entry): Promise<Representation | undefined> {
    const compressed = await compress(entry.identity);
    if (!compressed) {
      entry.codings.delete("gzip");
      return undefined;
    }
    // Another request may have compressed it in the meantime, or the file may have changed.
    if (!entry.codings.get("gzip") && this.#entries.get(entry.target) === entry) this.#size += compressed.size;
    entry.codings.set("gzip", compressed);
    return compressed;
  }

  #add(entry: Entry): void {
    const { target } = entry;
    // A client can invent any number of query strings for one file, and so flush the cache.
    if (target.includes("?") || target.length > 1000) return;
    const other = this.#entries.get(target); // of a request that came at the same time
    if (other) this.#remove(other);
    this.#entries.set(target, entry);
    this.#size += memoryOf(entry);
    for (const oldest of this.#entries.values()) {
      if (this.#size <= CACHE_LIMITS.all && this.#entries.size <= CACHE_LIMITS.files) break;
      this.#remove(oldest);
    }
  }

  #remove(entry: Entry): void {
    if (this.#entries.get(entry.target) !== entry) return;
    this.#entries.delete(entry.target);
    this.#size -= memoryOf(entry);
  }
}

const isFresh = (entry: Entry) => Date.now() - entry.checked <= FRESH_MS;

/** The coding that the client likes best; `undefined` when the file must be compressed first. */
function chooseCoding({ identity, codings }: Representations, acceptEncoding: string | undefined) {
  if (acceptEncoding === undefined || codings.size === 0) return identity;
  let [best, chosen]: [number, Representation | undefined] = [codingWeight(acceptEncoding, "identity"), identity];
  for (const [coding, representation] of codings) {
    const weight = codingWeight(acceptEncoding, coding);
    // The first coding is the smallest one: of equal weights it is taken, and always before identity.
    if (weight > 0 && (weight > best || (weight === best && chosen === identity))) {
      [best, chosen] = [weight, representation];
    }
  }
  return chosen;
}

function memoryOf({ identity, codings }: Representations): number {
  let size = identity.body?.length ?? 0;
  for (const coded of codings.values()) size += coded?.body?.length ?? 0;
  return size;
}

/** The fields of the response to a GET that describe the file. `maxAge` is as in `FileCache`. */
export function representationFields(file: Representation, maxAge: number): Field[] {
  const { type, coding, etag, modified, varies } = file;
  return [
    ["Content-Type", type],
    ["ETag", etag],
    ["Last-Modified", new Date(modified).toUTCString()],
    ...(coding ? [["Content-Encoding", coding] satisfies Field] : []),
    ...(varies ? [["Vary", "Accept-Encoding"] satisfies Field] : []),
    ["Accept-Ranges", "bytes"],
    // no-cache: store the response, but revalidate it before each use, so that an edit of the file shows at once.
    ["Cache-Control", maxAge > 0 ? `max-age=${maxAge}` : "no-cache"],
  ];
}
