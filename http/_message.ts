/**
 * The head of an HTTP/1.1 message: parses its first line and its fields, and encodes them (RFC 9112). Pure functions.
 * `_body.ts` handles what comes after the head.
 *
 * The parser is strict for security. If a proxy and the server behind it read the same bytes differently, an attacker can
 * hide a request from the proxy (request smuggling, RFC 9112 §11.2). So every ambiguous message is an error.
 *
 * @module
 */
import { isAuthority, isTarget } from "./_authority.ts";

/** A message that breaks the rules. `status` is the status code of the error response (RFC 9110 §15). */
export class MessageError extends Error {
  constructor(readonly status: 400 | 413 | 414 | 431 | 501 | 505, message: string) {
    super(message);
  }
}

/** The largest line and head, in bytes, and the most fields. RFC 9112 §3 asks for at least 8000 bytes for a request line. */
export const HEAD_LIMITS = { line: 8192, section: 32768, fields: 100 };

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // RFC 9110 §5.6.2

/** The fields of a message, in their order (RFC 9110 §5). In a name, upper and lower case count as the same. */
export class Fields {
  readonly #names: string[] = [];
  readonly #lines: [name: string, value: string][] = [];

  /**
   * ```ts
   * const fields = new Fields([["Host", "example.com"], ["Accept", "text/html"]]);
   * fields.get("accept"); // "text/html"
   * ```
   *
   * @throws {MessageError} on a malformed name, or a control character in a value: a line end could inject fields, or a whole
   * message.
   */
  constructor(lines: Iterable<readonly [name: string, value: string]> = []) {
    for (const [name, value] of lines) this.append(name, value);
  }

  /** Adds one field. @throws {MessageError} as the constructor does. */
  append(name: string, value: string): void {
    if (!token.test(name)) {
      throw new MessageError(
        400,
        "malformed field name: only letters, digits and some signs are allowed, and no space before the colon",
      );
    }
    // deno-lint-ignore no-control-regex -- control characters are what this test looks for
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
      throw new MessageError(400, `the field ${name} contains a control character`);
    }
    this.#names.push(name.toLowerCase());
    this.#lines.push([name, value]);
  }

  /** The value of a field; `name` is in lower case. Several fields of one name are joined with commas (RFC 9110 §5.3). */
  get(name: string): string | undefined {
    const first = this.#names.indexOf(name);
    if (first < 0) return undefined;
    return this.#names.indexOf(name, first + 1) < 0 ? this.#lines[first]?.[1] : this.all(name).join(", ");
  }

  /** Whether there is a field with this name, in lower case. */
  has(name: string): boolean {
    return this.#names.includes(name);
  }

  /** The values of all fields with this name, in lower case. */
  all(name: string): string[] {
    return this.#lines.filter((_, i) => this.#names[i] === name).map(([, value]) => value);
  }

  /** Whether the list in a field has this member: `close` in Connection, for example. */
  lists(name: string, member: string): boolean {
    return this.get(name)?.split(",").some((part) => part.trim().toLowerCase() === member) ?? false;
  }

  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.#lines.values();
  }
}

/** The head of a request (RFC 9112 §3). */
export interface RequestHead {
  readonly method: string;
  /** The request target as it was sent: `/path?query`, a complete URI, or `*`. */
  readonly target: string;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  readonly minor: 0 | 1;
  readonly fields: Fields;
}

/** The head of a response (RFC 9112 §4). */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minor: 0 | 1;
  readonly fields: Fields;
}

const CR = 13;
const LF = 10;

/**
 * Finds the end of a head. Returns its length with the final empty line, or -1 if the head is incomplete. Skips empty lines
 * before the first line (RFC 9112 §2.2), but counts their bytes.
 *
 * @throws {MessageError} as soon as the head is too long, or a line does not end in CR LF.
 */
