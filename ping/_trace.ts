/**
 * `--trace` and `--pcap` of ICMP: the requests of this program and the answers to them. A raw socket receives those of other
 * programs, too; they are not shown.
 *
 * @module
 */
import { printable, type Tracing } from "../cli.ts";
import { isTraced, now, showMessage } from "../tcp/_trace.ts";
import { decodeMessage } from "./_icmp.ts";
import type { IcmpSocket, Moment, Packet } from "./_icmp_socket.ts";
import { identifierOf, localAddress } from "./_socket_name.ts";

/** Shows the messages of one socket and one host. */
export class IcmpTrace {
  readonly #isOn: boolean;
  readonly #local: string;

  constructor(readonly flags: Tracing, readonly socket: IcmpSocket, readonly host: string, address: Uint8Array) {
    this.#isOn = isTraced(flags);
    this.#local = this.#isOn ? localAddress(address) : "";
  }

  /** Shows an echo request that has been sent. */
  sent(message: Uint8Array, at: Moment, ttl: number): void {
    if (!this.#isOn) return;
    const data = message.slice();
    const view = new DataView(data.buffer);
    // On Linux the kernel puts the identifier of a datagram socket into its requests, in place of the program's.
    if (this.socket.hasKernelIdentifier) view.setUint16(4, identifierOf(this.socket.fd));
    this.#show(this.#local, this.host, data, `echo request ${view.getUint16(6)}`, ttl, at);
  }

  /** Shows an answer: a reply, or what a router says about a request. */
  received({ from, ttl, message, received }: Packet): void {
    if (!this.#isOn) return;
    const decoded = decodeMessage(this.socket.version, message);
    if (decoded.kind === "other") return;
    const about = decoded.kind === "reply" ? "echo reply" : `${decoded.text}: request`;
    this.#show(from, this.#local, message, `${about} ${decoded.echo.sequence}`, ttl, received);
  }

  #show(from: string, to: string, data: Uint8Array, what: string, ttl: number | undefined, at: Moment): void {
    const note = printable(ttl === undefined ? what : `${what}, ttl ${ttl}`);
    const t = at.kernel === undefined
      ? now() - Math.round((performance.now() - at.steady) * 1000)
      : Number(at.kernel / 1000n);
    showMessage(this.flags, { side: "client", transport: "icmp", from, to, data, note, ttl, says: "" }, t);
  }
}
