/**
 * The files of a site as they are sent: found by a request target, with their type, their validators and their content
 * codings. Small ones are kept in memory.
 *
 * @module
 */
import { contentType } from "jsr:@std/media-types@1/content-type";
import { accepts } from "./conditions.ts";
import { findPage, type Folder, type Found, open, segmentsOf, type Site } from "./target.ts";

/** How long a file in memory is taken to be what is on the disk, in milliseconds. */
const FRESH = 500;
/** The largest file that is kept in memory, and how much all of them may take together, in bytes; and how many they are. */
const KEEP = { file: 1 << 20, all: 64 << 20, files: 10_000 };
/** Below this many bytes, one packet more or less, a text is not compressed. */
const WORTH = 1024;

/** A file in one content coding: what the response to a GET tells of it (RFC 9110 §8). */
export interface Representation {
  readonly path: string;
  readonly info: Deno.FileInfo;
  readonly type: string;
  /** `br`, `gzip`, or "" for the file as it is. */
  readonly coding: string;
  readonly etag: string;
  readonly modified: number;
  readonly size: number;
  /** Whether another Accept-Encoding would have got another coding. */
  readonly varies: boolean;
  /** The whole of it, when it is kept in memory. */
  readonly body?: Uint8Array<ArrayBuffer>;
  /** A response as it went over the wire, for the next that is the same: see `file_server.ts`. */
  wire?: { readonly date: string; readonly bytes: Uint8Array };
}

interface Kept {
  checked: number;
  readonly plain: Representation;
  readonly coded: Map<string, Representation | undefined>;
  readonly target: string;
  readonly segments: readonly string[];
}

/** The types that a browser should show and the database of types has otherwise, or not at all. */
const own: Record<string, string> = Object.fromEntries(
  ["ts", "mts", "tsx", "jsx", "py", "rs", "go", "c", "h", "sh", "toml", "zone", "md", "log", "yaml", "yml"]
    .map((extension) => [`.${extension}`, "text/plain; charset=UTF-8"]),
);

