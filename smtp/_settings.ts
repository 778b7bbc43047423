/**
 * What a mail server offers and allows, and the envelope of a mail.
 *
 * @module
 */
import { type Credentials, type Mechanism, mechanisms } from "./_authentication.ts";

/** What a server offers and allows. */
export interface Settings {
  /** The server's name, for the greeting. */
  readonly name: string;
  /** The largest mail, in bytes. */
  readonly size: number;
  /** The most recipients of a mail. */
  readonly recipients: number;
  /** After this many errors the server closes the connection. */
  readonly errors: number;
  /** Whether STARTTLS is possible. */
  readonly tls: boolean;
  /** Who may send; without it, anyone. */
  readonly credentials?: Credentials;
  /** Whether clients may send a password without TLS. */
  readonly insecureAuth: boolean;
  /** Decides about a recipient: `undefined` accepts it. */
  recipientPolicy(mailbox: string): "reject" | "defer" | undefined;
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
  return tls || settings.insecureAuth ? mechanisms : ["CRAM-MD5"];
}
