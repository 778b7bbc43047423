/**
 * The file server's response to a request (RFC 9110): decides on the status, the fields and the body. No socket here.
 *
 * @module
 */
import { evaluatePreconditions, parseRanges, type Range } from "./_conditions.ts";
import { type FileCache, representationFields } from "./_file_cache.ts";
import { listing } from "./_listing.ts";
import type { RequestHead } from "./_message.ts";
import { pagePolicy } from "./_page.ts";
import { folderPath } from "./_path.ts";
import type { Representation } from "./_representation.ts";
import { type Field, type FileResponse, statusPage } from "./_response.ts";
import { FileError, type Folder, openChecked, readFolder, type Site } from "./_site.ts";

const encoder = new TextEncoder();

/**
 * Builds the response to a request: the file or the folder that it names, or an error. The caller closes `file`.
 *
 * @throws {MessageError} when the request target is malformed.
 */
export async function buildResponse(request: RequestHead, cache: FileCache): Promise<FileResponse> {
  try {
    return await respondTo(request, cache);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return statusPage(error.status, error.status === 503 ? [["Retry-After", "1"]] : [], error.message);
  }
}

async function respondTo(request: RequestHead, cache: FileCache): Promise<FileResponse> {
  const { method, target, fields } = request;
  const allow: Field = ["Allow", "GET, HEAD, OPTIONS"];
  if (method === "OPTIONS") {
    const preflight: Field[] = [["Access-Control-Allow-Methods", "GET, HEAD"], ["Access-Control-Allow-Headers", "*"]];
    return { status: 204, fields: [allow, ...(cache.cors ? preflight : [])], body: [] };
  }
  if (method !== "GET" && method !== "HEAD") return statusPage(405, [allow]);
  const found = await cache.get(target, fields.get("accept-encoding"));
  if (found === undefined) return statusPage(404);
  return "folder" in found ? await listFolder(found, cache.site) : await sendFile(request, found, cache.maxAge);
}

async function listFolder({ folder, segments }: Folder, site: Site): Promise<FileResponse> {
  if (segments.at(-1) !== "") return statusPage(301, [["Location", folderPath(segments)]]);
  const { entries, hidden, unreadable } = await readFolder(site, folder, segments);
  const page = encoder.encode(listing(segments, entries, hidden, unreadable));
  return {
    status: 200,
    fields: [
      ["Content-Type", "text/html; charset=UTF-8"],
      ["Content-Security-Policy", pagePolicy()],
      ["Cache-Control", "no-cache"],
    ],
    body: [page],
  };
}

async function sendFile(
  { method, fields }: RequestHead,
  found: Representation,
  maxAge: number,
): Promise<FileResponse> {
  const fileFields = representationFields(found, maxAge);
  const state = evaluatePreconditions(fields, found);
  if (state === 412) return statusPage(412);
  if (state === 304) {
    return { status: 304, fields: fileFields.filter(([name]) => !/^(content-|accept-|last-)/i.test(name)), body: [] };
  }
  // A range counts bytes of one content coding. Each coding has its own ETag, so If-Range prevents a mix of two codings.
  const ranges = method === "GET" ? parseRanges(fields, found.size, found) : undefined;
  if (ranges?.length === 0) return statusPage(416, [["Content-Range", `bytes */${found.size}`]]);
  const opened = method === "HEAD" || found.body ? undefined : await openChecked(found);
  if (method === "GET" && !found.body && opened?.info.size !== found.size) {
    opened?.file.close();
    return opened ? statusPage(503, [["Retry-After", "1"]]) : statusPage(404); // it was changed, or removed, just now
  }
  const file = opened?.file;
  const part = (range: Range) => found.body ? found.body.subarray(range.start, range.end + 1) : range;
  const contentRange = ({ start, end }: Range): Field => ["Content-Range", `bytes ${start}-${end}/${found.size}`];
  const [first, second] = ranges ?? [];
  if (!first) return { status: 200, fields: fileFields, body: [part({ start: 0, end: found.size - 1 })], file };
  if (!second) return { status: 206, fields: [...fileFields, contentRange(first)], body: [part(first)], file };

  // Several ranges are the parts of a multipart message (RFC 9110 §14.6).
  const boundary = crypto.randomUUID();
  const body = (ranges ?? []).flatMap((range) => {
    const lines = [["Content-Type", found.type], contentRange(range)].map((field) => `${field.join(": ")}\r\n`);
    return [encoder.encode(`--${boundary}\r\n${lines.join("")}\r\n`), part(range), encoder.encode("\r\n")];
  });
  const others = fileFields.filter(([name]) => name !== "Content-Type");
  return {
    status: 206,
    fields: [...others, ["Content-Type", `multipart/byteranges; boundary=${boundary}`]],
    body: [...body, encoder.encode(`--${boundary}--\r\n`)],
    file,
  };
}
