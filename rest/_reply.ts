/**
 * What a server of users must send: the client's checks. Each failure says which form came and which was wanted, so a student
 * sees where another API differs.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";

/** The fields of a user that the client prints. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly updated: string;
}

const WANTED = "id (a number), name, email and updated (strings)";

/** Parses a list; what it contains is for `parseUser`. @throws {Failure} */
export function parseList(value: unknown, from: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new Failure(`${from} sent ${describe(value)} instead of a list of users: [{"id": 1, "name": "Ada", …}, …]`);
}

/** Parses a user. @throws {Failure} */
export function parseUser(value: unknown, from: string): User {
  const user: Record<string, unknown> = isObject(value) ? value : {};
  const { id, name, email, updated } = user;
  if (typeof id === "number" && typeof name === "string" && typeof email === "string" && typeof updated === "string") {
    return { id, name, email, updated };
  }
  const wrong = ["id", "name", "email", "updated"].find((field) =>
    Object.hasOwn(user, field) && typeof user[field] !== (field === "id" ? "number" : "string")
  );
  const found = wrong === undefined ? describe(value) : `a user whose ${wrong} is ${describe(user[wrong])}`;
  throw new Failure(`${from} sent ${found} instead of a user with ${WANTED}`);
}

/** Why a request failed: the detail of a problem (RFC 9457), which names the fields that are wrong. */
export function problemDetail(value: unknown): string {
  const detail = isObject(value) ? value.detail : undefined;
  if (typeof detail === "string") return shorten(detail, 500);
  return `the server does not say why: it sent ${describe(value)} instead of a problem with the field detail`;
}

/** Parses JSON; `undefined` if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** JSON that may go to a terminal: what it must not receive is escaped in JSON's own form. @throws {Failure} */
export function formatJson(value: unknown): string {
  let json: string;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // a RangeError: the recursion is too deep for the stack
    throw new Failure("the server's JSON is nested too deeply to print it");
  }
  return json.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/gu,
    (char) =>
      Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** The form of a value, in words. */
function describe(value: unknown): string {
  if (value === undefined) return "something that is not JSON";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "string") return `the string "${shorten(value, 40)}"`;
  if (!isObject(value)) return `${value}`;
  const names = Object.keys(value);
  if (names.length === 0) return "an empty object";
  const shown = names.slice(0, 5).map((name) => shorten(name, 40)).join(", ");
  return `an object with the field${names.length === 1 ? "" : "s"} ${shown}${names.length > 5 ? ", …" : ""}`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The first characters of a text, for a terminal. */
const shorten = (text: string, max: number): string =>
  text.length <= max ? printable(text) : `${printable(text.slice(0, max))}…`;
