/**
 * A response of the file server, and the bytes of its head.
 *
 * @module
 */
import { httpDate } from "./_clock.ts";
import type { Range } from "./_conditions.ts";
import { encodeResponse, Fields } from "./_message.ts";
import { reasonPhrase } from "./_reason_phrase.ts";

export type Field = [name: string, value: string];

/** A response. Its body is a sequence of byte arrays and ranges of `file`. */
export interface FileResponse {
  readonly status: number;
  readonly fields: Field[];
  readonly body: readonly (Range | Uint8Array)[];
  readonly file?: Deno.FsFile;
  /** Why it is an error, for the log. */
  readonly why?: string;
}

/** How to send a response: the client's minor HTTP version, whether the connection stays open, and whether CORS is enabled. */
export interface Transfer {
  readonly minor: 0 | 1;
  readonly keepAlive: boolean;
  readonly cors: boolean;
}

/** The size of a body in bytes. */
export const sizeOf = (body: FileResponse["body"]): number =>
  body.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.end - part.start + 1), 0);

/** Encodes the head of a response. */
export function encodeHead({ status, fields, body }: FileResponse, { minor, keepAlive, cors }: Transfer): Uint8Array {
  const all = new Fields([["Date", httpDate()], ...fields]);
  if (status !== 204 && status !== 304) all.append("Content-Length", `${sizeOf(body)}`);
  all.append("X-Content-Type-Options", "nosniff");
  if (cors) all.append("Access-Control-Allow-Origin", "*");
  if (!keepAlive) all.append("Connection", "close");
  else if (minor === 0) all.append("Connection", "keep-alive");
  return encodeResponse({ status, reason: reasonPhrase(status), fields: all });
}

/** Why a server on loopback refuses a request for another host. */
export const MISDIRECTED = "use a name of this machine, such as localhost";

/** A response that consists of its status, as a line of text; `why` says more. */
export function statusPage(status: number, fields: Field[] = [], why = ""): FileResponse {
  const body = new TextEncoder().encode(`${status} ${reasonPhrase(status)}${why && `: ${why}`}\n`);
  return { status, fields: [["Content-Type", "text/plain; charset=UTF-8"], ...fields], body: [body], why };
}
