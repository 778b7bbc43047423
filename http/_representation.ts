/**
 * A file in the forms in which it can be sent: its type, its validators, its content codings.
 *
 * @module
 */
import { contentType } from "jsr:@std/media-types@1/content-type";
import { type Found, fromDisk, openChecked } from "./_site.ts";

/** A file in one content coding, with what the fields of a response say about it (RFC 9110 §8). */
export interface Representation {
  readonly path: string;
  readonly info: Deno.FileInfo;
  readonly type: string;
  /** `br`, `gzip`, or "" for the file as it is. */
  readonly coding: string;
  readonly etag: string;
  readonly modified: number;
  readonly size: number;
  /** Whether the response depends on Accept-Encoding; then it needs a Vary field. */
  readonly varies: boolean;
  /** The whole content, if it is in memory. */
  readonly body?: Uint8Array<ArrayBuffer>;
}

/** A file as it is, and its codings: `undefined` stands for one that is encoded when it is needed. */
export interface Representations {
  readonly identity: Representation;
  readonly codings: Map<string, Representation | undefined>;
}

/** The smallest file that is compressed, in bytes. A smaller one fits into about one packet anyway. */
const MIN_COMPRESSED = 1024;

/** Extensions to serve as plain text: the media-type database has another type for them, or none. */
const textTypes: Record<string, string> = Object.fromEntries(
  ["ts", "mts", "tsx", "jsx", "py", "rs", "go", "c", "h", "sh", "toml", "zone", "md", "log", "yaml", "yml"]
    .map((extension) => [`.${extension}`, "text/plain; charset=UTF-8"]),
);

const extensionOf = (path: string) => /[^/\\](\.[^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
const compressible = /^text\/|^image\/svg|[/+](json|xml|javascript)\b|^application\/wasm/;

/** Looks at a file, and reads it if it has at most `limit` bytes. Returns `undefined` when it is gone. */
export async function load(found: Found, limit: number): Promise<Representations | undefined> {
  const opened = await openChecked(found);
  if (!opened) return undefined;
  using file = opened.file;
  const { size } = opened.info;
  const body = size <= limit ? await fromDisk(readUpTo(file, size)) : undefined;
  const type = textTypes[extensionOf(found.path)] ?? contentType(extensionOf(found.path)) ?? "application/octet-stream";
  const codings = await findPrecompressed(found, type);
  const compress = body && body.length >= MIN_COMPRESSED && compressible.test(type);
  if (compress && !codings.has("gzip")) codings.set("gzip", undefined);
  const identity: Representation = {
    ...{ path: found.path, info: opened.info, type, coding: "", etag: etagOf(opened.info) },
    ...{ modified: opened.info.mtime?.getTime() ?? 0, size: body?.length ?? size, varies: codings.size > 0, body },
  };
  return { identity, codings };
}

/** Compresses a file that is in memory. Returns `undefined` when that saves less than 10 %. */
export async function compress(identity: Representation): Promise<Representation | undefined> {
  const stream = new Blob(identity.body ? [identity.body] : []).stream().pipeThrough(new CompressionStream("gzip"));
  const body = await new Response(stream).bytes();
  if (body.length > identity.size * 0.9) return undefined;
  return { ...identity, coding: "gzip", etag: identity.etag.replace(/"$/, '-gzip"'), size: body.length, body };
}

/** Finds precompressed files beside a file, `page.html.br` and `page.html.gz`, unless they are older. */
async function findPrecompressed(
  { path, info }: Found,
  type: string,
): Promise<Map<string, Representation | undefined>> {
  const codings = new Map<string, Representation | undefined>();
  for (const [coding, extension] of [["br", ".br"], ["gzip", ".gz"]] as const) {
    const beside = await Deno.lstat(path + extension).catch(() => undefined);
    if (!beside?.isFile || (beside.mtime ?? 0) < (info.mtime ?? 0)) continue;
    codings.set(coding, {
      ...{ path: path + extension, info: beside, type, coding, etag: etagOf(beside, `-${coding}`) },
      ...{ modified: info.mtime?.getTime() ?? 0, size: beside.size, varies: true },
    });
  }
  return codings;
}

/** A strong entity tag (RFC 9110 §8.8.3) from size, modification time and inode. */
export function etagOf({ size, mtime, ino }: Deno.FileInfo, suffix = ""): string {
  const parts = [size, mtime?.getTime() ?? 0, ino ?? 0];
  return `"${parts.map((part) => part.toString(16)).join("-")}${suffix}"`;
}

/** Reads up to `size` bytes of a file. They are fewer when the file has become shorter since it was looked at. */
async function readUpTo(file: Deno.FsFile, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const n = await file.read(buffer.subarray(filled));
    if (n === null) break;
    filled += n;
  }
  return buffer.subarray(0, filled);
}