const extensionOf = (path: string) => /[^/\\](\.[^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
const compressible = /^text\/|^image\/svg|[/+](json|xml|javascript)\b|^application\/wasm/;

/** The files of a site. One object a server. */
export class Files {
  readonly #kept = new Map<string, Kept>();
  #size = 0;

  constructor(readonly site: Site) {}

  /**
   * What a request target names, in the best coding that `acceptEncoding` takes; `undefined` when there is nothing. A file
   * in memory is compared with the one on the disk twice a second.
   *
   * @throws {MessageError} when the target is malformed.
   */
  async get(target: string, acceptEncoding: string | undefined): Promise<Representation | Folder | undefined> {
    const kept = await this.#lookup(target);
    if (kept === undefined || "folder" in kept) return kept;
    for (const coding of ["br", "gzip"]) {
      if (!kept.coded.has(coding) || !accepts(acceptEncoding, coding)) continue;
      const coded = kept.coded.get(coding) ?? await this.#encode(kept, coding);
      if (coded) return coded;
    }
    return kept.plain;
  }

  /** The file in memory, when it is fresh and is sent as it is or as it was sent before: no promise, no wait. */
  quick(target: string, acceptEncoding: string | undefined): Representation | undefined {
    const kept = this.#kept.get(target);
    if (kept === undefined || Date.now() - kept.checked > FRESH) return undefined;
    for (const coding of kept.coded.keys()) if (accepts(acceptEncoding, coding)) return kept.coded.get(coding);
    return kept.plain;
  }

  async #lookup(target: string): Promise<Kept | Folder | undefined> {
    const before = this.#kept.get(target);
    if (before && Date.now() - before.checked <= FRESH) return before;
    const segments = before?.segments ?? segmentsOf(target);
    const found = await findPage(this.site, segments);
    if (found && "folder" in found) return found;
    if (before) {
      if (found && tagOf(found.info) === before.plain.etag && found.path === before.plain.path) {
        before.checked = Date.now();
        return before;
      }
      this.#forget(before);
    }
    return found && await this.#load(target, segments, found);
  }

  async #load(target: string, segments: readonly string[], found: Found): Promise<Kept | undefined> {
    const opened = await open(found);
    if (!opened) return undefined;
    using file = opened.file;
    const checked = Date.now();
    const { size } = opened.info;
    const body = size <= KEEP.file ? await readUpTo(file, size) : undefined;
    const type = own[extensionOf(found.path)] ?? contentType(extensionOf(found.path)) ?? "application/octet-stream";
    const coded = await besides(found, type);
    const worth = body && body.length >= WORTH && compressible.test(type);
    if (worth && !coded.has("gzip")) coded.set("gzip", undefined);
    const plain: Representation = {
      ...{ path: found.path, info: opened.info, type, coding: "", etag: tagOf(opened.info) },
      ...{ modified: opened.info.mtime?.getTime() ?? 0, size: body?.length ?? size, varies: coded.size > 0, body },
    };
    const kept = { checked, plain, coded, target, segments };
    if (body) this.#keep(kept);
    return kept;
  }

  async #encode(kept: Kept, coding: string): Promise<Representation | undefined> {
    const { plain } = kept;
    if (coding !== "gzip" || !plain.body) return undefined;
    const stream = new Blob([plain.body]).stream().pipeThrough(new CompressionStream("gzip"));
    const body = await new Response(stream).bytes();
    if (body.length > plain.size * 0.9) {
      kept.coded.delete(coding); // does not pay
      return undefined;
    }
    const coded = {
      ...plain,
      coding,
      etag: plain.etag.replace(/"$/, '-gzip"'),
      size: body.length,
      body,
      wire: undefined,
    };
    if (!kept.coded.get(coding) && this.#kept.get(kept.target) === kept) this.#size += body.length;
    kept.coded.set(coding, coded);
    return coded;
  }

  #keep(kept: Kept): void {
    const { target } = kept;
    if (target.includes("?") || target.length > 1000) return; // as many names for one file as anyone likes
    const before = this.#kept.get(target); // another client may have been as fast
    if (before) this.#forget(before);
    this.#kept.set(target, kept);
    this.#size += sizeOf(kept);
    for (const oldest of this.#kept.values()) {
      if (this.#size <= KEEP.all && this.#kept.size <= KEEP.files) break;
      this.#forget(oldest);
    }
  }

  #forget(kept: Kept): void {
    if (this.#kept.get(kept.target) !== kept) return;
    this.#kept.delete(kept.target);
    this.#size -= sizeOf(kept);
  }
}

/** The codings of a file that lie beside it: `page.html.br`, `page.html.gz`, unless they are older. */
async function besides({ path, info }: Found, type: string): Promise<Map<string, Representation | undefined>> {
  const coded = new Map<string, Representation | undefined>();
  for (const [coding, extension] of [["br", ".br"], ["gzip", ".gz"]] as const) {
    const beside = await Deno.lstat(path + extension).catch(() => undefined);
    if (!beside?.isFile || (beside.mtime ?? 0) < (info.mtime ?? 0)) continue;
    const [etag, modified] = [tagOf(beside, `-${coding}`), info.mtime?.getTime() ?? 0];
    const one = { path: path + extension, info: beside, type, coding, etag, modified, size: beside.size, varies: true };
    coded.set(coding, one);
  }
  return coded;
}

function sizeOf({ plain, coded }: Kept): number {
  let size = plain.body?.length ?? 0;
  for (const each of coded.values()) size += each?.body?.length ?? 0;
  return size;
}

/** A strong entity tag (RFC 9110 §8.8.3): another size, time or file is another state. */
function tagOf({ size, mtime, ino }: Deno.FileInfo, more = ""): string {
  const parts = [size, mtime?.getTime() ?? 0, ino ?? 0];
  return `"${parts.map((part) => part.toString(16)).join("-")}${more}"`;
}

/** What is in a file, up to `size` bytes: fewer when it has become shorter since it was looked at. */
async function readUpTo(file: Deno.FsFile, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(size);
  let got = 0;
  while (got < size) {
    const n = await file.read(buffer.subarray(got));
    if (n === null) break;
    got += n;
  }
  return buffer.subarray(0, got);
}
