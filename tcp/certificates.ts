/**
 * The certificates that a client under TLS trusts.
 *
 * @module
 */
import { Failure, printable, readText } from "../cli.ts";

/**
 * Reads the certificates in a PEM file, as `caCerts` takes them.
 *
 * @throws {Failure} with code 2 when the file cannot be read, or holds no certificate.
 */
export async function readCertificates(path: string): Promise<string[]> {
  const pem = await readText(path);
  try {
    Deno.createHttpClient({ caCerts: [pem] }).close(); // which reads them, and needs no connection for that
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return [pem];
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  throw new Failure(`${printable(path)}: expected a certificate in PEM`, 2);
}
