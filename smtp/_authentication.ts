/**
 * AUTH, the server's side: checks that a client knows the user's password (RFC 4954, RFC 4616, RFC 2195).
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** The user who may send mail. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Where an AUTH exchange stands: another challenge, or its result. */
export type AuthResult =
  | { readonly kind: "challenge"; readonly challenge: string }
  | { readonly kind: "success"; readonly user: string }
  | { readonly kind: "failure" }
  | { readonly kind: "malformed" };

/** Decodes base64, in which AUTH sends everything. Returns `undefined` if it is malformed. */
export function fromBase64(text: string): string | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return new TextDecoder().decode(Uint8Array.fromBase64(text));
}

export const toBase64 = (text: string): string => new TextEncoder().encode(text).toBase64();

/** The response to a CRAM-MD5 challenge: proves that the client knows the password without sending it (RFC 2195 §2). */
export const cramMd5Response = ({ user, password }: Credentials, challenge: string): string =>
  `${user} ${createHmac("md5", password).update(challenge).digest("hex")}`;

/** Compares two texts in constant time, so that the duration does not reveal where they differ. */
function timingSafeCompare(a: string, b: string): boolean {
  const digest = (text: string) => createHmac("sha256", "compare").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** The AUTH mechanisms of this project. */
export const mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5"] as const;
export type Mechanism = typeof mechanisms[number];

/** One exchange of one mechanism. */
export class Authentication {
  readonly #challenge: string;
  #name: string | undefined;

  /** With "any" as credentials every user and password is right. */
  constructor(readonly mechanism: Mechanism, readonly credentials: Credentials | "any", host: string) {
    this.#challenge = `<${crypto.randomUUID()}@${host}>`;
  }

  /** The first challenge, in base64. */
  start(): string {
    if (this.mechanism === "PLAIN") return "";
    return toBase64(this.mechanism === "LOGIN" ? "Username:" : this.#challenge);
  }

  /** Checks the client's response to the last challenge. */
  respond(line: string): AuthResult {
    const text = line === "=" ? "" : fromBase64(line); // "=" is an empty initial response (RFC 4954 §4)
    if (line === "*" || text === undefined) return { kind: "malformed" };
    if (this.mechanism === "LOGIN" && this.#name === undefined) {
      this.#name = text;
      return { kind: "challenge", challenge: toBase64("Password:") };
    }
    if (this.mechanism === "PLAIN" && text.split("\0").length !== 3) return { kind: "malformed" };
    if (this.credentials === "any") return { kind: "success", user: "anyone" };
    return this.#isRight(text, this.credentials)
      ? { kind: "success", user: this.credentials.user }
      : { kind: "failure" };
  }

  #isRight(text: string, credentials: Credentials): boolean {
    const expected = `${credentials.user}\0${credentials.password}`;
    if (this.mechanism === "LOGIN") return timingSafeCompare(`${this.#name}\0${text}`, expected);
    if (this.mechanism === "CRAM-MD5") return timingSafeCompare(text, cramMd5Response(credentials, this.#challenge));
    const [actAs, name, secret] = text.split("\0");
    return timingSafeCompare(`${name}\0${secret}`, expected) && (actAs === "" || actAs === name);
  }
}
