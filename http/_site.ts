/**
 * Finds the file that a path names. A client can ask for any path; the server must only send files under its root.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import type { Entry } from "./_listing.ts";

/** A folder whose files are served. */
export interface Site {
  /** The folder's path without symbolic links, as `Deno.realPath` gives it. */
  readonly root: string;
  /** Whether names that start with a dot are served. */
  readonly dotfiles: boolean;
  /** Whether a symbolic link may lead outside the root. */
  readonly followSymlinks: boolean;
}

/** A folder's path without symbolic links. @throws {Failure} with code 2 when it is not a folder. */
export async function realFolder(folder: string): Promise<string> {
  const name = printable(folder);
  try {
    const path = await Deno.realPath(folder);
    if ((await Deno.stat(path)).isDirectory) return path;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`no permission to read ${name}: add -R=${name}`, 1, `-R=${name}`);
    }
    if (!isNotServed(error)) throw error;
  }
  throw new Failure(`--root needs a folder, but ${name} is not one`, 2);
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
  if (!site.dotfiles && segments.some((segment) => segment.startsWith(".") && segment !== ".well-known")) return;
  try {
    const path = await Deno.realPath([site.root, ...segments.filter((segment) => segment !== "")].join("/"));
    if (!site.followSymlinks && !isUnder(site.root, path)) return;
    const info = await Deno.lstat(path);
    if (info.isDirectory) return { path, info };
    return info.isFile && segments.at(-1) !== "" ? { path, info } : undefined;
  } catch (error) {
    if (isNotServed(error)) return undefined;
    throw error;
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
    (error instanceof Error && notServed.includes(String(Reflect.get(error, "code"))));
}

/** The most entries of a folder that are listed. */
const MAX_LISTED = 10_000;

/** The entries of a folder that are served, and how many more there are. `path` has no symbolic links. */
export async function readFolder(
  site: Site,
  path: string,
  segments: readonly string[],
): Promise<{ entries: Entry[]; hidden: number }> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(path)) names.push(name);
  const entries: Entry[] = [];
  for (const name of names.slice(0, MAX_LISTED)) {
    const found = await find(site, [...segments.slice(0, -1), name]);
    if (found) {
      entries.push({ name, folder: found.info.isDirectory, size: found.info.size, modified: found.info.mtime });
    }
  }
  return { entries, hidden: Math.max(0, names.length - MAX_LISTED) };
}

/**
 * Opens a file that was found. A symbolic link may have replaced the file since, so this compares device and inode, and
 * returns `undefined` if they differ.
 */
export async function openChecked(
  { path, info }: Found,
): Promise<{ file: Deno.FsFile; info: Deno.FileInfo } | undefined> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (isNotServed(error)) return undefined;
    throw error;
  }
  const opened = await file.stat();
  if (opened.isFile && opened.dev === info.dev && opened.ino === info.ino) return { file, info: opened };
  file.close();
  return undefined;
}
