/**
 * Responses of the inbox: pages and JSON.
 *
 * @module
 */
import { eTag, ifNoneMatch } from "jsr:@std/http@1/etag";
import { Problem } from "../http/_problem.ts";
import type { WebRequest } from "../http/_web_connection.ts";

export const noSuchMail = (): Problem => new Problem(404, "there is no such mail");

/** A response that is right at this moment: a cache must ask again before it uses it. */
export function respond(body: BodyInit | null, type: string, headers: Record<string, string> = {}, status = 200) {
  return new Response(body, {
    status,
    headers: { "content-type": type, "cache-control": "private, no-cache", ...headers },
  });
}

export const json = (value: unknown, headers?: Record<string, string>): Response =>
  respond(JSON.stringify(value), "application/json", headers);

/** 204, without a body. */
export const done = (): Response => new Response(null, { status: 204, headers: { "cache-control": "no-store" } });

/** Text with an entity tag: a client that asks again every second gets 304 as long as nothing has changed. */
export async function revalidated(
  request: WebRequest,
  body: string,
  type: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const etag = await eTag(body);
  if (etag === undefined) throw new TypeError("a text has an entity tag");
  const known = request.fields.get("if-none-match");
  const response = respond(body, type, { ...headers, etag });
  if (known === undefined || ifNoneMatch(known, etag)) return response;
  response.headers.delete("content-type");
  return new Response(null, { status: 304, headers: response.headers });
}
