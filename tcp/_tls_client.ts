/**
 * TLS on the client's side: which certificates it trusts, and what a failed handshake means.
 *
 * @module
 */
import { type Address, explain, Failure, formatAddress, printable, text } from "../cli.ts";
import { readText } from "./_read_file.ts";

/** The option of every client that uses TLS. */
export const caOption = text("", "the certificate that signed the server's, if it is not a public one", "FILE");

/**
 * Reads the certificates of a PEM file, in the form that `caCerts` takes; no certificates for an empty path.
 *
 * @throws {Failure} with code 2 when the file cannot be read, or holds no certificate.
 */
export async function readCertificates(path: string): Promise<string[] | undefined> {
  if (path === "") return undefined;
  const pem = await readText(path);
  try {
    Deno.createHttpClient({ caCerts: [pem] }).close(); // parses them, and needs no connection for that
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return [pem];
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  throw new Failure(`${printable(path)}: expected a certificate in PEM`, 2);
}

/** As `explain`, and knows what the TLS library says of a handshake that failed. */
export function explainTls(error: unknown, addr: Address): unknown {
  if (!(error instanceof Error) || error instanceof Failure) return error;
  const words = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
  const [, why] = /(invalid peer certificate: [^:)]*|corrupt message[^:)]*|handshake [^:)]*)/i.exec(words) ?? [];
  if (why === undefined) return explain(error, addr);
  return new Failure(`no TLS with ${formatAddress(addr)}: ${printable(why).trim()}`);
}
