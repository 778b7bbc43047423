/**
 * The certificate of a server: from files, or made on the spot.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import { readText } from "./_read_file.ts";

/** A certificate and its key, both PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/** The pair that the flags name. @throws {Failure} 2 when only one of them is there, 3 when there is no `openssl`. */
export async function certificateOf(
  flags: { cert: string; key: string; "self-signed": boolean },
): Promise<CertificatePair | undefined> {
  if ((flags.cert === "") !== (flags.key === "")) throw new Failure("--cert and --key go together", 2);
  if (flags["self-signed"] && flags.cert) throw new Failure("--self-signed or --cert, not both", 2);
  if (flags["self-signed"]) return await selfSigned();
  if (flags.cert === "") return undefined;
  return { cert: await readText(flags.cert), key: await readText(flags.key) };
}

/** A pair for 127.0.0.1 and localhost, good for a month; nobody but who is told of it trusts it. */
export async function selfSigned(): Promise<CertificatePair> {
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    .concat(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
    .concat(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "-", "-out", "-"]);
  try {
    const { success, stdout, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
    if (!success) throw new Failure(`openssl: ${printable(new TextDecoder().decode(stderr).trim())}`, 3);
    const text = new TextDecoder().decode(stdout);
    const part = (name: string) =>
      text.match(new RegExp(`-----BEGIN ${name}-----[^-]+-----END ${name}-----\n`))?.[0] ?? "";
    return { cert: part("CERTIFICATE"), key: part("PRIVATE KEY") };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new Failure("--self-signed needs openssl: install it, or give --cert and --key", 3);
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure("no permission: add --allow-run=openssl to deno run");
    }
    throw error;
  }
}
