/**
 * The access log.
 *
 * @module
 */
import { printable } from "../cli.ts";
import { cachePerSecond } from "./_clock.ts";
import type { RequestHead } from "./_message.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `21/Nov/2026:12:22:37 +0000`. */
const stamp = cachePerSecond((now) => {
  const [date = "", time = ""] = now.toISOString().slice(0, 19).split("T");
  const [year, month, day] = date.split("-");
  return `${day}/${months[Number(month) - 1]}/${year}:${time} +0000`;
});

/**
 * Prints one line per response on stdout, in the Common Log Format. Lines are collected for 100 ms: one system call per line
 * would cost more than the response.
 */
export class AccessLog {
  #lines: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly enabled: boolean) {}

  /** Logs a response with this status and this many bytes of body. `request` is `undefined` when it was malformed. */
  add(host: string, request: RequestHead | undefined, status: number, bytes: number): void {
    if (!this.enabled) return;
    const line = request ? `${request.method} ${request.target} HTTP/1.${request.minor}` : "-";
    this.#lines.push(
      `${host} - - [${stamp()}] "${printable(line).replaceAll('"', "%22")}" ${status} ${bytes}`,
    );
    if (this.#lines.length >= 500) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), 100);
  }

  /** Prints the collected lines now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length > 0) console.log(this.#lines.join("\n"));
    this.#lines = [];
  }
}
