/**
 * What only the kernel knows of an ICMP socket: which address of this machine it sends from, and, of a datagram socket, the
 * identifier of its requests. For a trace.
 *
 * @module
 */
import { printAddress } from "../tcp/_address.ts";
import { libraryPath, SOCK_DGRAM, socketAddress } from "./_icmp_socket.ts";

const symbols = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** The address that this machine sends from, to an address of 4 or 16 bytes. "Connecting" a UDP socket sends nothing. */
export function localAddress(address: Uint8Array): string {
  using library = open();
  const { socket, connect, close } = library.symbols;
  const isIpv4 = address.length === 4;
  const { name, family } = socketAddress(isIpv4 ? 4 : 6);
  name.set([0, 9], 2); // any port that is not 0
  name.set(address, isIpv4 ? 4 : 8);
  const fd = socket(family, SOCK_DGRAM, 0);
  const isKnown = connect(fd, name, name.length) === 0 && nameOf(library, fd, name);
  close(fd);
  return isKnown ? printAddress(name.subarray(...isIpv4 ? [4, 8] : [8, 24])) : isIpv4 ? "0.0.0.0" : "::";
}

/** The identifier that the kernel has given to a datagram socket when it sent for the first time: it stands where a port would. */
export function identifierOf(fd: number): number {
  using library = open();
  const { name } = socketAddress(6);
  return nameOf(library, fd, name) ? (name[2] ?? 0) << 8 | (name[3] ?? 0) : 0;
}

type Library = Deno.DynamicLibrary<typeof symbols> & Disposable;

function open(): Library {
  const library = Deno.dlopen(libraryPath, symbols);
  return Object.assign(library, { [Symbol.dispose]: () => library.close() });
}

const nameOf = ({ symbols: { getsockname } }: Library, fd: number, name: Uint8Array<ArrayBuffer>): boolean =>
  getsockname(fd, name, new Uint32Array([name.length])) === 0;
