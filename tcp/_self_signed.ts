/**
 * A certificate for this machine, signed by its own key (RFC 5280): what `--self-signed` makes, with no other program.
 *
 * A certificate is a tree of values, each with its type and its length before it (DER, X.690).
 *
 * @module
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { Buffer } from "node:buffer";

/** A certificate and its key, both PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

const DAY = 86_400_000;

/** A pair for localhost and its addresses, good for a year. Clients do not trust it until they are given the certificate. */
export function selfSigned(from = Date.now()): CertificatePair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(1, 2, 840, 10045, 4, 3, 2)); // ECDSA with SHA-256
  const name = sequence(value(SET, sequence(oid(2, 5, 4, 3), value(UTF8_STRING, Buffer.from("localhost"))))); // CN
  const serial = randomBytes(16);
  serial[0] = (serial[0] ?? 0) & 0x3f | 0x40; // positive, and with no zero before it
  const toBeSigned = sequence(
    value(EXPLICIT + 0, value(INTEGER, Buffer.of(2))), // version 3
    value(INTEGER, serial),
    algorithm,
    name, // its issuer
    sequence(time(from - DAY), time(from + 365 * DAY)), // from yesterday on: a client's clock may be behind
    name, // and its subject
    publicKey.export({ type: "spki", format: "der" }),
    value(
      EXPLICIT + 3,
      sequence(
        extension(oid(2, 5, 29, 19), true, sequence()), // basicConstraints: no CA. A client refuses a CA as a server.
        extension(oid(2, 5, 29, 15), true, value(BIT_STRING, Buffer.of(7, 0x80))), // keyUsage: digitalSignature
        extension(oid(2, 5, 29, 37), false, sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1))), // extKeyUsage: serverAuth
        extension( // subjectAltName: clients read these names, and not the subject
          oid(2, 5, 29, 17),
          false,
          sequence(
            value(DNS_NAME, Buffer.from("localhost")),
            value(IP_ADDRESS, Buffer.of(127, 0, 0, 1)),
            value(IP_ADDRESS, Buffer.from([...Array(15).fill(0), 1])), // ::1
          ),
        ),
      ),
    ),
  );
  const signature = value(BIT_STRING, Buffer.of(0), sign("sha256", toBeSigned, privateKey));
  return {
    cert: pem(sequence(toBeSigned, algorithm, signature)),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** Reads a certificate. @throws {Error} when it, or its key, is malformed, or they do not belong together. */
export function checkedCertificate({ cert, key }: CertificatePair): X509Certificate {
  const certificate = new X509Certificate(cert);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new TypeError("the key is not the certificate's");
  Deno.createHttpClient({ cert, key }).close(); // reads the rest of a chain; Deno 2.9.5 panics at a malformed pair
  return certificate;
}

const [BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8_STRING, UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET] = [
  0x01,
  0x02,
  0x03,
  0x04,
  0x06,
  0x0c,
  0x17,
  0x18,
  0x30,
  0x31,
] as const;
const [DNS_NAME, IP_ADDRESS, EXPLICIT] = [0x82, 0x87, 0xa0] as const;

/** A value with its type and length before it. A length from 128 up has a byte before it that counts its own bytes. */
function value(type: number, ...parts: Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const n = content.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Buffer.of(type, ...length), content]);
}

const sequence = (...parts: Uint8Array[]): Uint8Array => value(SEQUENCE, ...parts);

const extension = (id: Uint8Array, critical: boolean, content: Uint8Array): Uint8Array =>
  sequence(id, ...critical ? [value(BOOLEAN, Buffer.of(0xff))] : [], value(OCTET_STRING, content));

/** An object identifier: the first two numbers share a byte, the others have seven bits a byte. */
function oid(first: number, second: number, ...rest: number[]): Uint8Array {
  const base128 = (n: number): number[] => n < 0x80 ? [n] : [...base128(n >> 7).map((byte) => byte | 0x80), n & 0x7f];
  return value(OID, Buffer.from([40 * first + second, ...rest.flatMap(base128)]));
}

/** A time to the second: two digits for the year until 2049 (RFC 5280 §4.1.2.5). */
function time(milliseconds: number): Uint8Array {
  const digits = new Date(milliseconds).toISOString().replace(/\.\d+Z|\D/g, "") + "Z";
  return digits < "2050" ? value(UTC_TIME, Buffer.from(digits.slice(2))) : value(GENERALIZED_TIME, Buffer.from(digits));
}

const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${
    Buffer.from(der).toString("base64").replace(/.{1,64}/g, "$&\n")
  }-----END CERTIFICATE-----\n`;
