/**
 * What a socket call threw, in words that help, the same on every system. `run` of `cli.ts` uses it for every script.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable } from "../cli.ts";

/** The end of a sentence behind which `run` shows the command with another port. */
export const ANOTHER_PORT = "choose another --port";
// TIME_WAIT (RFC 9293 §3.6.1) keeps the port of a program that has just ended.
const inUse = `stop the other program, or wait a minute if it has just ended, or ${ANOTHER_PORT}`;

/** What can go wrong with a socket: its code, the error's class, its number on Linux, macOS and Windows, and what to say. */
const socketErrors: [code: string, name: string, numbers: number[], sentence: string][] = [
  ["ECONNREFUSED", "ConnectionRefused", [111, 61, 10061], "AT refused the connection: is the server running?"],
  ["EADDRINUSE", "AddrInUse", [98, 48, 10048], `AT is in use: ${inUse}`],
  ["EADDRNOTAVAIL", "AddrNotAvailable", [99, 49, 10049], "HOST is not an address of this machine: check --host"],
  ["EACCES", "PermissionDenied", [13, 13, 10013], "this user is not allowed to use AT: choose a --port from 1024"],
  ["ECONNRESET", "ConnectionReset", [104, 54, 10054], "AT reset the connection in the middle of the exchange"],
  ["ECONNABORTED", "ConnectionAborted", [103, 53, 10053], "AT reset the connection in the middle of the exchange"],
  ["EPIPE", "BrokenPipe", [32, 32, 109], "AT reset the connection in the middle of the exchange"],
  ["EOF", "UnexpectedEof", [], "AT closed the connection in the middle of the exchange"],
  ["ETIMEDOUT", "TimedOut TimeoutError", [110, 60, 10060], "AT did not answer in time: is it the right host?"],
  ["EHOSTUNREACH", "", [113, 65, 10065], "HOST cannot be reached from this machine: is it the right host?"],
  ["EHOSTDOWN", "", [112, 64, 10064], "HOST cannot be reached from this machine: is it the right host?"],
  ["ENETUNREACH", "", [101, 51, 10051], "HOST cannot be reached from this machine: is it the right host?"],
  ["EMSGSIZE", "", [90, 40, 10040], "the datagram to AT is too long"],
  ["EMFILE", "", [24, 24, 10024], "this process has too many open files and sockets: raise the limit with ulimit -n"],
  ["ENFILE", "", [23, 23, NaN], "the system has too many open files and sockets: end other programs"],
  ["ENOTFOUND", "", [], "no address found for HOST: check the name"],
];

/** The code of what a socket call or `fetch` threw, the same on every system; "" for any other error. */
export function codeOf(error: unknown, os: string = Deno.build.os): string {
  if (!(error instanceof Error)) return "";
  const code: unknown = Reflect.get(error, "code");
  // The resolver of Node's API: ENOTFOUND for a name that does not exist, EAI_AGAIN where no DNS server answers, and others.
  if (typeof code === "string" && /^(ENOTFOUND|EAI_)/.test(code)) return "ENOTFOUND";
  // Not on Linux: an option of a socket that the other side has reset, or the address of one that was gone before it was accepted.
  if (os !== "linux" && code === "EINVAL" && error instanceof TypeError) return "ECONNRESET";
  const words = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
  const number = Number(/\(os error (\d+)\)/.exec(words)?.[1]);
  const system = ["linux", "darwin", "windows"].indexOf(os);
  // An unknown name has no number but on Windows: 11001, 11002 where no DNS server answers, 11003 and 11004.
  const isUnknown = os === "windows" && number > 11_000 && number < 11_005;
  if (isUnknown || /lookup address information|no addresses|dns error/.test(words)) return "ENOTFOUND";
  return socketErrors.find(([known, name, numbers]) =>
    code === known || name.split(" ").includes(error.name) || numbers[system] === number
  )?.[0] ?? "";
}

/**
 * Turns what a socket call threw into one sentence that says what was tried and what to do; a bug comes back unchanged. The
 * port is that of `option`.
 */
export function explain(error: unknown, addr: Address, option = "--port"): unknown {
  const at = formatAddress(addr);
  if (error instanceof Deno.errors.NotCapable && !/Requires (?!net)/.test(error.message)) {
    return new Failure(`no permission to use ${at}: add -N=${at}`, 2, `-N=${at}`);
  }
  const [code, , , sentence] = socketErrors.find(([code]) => code === codeOf(error)) ?? [];
  // Linux and Windows answer for the whole of 127.0.0.0/8, macOS for 127.0.0.1 alone.
  if (code === "EADDRNOTAVAIL" && Deno.build.os === "darwin" && addr.hostname.startsWith("127.")) {
    const command = `sudo ifconfig lo0 alias ${printable(addr.hostname)}`;
    return new Failure(`${printable(addr.hostname)} is not an address of this machine: add it with: ${command}`, 3);
  }
  // Windows keeps ranges of ports, such as those of Hyper-V.
  if (code === "EACCES" && addr.port >= 1024) {
    return new Failure(`the system does not allow ${at}: ${ANOTHER_PORT.replace("--port", option)}`);
  }
  if (sentence === undefined) return error;
  return new Failure(sentence.replace("--port", option).replace("AT", at).replace("HOST", printable(addr.hostname)));
}
