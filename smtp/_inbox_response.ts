/**
 * Responses of the inbox: pages, JSON, and refusals.
 *
 * @module
 */
import { eTag, ifNoneMatch } from "jsr:@std/http@1/etag";
import { reasonPhrase } from "../http/_reason_phrase.ts";

/** A request that is refused: its status code, and what is wrong. */
export class Refusal extends Error {
  constructor(readonly status: number, detail: string, readonly headers: Record<string, string> = {}) {
    super(detail);
  }

  /** For programs: problem details (RFC 9457). */
  toProblem(): Response {
    const { status, message: detail } = this;
    const problem = { type: "about:blank", title: reasonPhrase(status), status, detail };
    return respond(JSON.stringify(problem), "application/problem+json", this.headers, status);
  }

  /** For people: one line. */
  toText(): Response {
    const line = `${this.status} ${reasonPhrase(this.status)}: ${this.message}\n`;
    return respond(line, "text/plain; charset=UTF-8", this.headers, this.status);
  }
}

export const noSuchMail = (): Refusal => new Refusal(404, "there is no such mail");

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
  request: Request,
  body: string,
  type: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const etag = await eTag(body);
  if (etag === undefined) throw new TypeError("a text has an entity tag");
  const known = request.headers.get("if-none-match");
  const response = respond(body, type, { ...headers, etag });
  if (known === null || ifNoneMatch(known, etag)) return response;
  response.headers.delete("content-type");
  return new Response(null, { status: 304, headers: response.headers });
}

type Methods = Record<string, () => Response | Promise<Response>>;

/** Dispatches on the method; HEAD is answered like GET, without the body (`Deno.serve` leaves it out). */
export async function dispatch(request: Request, methods: Methods): Promise<Response> {
  const name = request.method === "HEAD" ? "GET" : request.method;
  // hasOwn: a client may send any name, and `toString` is a property of every object.
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method) return await method();
  const allow = Object.keys(methods).flatMap((each) => each === "GET" ? ["GET", "HEAD"] : [each]).join(", ");
  throw new Refusal(405, `this path knows ${allow}`, { allow });
}
