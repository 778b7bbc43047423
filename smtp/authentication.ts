/**
 * AUTH, the server's side: who says that it is whom, and knows the password (RFC 4954, RFC 4616, RFC 2195).
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** The name and password of the one who may send. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** What became of an exchange so far: one more question, or its end. */
export type Outcome =
  | { readonly kind: "ask"; readonly challenge: string }
  | { readonly kind: "known"; readonly user: string }
  | { readonly kind: "unknown" }
  | { readonly kind: "broken" };

/** Text in base64, as all of AUTH is; `undefined` when it is none. */
export function fromBase64(text: string): string | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return new TextDecoder().decode(Uint8Array.fromBase64(text));
}

export const toBase64 = (text: string): string => new TextEncoder().encode(text).toBase64();

/** The answer to a challenge of CRAM-MD5: proves that one knows the password, and does not tell it (RFC 2195 §2). */
export const cramMd5 = ({ user, password }: Credentials, challenge: string): string =>
  `${user} ${createHmac("md5", password).update(challenge).digest("hex")}`;

/** Whether two texts are the same, in a time that does not tell where they differ. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHmac("sha256", "compare").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** One exchange of one mechanism: `PLAIN`, `LOGIN` or `CRAM-MD5`. */
export class Authentication {
  readonly #challenge: string;
  #name: string | undefined;

  constructor(readonly mechanism: string, readonly credentials: Credentials, host: string) {
    this.#challenge = `<${crypto.randomUUID()}@${host}>`;
  }

  /** The first question, in base64. */
  start(): string {
    if (this.mechanism === "PLAIN") return "";
    return toBase64(this.mechanism === "LOGIN" ? "Username:" : this.#challenge);
  }

  /** What a line of the client comes to. */
  answer(line: string): Outcome {
    const text = line === "=" ? "" : fromBase64(line); // "=" is an empty first answer (RFC 4954 §4)
    if (line === "*" || text === undefined) return { kind: "broken" };
    const { user, password } = this.credentials;
    if (this.mechanism === "LOGIN" && this.#name === undefined) {
      this.#name = text;
      return { kind: "ask", challenge: toBase64("Password:") };
    }
    let known: boolean;
    if (this.mechanism === "LOGIN") known = same(`${this.#name}\0${text}`, `${user}\0${password}`);
    else if (this.mechanism === "CRAM-MD5") known = same(text, cramMd5(this.credentials, this.#challenge));
    else {
      const [as, name, secret, ...more] = text.split("\0");
      if (secret === undefined || more.length > 0) return { kind: "broken" };
      known = same(`${name}\0${secret}`, `${user}\0${password}`) && (as === "" || as === name);
    }
    return known ? { kind: "known", user } : { kind: "unknown" };
  }
}
