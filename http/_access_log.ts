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

/** Text that may stand in quotes. */
const quotable = (text: string) => printable(text).replaceAll('"', "%22");

/**
 * Prints one line per response on stdout, in the Common Log Format; after an error, its reason follows. Lines are collected for 100 ms: one system call per line
 * would cost more than the response.
 */
export class AccessLog {
  #lines: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly enabled: boolean) {}

  /** Logs a response with this status and this many bytes of body; `why` says more about an error. */
  add(host: string, request: RequestHead, status: number, bytes: number, why = ""): void {
    if (!this.enabled) return;
    const line = `${request.method} ${request.target} HTTP/1.${request.minor}`;
    this.#push(host, quotable(line), `${status} ${bytes}`, why);
  }

  /** Logs what was wrong with a client that sent no proper request. The response to it may be missing, too. */
  addFault(host: string, why: string, status?: number, bytes = 0): void {
    if (this.enabled) this.#push(host, "-", `${status ?? "-"} ${bytes}`, why);
  }

  #push(host: string, line: string, result: string, why: string): void {
    this.#lines.push(`${host} - - [${stamp()}] "${line}" ${result}${why && ` "${quotable(why)}"`}`);
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
