/**
 * A user, and the check of what clients send for one. Nothing from outside gets past here unparsed.
 *
 * @module
 */

/** A user as the API shows it; times are RFC 3339 in UTC. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly created: string;
  readonly updated: string;
}

/** What a client may choose of a user. */
export interface Draft {
  readonly name: string;
  readonly email: string;
}

/** What is wrong with one field; `pointer` is a JSON pointer as a URI fragment (RFC 6901 §6), as RFC 9457 §3 shows it. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** Something that is no user: which fields are wrong, all of them, and why. */
export class InvalidUser extends Error {
  constructor(readonly errors: readonly FieldError[]) {
    super(errors.map(({ pointer, detail }) => `${pointer.slice(2)} ${detail}`).join("; "));
  }
}

/** The longest name and email, in characters; an address is no longer in SMTP either (RFC 5321 §4.5.3.1.3). */
export const LONGEST = { name: 100, email: 254 };

/** One @, something on both sides, no spaces. Whether mail arrives there only a mail can tell. */
export const EMAIL = /^[^\s@]{1,64}@[^\s@]+$/;

const rules: Record<keyof Draft, (value: string) => string | undefined> = {
  name: (value) => value.trim() === "" ? "is empty" : undefined,
  email: (value) => EMAIL.test(value) ? undefined : "is no email address",
};

/** Fields that a client gets with a user and may send back with it; they are not its to change. */
const readOnly = ["id", "created", "updated"];

/**
 * What a client sent for a new user, or for all of an old one.
 *
 * @throws {InvalidUser} that names every field which is missing, of the wrong type, malformed or unknown.
 */
export function parseDraft(value: unknown): Draft {
  const { name, email } = parse(value, true);
  if (name === undefined || email === undefined) throw new TypeError("parse lets nothing through that is missing");
  return { name, email };
}

/**
 * What a client sent to change a user: a JSON merge patch (RFC 7396). A field that is not there stays as it is; null would
 * remove it, and a user has no field that can be missing.
 *
 * @throws {InvalidUser} as `parseDraft` does.
 */
export function parsePatch(value: unknown): Partial<Draft> {
  return parse(value, false);
}

function parse(value: unknown, whole: boolean): Partial<Draft> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new InvalidUser([{ pointer: "#", detail: "a user is a JSON object" }]);
  }
  const errors: FieldError[] = [];
  const wrong = (name: string, detail: string) => {
    errors.push({ pointer: `#/${encodeURI(name.replaceAll("~", "~0").replaceAll("/", "~1"))}`, detail });
  };
  const draft: { name?: string; email?: string } = {};
  for (const [name, field] of Object.entries(value)) {
    if (name !== "name" && name !== "email") {
      if (!readOnly.includes(name)) wrong(name, "is no field of a user");
    } else if (typeof field !== "string") wrong(name, field === null ? "cannot be removed" : "is not a string");
    else if (field.length > LONGEST[name]) wrong(name, `is longer than ${LONGEST[name]} characters`);
    else if (/\p{Cc}|\p{Cs}|[\u2028-\u202e\u2066-\u2069]/u.test(field)) wrong(name, "has control characters");
    else {
      const why = rules[name](field);
      if (why === undefined) draft[name] = field;
      else wrong(name, why);
    }
  }
  for (const name of ["name", "email"]) if (whole && !Object.hasOwn(value, name)) wrong(name, "is missing");
  if (errors.length > 0) throw new InvalidUser(errors.slice(0, 20));
  return draft;
}

/** Text without regard to case, to compare with and to search for. */
export const foldCase = (text: string): string => text.normalize("NFC").toLowerCase();

/** What `?q=` looks into. */
export const searchKey = ({ name, email }: Draft): string => foldCase(`${name}\n${email}`);
