/**
 * TLS on the client's side: which certificates it trusts, and what a failed handshake means.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable, text, within } from "../cli.ts";
import { readText } from "./_read_file.ts";
import { explain } from "./_socket_errors.ts";

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

/** Does the client's part of a TLS handshake on a connection. @throws {Failure} when it takes more than `timeout` seconds. */
export async function startTlsClient(
  tcp: Deno.TcpConn,
  server: Address,
  timeout: number,
  caCerts: string[] | undefined,
): Promise<Deno.TlsConn> {
  const late = `${formatAddress(server)} did not finish the TLS handshake in ${timeout} s`;
  const conn = await Deno.startTls(tcp, { hostname: server.hostname, caCerts });
  try {
    await within(timeout, conn.handshake(), late);
    return conn;
  } catch (error) {
    conn.close();
    throw error;
  }
}

// The words of the TLS library, the same on every system.
const tlsErrors: [words: RegExp, sentence: string][] = [
  [
    /CaUsedAsEndEntity/,
    "its certificate is a CA's, as plain `openssl req -x509` makes it: make one with " +
    "`-addext basicConstraints=critical,CA:FALSE`",
  ],
  [/UnknownIssuer/, "no known authority has signed its certificate: if you know whose it is, trust it with --ca FILE"],
  [/not valid for name|NotValidForName/, "its certificate is for another name"],
  [/certificate expired|certificate: Expired/, "its certificate has expired"],
  [/InvalidContentType/, "it does not speak TLS there"],
  [/handshake eof/, "it closed the connection during the handshake"],
  [/alert: ProtocolVersion|peer is incompatible/, "it has no version of TLS in common with this client (1.2 or 1.3)"],
];

/**
 * As `explain`, with a sentence for what goes wrong most often in a handshake. Any other words of the TLS library are shown.
 * `plain` is what to do if the server does not speak TLS.
 */
export function explainTls(error: unknown, addr: Address, plain = ""): unknown {
  if (!(error instanceof Error) || error instanceof Failure) return error;
  const words = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
  const [, sentence] = tlsErrors.find(([pattern]) => pattern.test(words)) ?? [];
  const [other] = /(invalid peer certificate|corrupt message|handshake )[^)]*/i.exec(words) ?? [];
  const isTls = error instanceof Deno.errors.InvalidData; // what the TLS library throws
  const why = sentence ?? (isTls ? error.message : other);
  if (why === undefined) return explain(error, addr);
  const hint = why.includes("does not speak TLS") && plain !== "" ? `: ${plain}` : "";
  return new Failure(`no TLS with ${formatAddress(addr)}: ${printable(why).trim()}${hint}`);
}
