/**
 * What a file server answers: to each request a status, fields and a body (RFC 9110). No socket here.
 *
 * @module
 */
import { STATUS_TEXT } from "jsr:@std/http@1/status";
import { today } from "./clock.ts";
import { precondition, type Range, ranges } from "./conditions.ts";
import type { Files, Representation } from "./files.ts";
import { listing } from "./listing.ts";
import { Fields, type RequestHead, writeResponse } from "./message.ts";
import { open, readFolder, slashed } from "./target.ts";

export type Field = [name: string, value: string];

/** What a request is answered with. A body is bytes and parts of a file, one after another. */
export interface Answer {
  readonly status: number;
  readonly fields: Field[];
  readonly body: readonly (Range | Uint8Array)[];
  readonly file?: Deno.FsFile;
}

/** How a response is sent: to which version of HTTP, whether the connection stays open, and to any web site's scripts. */
export interface Manner {
  readonly minor: 0 | 1;
  readonly keep: boolean;
  readonly cors: boolean;
}

/** A listing needs its own style sheet and nothing else, whatever a file's name may bring in. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'";

const encoder = new TextEncoder();

/** How many bytes a body has. */
export const sizeOf = (body: Answer["body"]): number =>
  body.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.end - part.start + 1), 0);

/**
 * What a request is answered with: the file or the folder that it names, or why not.
 *
 * @throws {MessageError} when its target is malformed.
 */
export async function answerTo(request: RequestHead, files: Files, cors: boolean): Promise<Answer> {
  const { method, fields } = request;
  if (method === "OPTIONS") {
    const more: Field[] = cors
      ? [["Access-Control-Allow-Methods", "GET, HEAD"], ["Access-Control-Allow-Headers", "*"]]
      : [];
    return { status: 204, fields: [["Allow", "GET, HEAD, OPTIONS"], ...more], body: [] };
  }
  if (method !== "GET" && method !== "HEAD") return brief(405, [["Allow", "GET, HEAD, OPTIONS"]]);
  const found = await files.get(request.target, fields.get("accept-encoding"));
  if (found === undefined) return brief(404);
  if ("folder" in found) {
    if (found.segments.at(-1) !== "") {
      return brief(301, [["Location", slashed(found.segments)]]);
    }
    const { entries, hidden } = await readFolder(files.site, found.folder, found.segments);
    const page = encoder.encode(listing(found.segments, entries, hidden));
    const more: Field[] = [["Content-Type", "text/html; charset=UTF-8"], ["Content-Security-Policy", PAGE_POLICY]];
    return { status: 200, fields: [...more, ["Cache-Control", "no-cache"]], body: [page] };
  }

  const told = describe(found);
  const state = precondition(fields, found);
  if (state === 412) return brief(412);
  if (state === 304) {
    return { status: 304, fields: told.filter(([name]) => !/^(content-|accept-|last-)/i.test(name)), body: [] };
  }
  // A range is of the bytes of one coding: what If-Range and the entity tag say keeps two of them apart.
  const wanted = method === "GET" ? ranges(fields, found.size, found) : undefined;
  if (wanted?.length === 0) return brief(416, [["Content-Range", `bytes */${found.size}`]]);
  const opened = method === "HEAD" || found.body ? undefined : await open(found);
  if (method === "GET" && !found.body && opened?.info.size !== found.size) {
    opened?.file.close();
    return brief(opened ? 503 : 404, opened ? [["Retry-After", "1"]] : []); // replaced, or growing, at this moment
  }
  const whole: Range = { start: 0, end: found.size - 1 };
  const part = (range: Range) => found.body ? found.body.subarray(range.start, range.end + 1) : range;
  const rest = { file: opened?.file };
  if (!wanted) return { status: 200, fields: told, body: [part(whole)], ...rest };
  const of = ({ start, end }: Range) => `bytes ${start}-${end}/${found.size}`;
  if (wanted.length === 1 && wanted[0]) {
    return { status: 206, fields: [...told, ["Content-Range", of(wanted[0])]], body: [part(wanted[0])], ...rest };
  }
  const boundary = crypto.randomUUID();
  const body = wanted.flatMap((range) => [
    encoder.encode(`--${boundary}\r\nContent-Type: ${found.type}\r\nContent-Range: ${of(range)}\r\n\r\n`),
    part(range),
    encoder.encode("\r\n"),
  ]);
  const type: Field = ["Content-Type", `multipart/byteranges; boundary=${boundary}`];
  return {
    status: 206,
    fields: [...told.filter(([name]) => name !== "Content-Type"), type],
    body: [...body, encoder.encode(`--${boundary}--\r\n`)],
    ...rest,
  };
}

/** What the response to a GET tells of a file. */
export function describe({ type, coding, etag, modified, varies }: Representation): Field[] {
  const fields: Field[] = [["Content-Type", type], ["ETag", etag], [
    "Last-Modified",
    new Date(modified).toUTCString(),
  ]];
  if (coding) fields.push(["Content-Encoding", coding]);
  if (varies) fields.push(["Vary", "Accept-Encoding"]);
  // no-cache: keep it, but ask each time whether it is still good. Who edits a file wants to see it changed.
  return [...fields, ["Accept-Ranges", "bytes"], ["Cache-Control", "no-cache"]];
}

/** The bytes of an answer's head. */
export function headOf({ status, fields, body }: Answer, { minor, keep, cors }: Manner): Uint8Array {
  const all = new Fields([["Date", today()], ...fields]);
  if (status !== 204 && status !== 304) all.append("Content-Length", `${sizeOf(body)}`);
  all.append("X-Content-Type-Options", "nosniff");
  if (cors) all.append("Access-Control-Allow-Origin", "*");
  if (!keep) all.append("Connection", "close");
  else if (minor === 0) all.append("Connection", "keep-alive");
  return writeResponse({ status, reason: STATUS_TEXT[status] ?? "", fields: all });
}

/** An answer that is said by its status alone. */
export function brief(status: number, fields: Field[] = []): Answer {
  const body = encoder.encode(`${status} ${STATUS_TEXT[status]}\n`);
  return { status, fields: [["Content-Type", "text/plain; charset=UTF-8"], ...fields], body: [body] };
}
