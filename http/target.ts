/**
 * Request targets, and the files of a folder that they name. A server of files is asked for anything, and must give out
 * what is under its root and nothing else.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import type { Entry } from "./listing.ts";
import { MessageError } from "./message.ts";

/**
 * The path of a request target, decoded, as its segments (RFC 3986 §3.3): `/a%20b/` is `["a b", ""]`. The query is left out.
 *
 * It is decoded once: `%252e` is a name with a percent sign in it. What could lead out of a folder, or mean something else
 * to the file system than it seems, is refused: `..`, a slash or backslash inside of a segment, NUL.
 *
 * @throws {MessageError} 400
 */
export function segmentsOf(target: string): string[] {
  const path = target.replace(/^https?:\/\/[^/?]*/i, "").replace(/\?.*$/s, "") || "/";
  let segments: string[];
  try {
    segments = path.split("/").slice(1).map(decodeURIComponent);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new MessageError(400, "a percent sign in a path is followed by two digits, and the bytes are UTF-8");
  }
  for (const segment of segments) {
    if (segment === ".." || segment === "." || /[/\\\0]/.test(segment)) {
      throw new MessageError(400, "a path has no . and .. segments, no backslash and no NUL");
    }
  }
  return segments.filter((segment, i) => segment !== "" || i === segments.length - 1);
}

/** A folder whose files are served. */
export interface Site {
  /** Its path without symbolic links, as `Deno.realPath` gives it. */
  readonly root: string;
  /** Whether names that start with a dot are served. */
  readonly dotfiles: boolean;
  /** Whether a symbolic link may lead out of the root. */
  readonly followSymlinks: boolean;
}

/** A folder's path without symbolic links. @throws {Failure} with code 2 when it is not a folder. */
export async function realFolder(folder: string): Promise<string> {
  try {
    const path = await Deno.realPath(folder);
    if ((await Deno.stat(path)).isDirectory) return path;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`no permission to read ${printable(folder)}: add -R=${printable(folder)} to deno run`);
    }
    if (!isAbsent(error)) throw error;
  }
  throw new Failure(`--root wants a folder, and ${printable(folder)} is none`, 2);
}

/** A file or a folder that was found. `path` is without symbolic links. */
export interface Found {
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/**
 * Finds what a path names; a folder's segments end in an empty one. Returns `undefined` when there is nothing to serve: not
 * there, not readable, hidden, outside of the root, or neither a file nor a folder (a pipe would be waited for, for ever).
 */
export async function find(site: Site, segments: readonly string[]): Promise<Found | undefined> {
  if (!site.dotfiles && segments.some((segment) => segment.startsWith(".") && segment !== ".well-known")) return;
  try {
    const path = await Deno.realPath([site.root, ...segments.filter((segment) => segment !== "")].join("/"));
    if (!site.followSymlinks && !isUnder(site.root, path)) return;
    const info = await Deno.lstat(path);
    if (info.isDirectory) return { path, info };
    return info.isFile && segments.at(-1) !== "" ? { path, info } : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** A folder without an `index.html`, or one that was asked for without the slash at its end. */
export interface Folder {
  readonly folder: string;
  readonly segments: readonly string[];
}

/** The same, but in place of a folder its `index.html`, where it has one and was asked for with the slash. */
export async function findPage(site: Site, segments: readonly string[]): Promise<Found | Folder | undefined> {
  const found = await find(site, segments);
  if (!found?.info.isDirectory) return found;
  const folder = { folder: found.path, segments };
  // A browser resolves the links of a page against its path: without the slash they would miss the folder.
  if (segments.at(-1) !== "") return folder;
  const index = await find(site, [...segments.slice(0, -1), "index.html"]);
  return index?.info.isFile ? index : folder;
}

/** Where a folder is to be asked for. */
export const slashed = (segments: readonly string[]): string => `/${segments.map(encodeURIComponent).join("/")}/`;

const separator = Deno.build.os === "windows" ? "\\" : "/";

function isUnder(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(separator) ? root : root + separator);
}

const absent = ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG", "EINVAL"];

/** Whether an error of the file system means that there is nothing to serve. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound ||
    (error instanceof Error && absent.includes(String(Reflect.get(error, "code"))));
}

/** How many entries of a folder are listed at most. */
const LISTED = 10_000;

/** The entries of a folder that are served, and how many were left out because there are too many. `path` is its real one. */
export async function readFolder(
  site: Site,
  path: string,
  segments: readonly string[],
): Promise<{ entries: Entry[]; hidden: number }> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(path)) names.push(name);
  const entries: Entry[] = [];
  for (const name of names.slice(0, LISTED)) {
    const found = await find(site, [...segments.slice(0, -1), name]);
    if (found) {
      entries.push({ name, folder: found.info.isDirectory, size: found.info.size, modified: found.info.mtime });
    }
  }
  return { entries, hidden: Math.max(0, names.length - LISTED) };
}

/**
 * Opens a file that was found. Someone who can write to the folder may have put a symbolic link in its place since: what
 * was opened is compared with what is there, under its real path, and is `undefined` when it is not the same.
 */
export async function open({ path, info }: Found): Promise<{ file: Deno.FsFile; info: Deno.FileInfo } | undefined> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  const opened = await file.stat();
  if (opened.isFile && opened.dev === info.dev && opened.ino === info.ino) return { file, info: opened };
  file.close();
  return undefined;
}
