/**
 * The certificate of a server: from files, or made on the spot with `--self-signed`.
 *
 * @module
 */
import { dirname } from "node:path";
import { Failure, printable, text } from "../cli.ts";
import { readText, reason } from "./_read_file.ts";
import { type CertificatePair, checkedCertificate, selfSigned } from "./_self_signed.ts";
import type { Stream } from "./_tls_server.ts";

/** The options of every server that has TLS: `...certificateOptions`. */
export const certificateOptions = {
  "cert": text("", "certificate for TLS, PEM", "FILE"),
  "key": text("", "its private key, PEM", "FILE"),
  "self-signed": text("", "make a certificate for localhost, and keep it in PATH", "PATH"),
};

/**
 * The pair that the flags name; undefined without one. `--self-signed` prints how to trust the certificate: `trust` is the
 * client's option that takes the file, such as `smtp-send --ca`.
 *
 * ```ts
 * const pair = await certificateOf(flags, "smtp-send --ca");
 * const tls = pair && tlsContext(pair);
 * ```
 *
 * @throws {Failure} 2 when the flags contradict each other or a file is wrong.
 */
export async function certificateOf(
  flags: { cert: string; key: string; "self-signed": string },
  trust: string,
): Promise<CertificatePair | undefined> {
  if ((flags.cert === "") !== (flags.key === "")) throw new Failure("--cert and --key go together", 2);
  if (flags["self-signed"] && flags.cert) throw new Failure("--self-signed or --cert, not both", 2);
  if (flags["self-signed"]) {
    const cert = flags["self-signed"];
    const files = { cert, key: keyFile(cert) };
    const pair = await keptPair(files);
    console.log(`${printable(cert)} is a certificate for localhost: trust it with ${trust} ${printable(cert)}`);
    return pair;
  }
  if (flags.cert === "") return undefined;
  return { cert: await readText(flags.cert), key: await readText(flags.key) };
}

/** Does the server's part of a TLS handshake on a connection. */
export type StartTls = (conn: Deno.TcpConn) => Promise<Stream>;

/** What starts TLS with this pair. node:tls is loaded only where it is used: it costs start-up time, and some speed. */
export async function tlsStarter(pair: CertificatePair): Promise<StartTls> {
  const { startTlsServer, tlsContext } = await import("./_tls_server.ts");
  const context = tlsContext(pair);
  return (conn) => startTlsServer(conn, context);
}

/** The file of the key, beside that of its certificate: `localhost.key` for `localhost.pem`. */
const keyFile = (cert: string): string => `${cert.replace(/\.(pem|crt|cer|cert)$/i, "")}.key`;

/** The pair in two files. Makes it if both are missing, or if it has expired; never touches a file of another kind. */
async function keptPair(files: CertificatePair): Promise<CertificatePair> {
  try {
    const old = { cert: await readIfPresent(files.cert), key: await readIfPresent(files.key) };
    if (old.cert === undefined && old.key === undefined) return await writePair(files);
    const end = old.cert && old.key ? expiry(old.cert, old.key) : undefined;
    if (end === undefined) {
      const [cert, key] = [printable(files.cert), printable(files.key)];
      throw new Failure(
        `${cert} and ${key} are not a pair that --self-signed has made: remove them, or choose another path`,
        2,
      );
    }
    if (end > Date.now() + DAY) return { cert: old.cert ?? "", key: old.key ?? "" };
    await Promise.all([Deno.remove(files.cert), Deno.remove(files.key)]);
    return await writePair(files);
  } catch (error) {
    if (error instanceof Failure || !(error instanceof Error)) throw error;
    const both = [files.cert, files.key].map(printable).join(",");
    if (error instanceof Deno.errors.NotCapable) {
      const permissions = `-W=${both} -R=${both}`;
      throw new Failure(`no permission to make a certificate: add ${permissions}`, 2, permissions);
    }
    throw new Failure(`cannot keep a certificate in ${printable(files.cert)}: ${reason(error)}`, 2);
  }
}

const DAY = 86_400_000;

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** When a pair of `selfSigned` expires, in milliseconds; undefined for anything else. */
function expiry(cert: string, key: string): number | undefined {
  try {
    const { subject, issuer, validTo } = checkedCertificate({ cert, key });
    return subject === "CN=localhost" && issuer === subject ? Date.parse(validTo) : undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined;
  }
}

/** Makes a pair, and writes it, in a folder that is created if it is missing. Only this user may read the key; `createNew` writes through no link that others have made. */
async function writePair(files: CertificatePair): Promise<CertificatePair> {
  const pair = selfSigned();
  const writeKey = () => Deno.writeTextFile(files.key, pair.key, { createNew: true, mode: 0o600 });
  try {
    await writeKey();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.mkdir(dirname(files.key), { recursive: true, mode: 0o700 });
    await writeKey();
  }
  await Deno.writeTextFile(files.cert, pair.cert, { createNew: true });
  return pair;
}
