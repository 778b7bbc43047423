/**
 * What a mail server offers and allows, and the envelope of a mail.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { readText } from "../tcp/_read_file.ts";
import { type Credentials, type Mechanism, mechanisms } from "./_authentication.ts";

/** What a server offers and allows. */
export interface Settings {
  /** The server's name, for the greeting. */
  readonly name: string;
  /** The largest mail, in bytes. */
  readonly size: number;
  /** The most recipients of a mail. */
  readonly recipients: number;
  /** The longest line of a mail, without its CR LF. */
  readonly line: number;
  /** Whether to take malformed addresses that other servers take. */
  readonly lenient: boolean;
  /** After this many errors the server closes the connection. */
  readonly errors: number;
  /** Whether STARTTLS is possible. */
  readonly tls: boolean;
  /** Who may send; without it, anyone. "any": anyone may, and who logs in may do so with any password. */
  readonly credentials?: Credentials | "any";
  /** Whether clients may send a password without TLS. */
  readonly insecureAuth: boolean;
  /** Decides about a recipient: `undefined` accepts it. */
  recipientPolicy(mailbox: string): "reject" | "defer" | undefined;
}

/** The options of the server that decide what it offers and allows. */
interface SettingsFlags {
  readonly "size": number;
  readonly "max-line": number;
  readonly "lenient": boolean;
  readonly "max-recipients": number;
  readonly "max-errors": number;
  readonly "user": string;
  readonly "password-file": string;
  readonly "accept-any-password": boolean;
  readonly "insecure-auth": boolean;
  readonly "reject": string[];
  readonly "defer": string[];
}

/** Reads the settings from the flags; `tls`: whether there is a certificate. @throws {Failure} with code 2 if they are wrong. */
export async function settingsOf(flags: SettingsFlags, tls: boolean): Promise<Settings> {
  return {
    name: "localhost",
    size: flags.size,
    line: flags["max-line"],
    lenient: flags.lenient,
    recipients: flags["max-recipients"],
    errors: flags["max-errors"],
    tls,
    credentials: await credentialsOf(flags),
    insecureAuth: flags["insecure-auth"],
    recipientPolicy: policy(flags.reject, flags.defer),
  };
}

async function credentialsOf(flags: SettingsFlags): Promise<Settings["credentials"]> {
  const { user, "password-file": file } = flags;
  if ((user === "") !== (file === "")) throw new Failure("give --user and --password-file together", 2);
  if (user && flags["accept-any-password"]) throw new Failure("--user or --accept-any-password, not both", 2);
  if (flags["accept-any-password"]) return "any";
  return user ? { user, password: (await readText(file)).split(/\r?\n/)[0] ?? "" } : undefined;
}

/** Refuses recipients whose address contains one of these patterns; upper and lower case count as the same. */
function policy(reject: string[], defer: string[]): Settings["recipientPolicy"] {
  const contains = (mailbox: string) => (pattern: string) => mailbox.toLowerCase().includes(pattern.toLowerCase());
  return (mailbox) => {
    if (reject.some(contains(mailbox))) return "reject";
    return defer.some(contains(mailbox)) ? "defer" : undefined;
  };
}

/** The sender and the recipients. The envelope decides where a mail goes; its header does not (RFC 5321 §2.3.1). */
export interface Envelope {
  /** "" in a delivery failure notice, which nobody must answer. */
  readonly from: string;
  readonly to: readonly string[];
  /** The name that the client gave in EHLO or HELO. */
  readonly helo: string;
  /** `ESMTPSA` and the like (RFC 3848), for the Received field. */
  readonly protocol: string;
}

/** The AUTH mechanisms to offer. PLAIN and LOGIN send the password itself, so they need TLS. */
export function offeredMechanisms(settings: Settings, tls: boolean): readonly Mechanism[] {
  if (!settings.credentials) return [];
  if (settings.credentials === "any") return mechanisms; // no password here is worth anything to others
  return tls || settings.insecureAuth ? mechanisms : ["CRAM-MD5"];
}
