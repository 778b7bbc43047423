/**
 * What a failed TLS handshake means, in one sentence each.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable } from "../cli.ts";
import { explainTls } from "../tcp/_tls_client.ts";

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
  [/InvalidContentType/, "it does not speak TLS there: try http://"],
  [/handshake eof/, "it closed the connection during the handshake"],
  [/alert: ProtocolVersion|peer is incompatible/, "it has no version of TLS in common with this client (1.2 or 1.3)"],
];

/** As `explainTls`, with a sentence for what goes wrong most often. Any other words of the TLS library are shown. */
export function explainHandshake(error: unknown, addr: Address): unknown {
  if (!(error instanceof Error) || error instanceof Failure) return error;
  const words = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
  const [, sentence] = tlsErrors.find(([pattern]) => pattern.test(words)) ?? [];
  const isTls = error instanceof Deno.errors.InvalidData; // what the TLS library throws
  const why = sentence ?? (isTls ? printable(error.message) : undefined);
  return why === undefined ? explainTls(error, addr) : new Failure(`no TLS with ${formatAddress(addr)}: ${why}`);
}
