/**
 * The user type, and the validation of what clients send.
 *
 * @module
 */
import type { FieldError } from "../http/_problem.ts";

/** A user as the API shows it; times are RFC 3339 in UTC. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly created: string;
  readonly updated: string;
}

/** The fields of a user that a client may set. */
export interface UserInput {
  readonly name: string;
  readonly email: string;
}

/** A value that is not a user; `errors` lists every wrong field. */
export class InvalidUser extends Error {
  constructor(readonly errors: readonly FieldError[]) {
    super(errors.map(({ pointer, detail }) => `${pointer.slice(2)} ${detail}`.trim()).join("; "));
  }
}

/**
 * The maximum length of name and email in characters (code points, as `maxLength` of JSON Schema counts them). An email
 * address in SMTP has the same limit (RFC 5321 §4.5.3.1.3).
 */
export const MAX_LENGTH = { name: 100, email: 254 };

/** Control characters, half surrogates, and formatting that changes the direction of text; for use in `[…]` and `[^…]`. */
const UNSAFE = String.raw`\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069`;

/** What a name and an email must match. The API's description has the same patterns. */
export const PATTERNS = {
  /** At least one character that can be seen. */
  name: String.raw`^(?=.*[^\p{Z}\p{Cf}])[^${UNSAFE}]*$`,
  /** One @ with something on both sides, and no spaces. Only a mail sent to it shows whether the address works. */
  email: String.raw`^[^\s@${UNSAFE}]{1,64}@[^\s@${UNSAFE}]+$`,
};
const patterns = { name: new RegExp(PATTERNS.name, "u"), email: new RegExp(PATTERNS.email, "u") };
const unsafe = new RegExp(`[${UNSAFE}]`, "u");

/** What is wrong with a text that does not match its pattern. */
const MALFORMED = { name: "is empty", email: "is not an email address" };

/** A client may send these fields back. The server ignores them. */
export const READ_ONLY = ["id", "created", "updated"];

/**
 * Parses the fields of a new user, or of one that is replaced.
 *
 * @throws {InvalidUser} that lists every field which is missing, of the wrong type, malformed or unknown.
 */
export function parseInput(value: unknown): UserInput {
  const { name, email } = parseFields(value, ["name", "email"]);
  if (name === undefined || email === undefined) throw new TypeError("parseFields accepted a user without a field");
  return { name, email };
}

/**
 * Parses a JSON merge patch (RFC 7396). An absent field stays unchanged. `null` would remove a field, and every field of a
 * user is required.
 *
 * @throws {InvalidUser} as `parseInput` does.
 */
export function parsePatch(value: unknown): Partial<UserInput> {
  return parseFields(value, []);
}

function parseFields(value: unknown, required: readonly (keyof UserInput)[]): Partial<UserInput> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new InvalidUser([{ pointer: "#", detail: "a user must be a JSON object" }]);
  }
  const errors: FieldError[] = [];
  const addError = (name: string, detail: string) => {
    // toWellFormed: encodeURI throws on half a surrogate pair.
    const token = name.toWellFormed().replaceAll("~", "~0").replaceAll("/", "~1");
    errors.push({ pointer: `#/${encodeURI(token).replaceAll("#", "%23")}`, detail });
  };
  const fields: { name?: string; email?: string } = {};
  for (const [name, field] of Object.entries(value)) {
    if (name !== "name" && name !== "email") {
      if (!READ_ONLY.includes(name)) addError(name, "is not a field of a user");
    } else if (typeof field !== "string") addError(name, field === null ? "cannot be removed" : "is not a string");
    else if (!isShort(field, MAX_LENGTH[name])) addError(name, `is longer than ${MAX_LENGTH[name]} characters`);
    else if (patterns[name].test(field)) fields[name] = field;
    else addError(name, unsafe.test(field) ? "has control characters" : MALFORMED[name]);
  }
  for (const name of required) if (!Object.hasOwn(value, name)) addError(name, "is missing");
  if (errors.length > 0) throw new InvalidUser(errors.slice(0, 20));
  return fields;
}

/** Whether a text has at most so many characters. A character beyond U+FFFF counts once, though its `length` is 2. */
export const isShort = (text: string, max: number): boolean => text.length <= max || [...text].length <= max;

/** Text in a form in which upper and lower case are the same, for comparing and searching. */
export const foldCase = (text: string): string => text.normalize("NFC").toLowerCase();

/** The text that `?q=` searches. */
export const searchKey = ({ name, email }: UserInput): string => foldCase(`${name}\n${email}`);
