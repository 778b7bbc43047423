/**
 * The head of an HTTP/1.1 message: its first line and its fields, parsed from bytes and written to them (RFC 9112).
 * Pure functions; `body.ts` has what comes after the head.
 *
 * They are strict where laxness is a hole. Two programs that read one message in two ways, a proxy and the server behind
 * it, can be made to see two different requests (RFC 9112 §11.2), so whatever could be read in two ways is an error here.
 *
 * @module
 */

/** A message that breaks the rules, and the status code that says so (RFC 9110 §15). */
export class MessageError extends Error {
  constructor(readonly status: 400 | 413 | 414 | 431 | 501 | 505, message: string) {
    super(message);
  }
}

/** How long a head may be, in bytes. The standard sets no limits, and asks for 8000 at least for a request line. */
export const HEAD = { line: 8192, section: 32768, fields: 100 };

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // RFC 9110 §5.6.2

/** The fields of a message, in their order (RFC 9110 §5). Names are compared without regard to case. */
export class Fields {
  readonly #names: string[] = [];
  readonly #lines: [name: string, value: string][] = [];

  /**
   * ```ts
   * const fields = new Fields([["Host", "example.com"], ["Accept", "text/html"]]);
   * fields.get("accept"); // "text/html"
   * ```
   *
   * @throws {MessageError} on a name that is no token, or a value with a control character in it: a line end would let the
   * value add fields, or a whole message, of its own.
   */
  constructor(lines: Iterable<readonly [name: string, value: string]> = []) {
    for (const [name, value] of lines) this.append(name, value);
  }

  /** Adds one field line. @throws {MessageError} as the constructor does. */
  append(name: string, value: string): void {
    if (!token.test(name)) throw new MessageError(400, "a field name is a token, with no space before its colon");
    // deno-lint-ignore no-control-regex -- they are what is looked for
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) throw new MessageError(400, `a control character in ${name}`);
    this.#names.push(name.toLowerCase());
    this.#lines.push([name, value]);
  }

  /** The value of a field; of several lines with its name, all values as one list (RFC 9110 §5.3). */
  get(name: string): string | undefined {
    const first = this.#names.indexOf(name);
    if (first < 0) return undefined;
    return this.#names.indexOf(name, first + 1) < 0 ? this.#lines[first]?.[1] : this.all(name).join(", ");
  }

  /** Whether there is a field with this name, which is given in lower case. */
  has(name: string): boolean {
    return this.#names.includes(name);
  }

  /** The values of each line with this name, which is given in lower case. */
  all(name: string): string[] {
    return this.#lines.filter((_, i) => this.#names[i] === name).map(([, value]) => value);
  }

  /** Whether a field whose value is a list has this member, such as `close` in Connection. */
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
  /** The request target as it was sent: `/path?query`, a whole URI, or `*`. */
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
 * Looks for the end of a head in the bytes that have come so far. Returns its length, with the empty line that ends it, or
 * -1 when more must come. Empty lines before the first one are passed over (RFC 9112 §2.2), and are counted in.
 *
 * @throws {MessageError} as soon as it is clear that the head is too long, or that a line does not end in CR LF.
 */
export function headLength(bytes: Uint8Array): number {
  let at = 0;
  while (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
  const first = at;
  while (true) {
    const end = bytes.indexOf(LF, at);
    if ((end < 0 ? bytes.length : end) - at > HEAD.line) {
      throw at === first
        ? new MessageError(414, `a first line of more than ${HEAD.line} bytes`)
        : new MessageError(431, `a field of more than ${HEAD.line} bytes`);
    }
    if ((end < 0 ? bytes.length : end) > HEAD.section) {
      throw new MessageError(431, `a head of more than ${HEAD.section} bytes`);
    }
    if (end < 0) return -1;
    if (bytes[end - 1] !== CR) throw new MessageError(400, "a line ends in CR LF, not in LF alone (try nc -C)");
    if (end === at + 1) return end + 1;
    at = end + 1;
  }
}

// Bytes over 127 mean nothing in HTTP itself (RFC 9110 §5.5); as UTF-8, which most of them are, they can be shown.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The lines of a head without its last, empty one. */
function linesOf(head: Uint8Array): string[] {
  const lines = decoder.decode(head).replace(/^(?:\r\n)+/, "").split("\r\n");
  if (lines.pop() !== "" || lines.pop() !== "") throw new MessageError(400, "a head ends in an empty line");
  if (lines.length - 1 > HEAD.fields) throw new MessageError(431, `more than ${HEAD.fields} fields`);
  return lines;
}

function fieldsOf(lines: string[]): Fields {
  const fields = new Fields();
  for (let i = 1; i < lines.length; i++) parseField(lines[i] ?? "", fields);
  return fields;
}

/**
 * Parses one field line, `Name: value`, into `fields` (RFC 9112 §5).
 *
 * @throws {MessageError} on a line without a colon, a space before it, or a line folded onto the one before (§5.2).
 */
export function parseField(line: string, fields: Fields): void {
  if (/^[ \t]/.test(line)) throw new MessageError(400, "a field line that starts with a space (obsolete line folding)");
  const colon = line.indexOf(":");
  if (colon < 0) throw new MessageError(400, "a field line without a colon");
  fields.append(line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ""));
}

