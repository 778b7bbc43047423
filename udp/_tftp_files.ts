/**
 * The files of a TFTP server: nothing outside of its folder, nothing half written.
 *
 * @module
 */
import { lengthOf } from "../tcp/_read_file.ts";
import { errorCodes } from "./_tftp_message.ts";
import type { Sink, Source } from "./_tftp_transfer.ts";

/** A request that is refused, with the code that the client is told. */
export class Refusal extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** The path of a file in a folder, by the name in a request. @throws {Refusal} for one that could lead out of the folder. */
export async function locate(root: string, name: string): Promise<string> {
  const parts = name.replace(/^\/+/, "").split("/");
  // Names with ".." or a dot in front, Windows' streams, drives and short names: a file server has no use for any of them.
  const isPlain = parts.every((part) => /^[^.\p{Cc}\\:*?"<>|~][^\p{Cc}\\:*?"<>|~]*(?<![. ])$/u.test(part));
  if (!isPlain || name.length > 255) throw new Refusal(errorCodes.accessViolation, "this name is not allowed");
  const path = `${root}/${parts.join("/")}`;
  const folder = await realPath(path.slice(0, path.lastIndexOf("/")));
  // A link inside the folder may lead out of it.
  const inside = await realPath(root);
  if (folder !== inside && !folder.startsWith(inside + (inside.endsWith("/") ? "" : "/"))) {
    throw new Refusal(errorCodes.accessViolation, "this name leads out of the folder");
  }
  return path;
}

async function realPath(path: string): Promise<string> {
  try {
    return (await Deno.realPath(path)).replaceAll("\\", "/");
  } catch (error) {
    throw refusal(error);
  }
}

/** What the file system's refusal is in TFTP. A bug comes back unchanged. */
function refusal(error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
    return new Refusal(errorCodes.notFound, "no such file");
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new Refusal(errorCodes.accessViolation, "this file may not be used");
  }
  const isSystem = error instanceof Error && Reflect.has(error, "code");
  return isSystem ? new Refusal(errorCodes.undefined, "the file system refused") : error;
}

/** A file that is being read. */
export interface OpenSource extends Source {
  close(): void;
}

/** Opens a file of the folder for reading. @throws {Refusal} */
export async function openSource(path: string): Promise<OpenSource> {
  let file: Deno.FsFile | undefined;
  try {
    // A link is followed only to where a name may lead; a pipe or a device would block, or never end.
    if (!(await Deno.lstat(path)).isFile) throw new Refusal(errorCodes.accessViolation, "this is no file");
    file = await Deno.open(path);
    return new FileSource(file, lengthOf(file));
  } catch (error) {
    file?.close();
    throw error instanceof Refusal ? error : refusal(error);
  }
}

/** Reads ahead: a block is small, and a read of the file costs as much as a block. */
class FileSource implements OpenSource {
  #chunk: Uint8Array = new Uint8Array();
  #start = 0;

  constructor(readonly file: Deno.FsFile, readonly size: number) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (offset < this.#start || end > this.#start + this.#chunk.length) {
      this.#start = offset;
      this.#chunk = await this.#readChunk(offset, Math.max(length, 1 << 18));
    }
    return this.#chunk.subarray(offset - this.#start, end - this.#start);
  }

  async #readChunk(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.min(length, this.size - offset));
    await this.file.seek(offset, Deno.SeekMode.Start);
    let got = 0;
    while (got < bytes.length) {
      const n = await this.file.read(bytes.subarray(got));
      if (n === null) throw new Refusal(errorCodes.undefined, "the file became shorter");
      got += n;
    }
    return bytes;
  }

  close(): void {
    this.file.close();
  }
}

/** A file that is being written: under another name, until all of it has arrived. */
export class Upload implements Sink {
  #size = 0;
  #isOpen = true;
  readonly #limit: number;

  private constructor(
    readonly path: string,
    readonly part: string,
    readonly file: Deno.FsFile,
    limit: number,
  ) {
    this.#limit = limit;
  }

  /** @throws {Refusal} when the file exists, or the folder refuses it. */
  static async create(path: string, limit: number): Promise<Upload> {
    const part = `${path.replace(/[^/]*$/, "")}.${crypto.randomUUID()}.part`;
    try {
      if (await exists(path)) throw new Refusal(errorCodes.fileExists, "the file exists");
      return new Upload(path, part, await Deno.open(part, { write: true, createNew: true }), limit);
    } catch (error) {
      throw error instanceof Refusal ? error : refusal(error);
    }
  }

  /** @throws {Refusal} when the file becomes too long, or the disk is full. */
  async write(data: Uint8Array): Promise<void> {
    this.#size += data.length;
    if (this.#size > this.#limit) throw new Refusal(errorCodes.diskFull, `a file may have ${this.#limit} bytes`);
    for (let at = 0; at < data.length;) {
      at += await this.file.write(data.subarray(at)).catch((error) => {
        throw refusal(error);
      });
    }
  }

  /** Gives the whole file its name. @throws {Refusal} when it was taken in the meantime. */
  async finish(): Promise<void> {
    this.#close();
    try {
      await Deno.link(this.part, this.path); // fails if the name exists; a rename would replace that file
    } catch (error) {
      throw error instanceof Deno.errors.AlreadyExists
        ? new Refusal(errorCodes.fileExists, "the file exists")
        : refusal(error);
    } finally {
      await this.#remove();
    }
  }

  /** Removes what has arrived, if not all of it has. */
  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.#close();
    await this.#remove();
  }

  async #remove(): Promise<void> {
    try {
      await Deno.remove(this.part);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw refusal(error); // somebody else has removed it
    }
  }

  #close(): void {
    this.file.close();
    this.#isOpen = false;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A text in the form of `netascii`: a line ends in CR LF, and a CR that ends none is followed by NUL (RFC 764, RFC 1350 §1). */
export async function asNetascii(source: OpenSource): Promise<OpenSource> {
  const LIMIT = 16 * 1024 * 1024; // the length changes, so all of it has to be in memory
  if (source.size > LIMIT) throw new Refusal(errorCodes.undefined, "too long for netascii: use the mode octet");
  const bytes = await source.read(0, source.size);
  let length = bytes.length;
  for (const byte of bytes) if (byte === 10 || byte === 13) length++;
  const text = new Uint8Array(length);
  let at = 0;
  for (const byte of bytes) {
    if (byte === 10) text[at++] = 13;
    text[at++] = byte;
    if (byte === 13) at++; // and a zero byte
  }
  return {
    size: text.length,
    read: (offset, length) => Promise.resolve(text.subarray(offset, offset + length)),
    close: () => source.close(),
  };
}

/** Turns netascii back into this machine's lines, block by block: a CR may be the last byte of one. */
export function fromNetascii(): (data: Uint8Array) => Uint8Array {
  let afterCr = false;
  return (data) => {
    const out: number[] = [];
    for (const byte of data) {
      if (afterCr) {
        afterCr = false;
        out.push(byte === 10 ? 10 : 13);
        if (byte === 10 || byte === 0) continue;
      }
      if (byte === 13) afterCr = true;
      else out.push(byte);
    }
    return Uint8Array.from(out);
  };
}
