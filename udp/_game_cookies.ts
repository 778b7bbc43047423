import { createHmac, randomBytes } from "node:crypto";

/**
 * The cookie of an address: who sends it back has received something there (as in RFC 7873). It is computed, not stored, so
 * a flood of forged datagrams costs no memory.
 */
export class Cookies {
  readonly #secret = randomBytes(16);

  /** The cookie of an address; never 0, which stands for none. */
  of(address: string): bigint {
    return createHmac("sha256", this.#secret).update(address).digest().readBigUInt64BE() | 1n;
  }
}