/** A host and its port, as the Host field has them: a name, an IPv4 address, or an IPv6 address in brackets. */
const host = /^(?:\[[\da-fA-F:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d{0,5})?$/;

/**
 * Parses the head of a request (RFC 9112 §3); `head` is what `headLength` found the end of.
 *
 * ```ts
 * parseRequest(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")).target; // "/"
 * ```
 *
 * @throws {MessageError} 400 when it is malformed or has not exactly one Host, 505 when it is not HTTP/1.
 */
export function parseRequest(head: Uint8Array): RequestHead {
  const lines = linesOf(head);
  const [method = "", target = "", version = "", ...more] = (lines[0] ?? "").split(" ");
  if (more.length > 0 || !token.test(method)) {
    throw new MessageError(400, "a request line is a method, a target and a version, with one space between");
  }
  const minor = parseVersion(version);
  const form = target === "*"
    ? method === "OPTIONS"
    : method === "CONNECT"
    ? host.test(target)
    : /^(?:\/|https?:\/\/[^/?]+)[!-~]*$/i.test(target) && !target.includes("#");
  if (!form) throw new MessageError(400, "a request target is a path from /, or a whole URI");
  const fields = fieldsOf(lines);
  const hosts = fields.all("host");
  if (hosts.length > 1 || (hosts.length === 0 && minor === 1)) {
    throw new MessageError(400, `a request has one Host, not ${hosts.length}`);
  }
  if (hosts[0] !== undefined && !host.test(hosts[0])) throw new MessageError(400, "a malformed Host");
  return { method, target, minor, fields };
}

/**
 * Parses the head of a response (RFC 9112 §4). The space after the status code is not insisted on where no reason follows.
 *
 * @throws {MessageError} when it is malformed.
 */
export function parseResponse(head: Uint8Array): ResponseHead {
  const lines = linesOf(head);
  const [, version = "", status = "", reason = ""] = /^(\S+) ([1-5]\d\d)(?: (.*))?$/.exec(lines[0] ?? "") ?? [];
  if (status === "") throw new MessageError(400, "a status line is a version, three digits and a reason");
  // deno-lint-ignore no-control-regex -- they are what is looked for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(reason)) throw new MessageError(400, "a control character in the status line");
  return { status: Number(status), reason, minor: parseVersion(version), fields: fieldsOf(lines) };
}

function parseVersion(version: string): 0 | 1 {
  const [, major, minor] = /^HTTP\/(\d)\.(\d)$/.exec(version) ?? [];
  if (major === undefined) throw new MessageError(400, "a version is HTTP/ and two digits with a dot between");
  if (major !== "1") throw new MessageError(505, `HTTP/${major} is not HTTP/1`);
  return minor === "0" ? 0 : 1; // a higher minor version than ours is understood as ours (RFC 9110 §6.2)
}

/** The bytes of a request head. @throws {MessageError} on a method or a target that would break the line. */
export function writeRequest({ method, target, fields }: Omit<RequestHead, "minor">): Uint8Array<ArrayBuffer> {
  if (!token.test(method)) throw new MessageError(400, "a method is a token");
  if (!/^[!-~]+$/.test(target)) throw new MessageError(400, "a request target has no spaces and no controls");
  return write(`${method} ${target} HTTP/1.1`, fields);
}

/** The bytes of a response head. */
export function writeResponse({ status, reason, fields }: Omit<ResponseHead, "minor">): Uint8Array<ArrayBuffer> {
  return write(`HTTP/1.1 ${status} ${reason}`, fields);
}

const encoder = new TextEncoder();

function write(first: string, fields: Fields): Uint8Array<ArrayBuffer> {
  let text = `${first}\r\n`;
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  return encoder.encode(`${text}\r\n`);
}

/** A head and what follows it, to go out in one write: in two, the second may wait for the first to be acknowledged. */
export function concat(head: Uint8Array, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(head.length + body.length);
  both.set(head);
  both.set(body, head.length);
  return both;
}