export function headLength(bytes: Uint8Array): number {
  let at = 0;
  while (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
  if (at > HEAD_LIMITS.fields) throw new MessageError(400, "too many empty lines before the first line");
  const first = at;
  // A limit for the lines here, too: a head that arrives byte by byte is searched each time.
  for (let lines = 0; lines <= HEAD_LIMITS.fields + 1; lines++) {
    const end = bytes.indexOf(LF, at);
    if ((end < 0 ? bytes.length : end) - at > HEAD_LIMITS.line) {
      throw at === first
        ? new MessageError(414, `the first line is longer than ${HEAD_LIMITS.line} bytes`)
        : new MessageError(431, `a field is longer than ${HEAD_LIMITS.line} bytes`);
    }
    if ((end < 0 ? bytes.length : end) > HEAD_LIMITS.section) {
      throw new MessageError(431, `the head is longer than ${HEAD_LIMITS.section} bytes`);
    }
    if (end < 0) return -1;
    if (bytes[end - 1] !== CR) {
      throw new MessageError(
        400,
        "this line ends in LF alone: every line must end in CR LF (with nc, use nc -C, on macOS nc -c)",
      );
    }
    if (end === at + 1) return end + 1;
    at = end + 1;
  }
  throw new MessageError(431, `the head has more than ${HEAD_LIMITS.fields} fields`);
}

// HTTP treats bytes above 127 as opaque (RFC 9110 §5.5). Most are UTF-8, so they are decoded as UTF-8.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** How bytes become text. A proxy, which must not change a byte, has its own (`_latin1.ts`). */
type Decode = (bytes: Uint8Array) => string;
const decodeUtf8: Decode = (bytes) => decoder.decode(bytes);

/** The lines of a head, without the empty line that ends it. */
function splitHead(head: Uint8Array, decode: Decode): string[] {
  const lines = decode(head).replace(/^(?:\r\n)+/, "").split("\r\n");
  if (lines.pop() !== "" || lines.pop() !== "") throw new MessageError(400, "the head does not end in an empty line");
  return lines;
}

function parseFields(lines: string[]): Fields {
  const fields = new Fields();
  for (let i = 1; i < lines.length; i++) parseField(lines[i] ?? "", fields);
  return fields;
}

/**
 * Parses one field line, `Name: value`, into `fields` (RFC 9112 §5).
 *
 * @throws {MessageError} when there is no colon, a space before it, or a space at the start: a folded line (§5.2).
 */
export function parseField(line: string, fields: Fields): void {
  if (/^[ \t]/.test(line)) {
    throw new MessageError(400, "a field line starts with a space: folded lines are not accepted");
  }
  const colon = line.indexOf(":");
  if (colon < 0) throw new MessageError(400, "a field line has no colon");
  fields.append(line.slice(0, colon), trimSpaces(line, colon + 1));
}

/** The text from `start` without the spaces and tabs around it; a regular expression would try each run of spaces inside. */
function trimSpaces(line: string, start: number): string {
  let end = line.length;
  while (isSpace(line.charCodeAt(start))) start++;
  while (end > start && isSpace(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

const isSpace = (code: number) => code === 32 || code === 9;

/**
 * Parses the head of a request (RFC 9112 §3). `head` ends where `headLength` says.
 *
 * ```ts
 * parseRequest(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")).target; // "/"
 * ```
 *
 * @throws {MessageError} 400 when the head is malformed or does not have exactly one Host, 505 when it is not HTTP/1.
 */
export function parseRequest(head: Uint8Array, decode = decodeUtf8): RequestHead {
  const lines = splitHead(head, decode);
  const [method = "", target = "", version = "", ...more] = (lines[0] ?? "").split(" ");
  if (more.length > 0 || !token.test(method)) {
    throw new MessageError(
      400,
      "malformed request line: it must be METHOD TARGET VERSION, with one space between them",
    );
  }
  const minor = parseVersion(version);
  if (!isTarget(method, target)) {
    throw new MessageError(400, "the request target must be a path that starts with /, or a complete URI");
  }
  const fields = parseFields(lines);
  const hosts = fields.all("host");
  if (hosts.length > 1 || (hosts.length === 0 && minor === 1)) {
    throw new MessageError(400, `the request has ${hosts.length} Host fields: it must have exactly one`);
  }
  if (hosts[0] !== undefined && !isAuthority(hosts[0])) {
    throw new MessageError(400, "malformed Host field: it must be a name or an address, and perhaps a port");
  }
  return { method, target, minor, fields };
}

/**
 * Parses the head of a response (RFC 9112 §4). The space after the status code may be missing if there is no reason phrase.
 *
 * @throws {MessageError} when the head is malformed.
 */
export function parseResponse(head: Uint8Array, decode = decodeUtf8): ResponseHead {
  const lines = splitHead(head, decode);
  const [, version = "", status = "", reason = ""] = /^(\S+) ([1-5]\d\d)(?: (.*))?$/.exec(lines[0] ?? "") ?? [];
  if (status === "") {
    throw new MessageError(400, "malformed status line: it must be VERSION, three digits and a reason phrase");
  }
  // deno-lint-ignore no-control-regex -- control characters are what this test looks for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(reason)) {
    throw new MessageError(400, "the status line contains a control character");
  }
  return { status: Number(status), reason, minor: parseVersion(version), fields: parseFields(lines) };
}

/** Whether the client wants to send more requests on this connection: by default in HTTP/1.1 (RFC 9112 §9.3). */
export const wantsKeepAlive = ({ minor, fields }: RequestHead): boolean =>
  minor === 1 ? !fields.lists("connection", "close") : fields.lists("connection", "keep-alive");

function parseVersion(version: string): 0 | 1 {
  const [, major, minor] = /^HTTP\/(\d)\.(\d)$/.exec(version) ?? [];
  if (major === undefined) throw new MessageError(400, "malformed version: it must look like HTTP/1.1");
  if (major !== "1") throw new MessageError(505, `HTTP version ${major} is not supported, only HTTP/1.x`);
  return minor === "0" ? 0 : 1; // HTTP/1.2 and later count as 1.1 (RFC 9110 §6.2)
}

/** Encodes the head of a request. @throws {MessageError} on a method or a target that would break its line. */
export function encodeRequest({ method, target, fields }: Omit<RequestHead, "minor">): Uint8Array<ArrayBuffer> {
  if (!token.test(method)) {
    throw new MessageError(400, "malformed method: no spaces, separators or control characters are allowed");
  }
  if (!/^[!-~]+$/.test(target)) {
    throw new MessageError(
      400,
      "malformed request target: only ASCII without spaces and control characters is allowed (write others as %20)",
    );
  }
  return encodeHead(`${method} ${target} HTTP/1.1`, fields);
}

/** Encodes the head of a response. */
export function encodeResponse({ status, reason, fields }: Omit<ResponseHead, "minor">): Uint8Array<ArrayBuffer> {
  return encodeHead(`HTTP/1.1 ${status} ${reason}`, fields);
}

const encoder = new TextEncoder();

function encodeHead(first: string, fields: Fields): Uint8Array<ArrayBuffer> {
  let text = `${first}\r\n`;
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  return encoder.encode(`${text}\r\n`);
}
