/**
 * Finds the file that a path names. A client can ask for any path; the server must only send files under its root.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import { reason } from "../tcp/_read_file.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import type { Entry } from "./_listing.ts";
import { isHidden, isSpecialOnWindows } from "./_path.ts";

/** A file or a folder that is there, and cannot be opened or read. `status` is the status code of the error response. */
export class FileError extends Error {
  constructor(readonly status: 403 | 500 | 503, message: string) {
    super(message);
  }
}

/** Opens or reads something in a site. Returns `undefined` when it is gone. @throws {FileError} when the system refuses. */
export async function fromDisk<T>(action: Promise<T>): Promise<T | undefined> {
  try {
    return await action;
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES" || systemCode(error) === "EPERM") throw new FileError(403, "the server may not read this");
    // Descriptors are free again when another client leaves.
    if (code === "EMFILE" || systemCode(error) === "ENFILE") throw new FileError(503, "too many files are open");
    if (isNotServed(error)) return undefined;
    if (error instanceof Error && systemCode(error) !== undefined) throw new FileError(500, reason(error));
    throw error; // a bug
  }
}

/** A folder whose files are served. */
export interface Site {
  /** The folder's path without symbolic links, as `Deno.realPath` gives it. */
  readonly root: string;
  /** Whether names that start with a dot are served. */
  readonly dotfiles: boolean;
  /** Whether a symbolic link may lead outside the root. */
  readonly followSymlinks: boolean;
}

/** The folder that a command line names, as its argument or by `--root`. @throws {Failure} with code 2 for more than one. */
export function namedFolder({ root, args }: { root: string; args: readonly string[] }): string | undefined {
  const [folder, second] = root ? [root, ...args] : args;
  if (second !== undefined) throw new Failure(`one folder is enough: unexpected argument ${printable(second)}`, 2);
  return folder;
}

/** A folder's path without symbolic links. @throws {Failure} with code 2 when it is not a folder. */
export async function realFolder(folder: string): Promise<string> {
  const names = [folder];
  try {
    const path = await Deno.realPath(folder);
    names.push(path);
    if ((await Deno.stat(path)).isDirectory) return path;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      // Behind a link, as /tmp is one on macOS, a folder has two names, and the files are opened by the other one.
      const right = printable(`-R=${names}`);
      throw new Failure(`no permission to read ${printable(names.at(-1) ?? "")}: add ${right}`, 2, right);
    }
    if (!isNotServed(error)) throw error;
  }
  throw new Failure(`--root needs a folder, but ${printable(folder)} is not one`, 2);
}

/** A file or a folder that was found. `path` has no symbolic links. */
export interface Found {
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/**
 * Finds the file or folder that a path names. Returns `undefined` when there is nothing to serve: it does not exist, cannot
 * be read, is hidden or outside the root, or is not a regular file (opening a named pipe would block forever).
 */
export async function find(site: Site, segments: readonly string[]): Promise<Found | undefined> {
  if (!site.dotfiles && segments.some(isHidden)) return;
  if (Deno.build.os === "windows" && segments.some(isSpecialOnWindows)) return;
  try {
    const path = await Deno.realPath([site.root, ...segments.filter((segment) => segment !== "")].join("/"));
    const isInside = isUnder(site.root, path);
    if (!site.followSymlinks && !isInside) return;
    // The name that was asked for may be another one of a hidden file: a link, or on Windows `GIT~1` for `.git`.
    if (!site.dotfiles && isInside && path.slice(site.root.length).split(separator).some(isHidden)) return;
    const info = await Deno.lstat(path);
    if (info.isDirectory) return { path, info };
    return info.isFile && segments.at(-1) !== "" ? { path, info } : undefined;
  } catch (error) {
    if (isNotServed(error)) return undefined; // that it cannot be searched or is a loop of links does not matter
    return await fromDisk(Promise.reject(error));
  }
}

/** A folder without an `index.html`, or one whose path has no slash at its end. */
export interface Folder {
  readonly folder: string;
  readonly segments: readonly string[];
}

/** Like `find`, but a path with a final slash gives the folder's `index.html` if there is one. */
export async function findFileOrIndex(site: Site, segments: readonly string[]): Promise<Found | Folder | undefined> {
  const found = await find(site, segments);
  if (!found?.info.isDirectory) return found;
  const folder = { folder: found.path, segments };
  // Browsers resolve relative links against the path: without the final slash, links would point into the parent folder.
  if (segments.at(-1) !== "") return folder;
  const index = await find(site, [...segments.slice(0, -1), "index.html"]);
  return index?.info.isFile ? index : folder;
}

const separator = Deno.build.os === "windows" ? "\\" : "/";

function isUnder(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(separator) ? root : root + separator);
}

const notServed = ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG", "EINVAL"];

/** Whether an error of the file system means that there is nothing to serve. */
function isNotServed(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound ||
    notServed.includes(systemCode(error) ?? "");
}

/** The code of an error of the file system, such as ENOENT. */
function systemCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" ? code : undefined;
}

/** The most entries of a folder that are listed. */
const MAX_LISTED = 10_000;

/**
 * The entries of a folder that are served, how many more there are, and how many of them have names that are not UTF-8. `path` has no symbolic links.
 *
 * @throws {FileError} when the folder cannot be read.
 */
export async function readFolder(
  site: Site,
  path: string,
  segments: readonly string[],
): Promise<{ entries: Entry[]; hidden: number; unreadable: number }> {
  const names = await fromDisk(Array.fromAsync(Deno.readDir(path), ({ name }) => name)) ?? [];
  const entries: Entry[] = [];
  let unreadable = 0;
  for (const name of names.slice(0, MAX_LISTED)) {
    const found = await find(site, [...segments.slice(0, -1), name]);
    if (found) {
      entries.push({ name, folder: found.info.isDirectory, size: found.info.size, modified: found.info.mtime });
    } else if (name.includes("\ufffd")) unreadable++; // a name that is not UTF-8: Deno cannot open it
  }
  return { entries, hidden: Math.max(0, names.length - MAX_LISTED), unreadable };
}

/**
 * Opens a file that was found. A symbolic link may have replaced the file since, so this compares device and inode, and
 * returns `undefined` if they differ.
 *
 * @throws {FileError} when the file cannot be opened.
 */
export async function openChecked(
  { path, info }: Found,
): Promise<{ file: Deno.FsFile; info: Deno.FileInfo } | undefined> {
  const file = await fromDisk(Deno.open(path));
  if (!file) return undefined;
  const opened = await file.stat().catch(() => undefined);
  if (opened?.isFile && opened.dev === info.dev && opened.ino === info.ino) return { file, info: opened };
  file.close();
  return undefined;
}

/** Reads from an open file. Returns `null` at its end, or when it cannot be read any more: the disk is gone, for example. */
export async function readMore(file: Deno.FsFile, buffer: Uint8Array): Promise<number | null> {
  try {
    return await fromDisk(file.read(buffer)) ?? null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}
