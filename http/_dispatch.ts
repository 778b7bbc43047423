/**
 * The methods of a path.
 *
 * @module
 */
import type { RequestHead } from "./_message.ts";
import { Problem } from "./_problem.ts";

/** What each method of a path does. */
export type Methods = Record<string, () => Response | Promise<Response>>;

/**
 * Dispatches on the method: answers HEAD like GET, OPTIONS with Allow, and others with 405 (RFC 9110 §9). The server sends a
 * response to HEAD without its body.
 *
 * @throws {Problem} 405
 */
export async function dispatch({ method: name }: Pick<RequestHead, "method">, methods: Methods): Promise<Response> {
  const allowed = Object.keys(methods).flatMap((name) => name === "GET" ? ["GET", "HEAD"] : [name]);
  const headers = { allow: [...allowed, "OPTIONS"].join(", ") };
  if (name === "OPTIONS") return new Response(null, { status: 204, headers });
  // hasOwn: a client may send any name, and `toString` is a property of every object.
  const method = Object.hasOwn(methods, name) ? methods[name] : name === "HEAD" ? methods.GET : undefined;
  if (!method) throw new Problem(405, `${name} is not allowed here`, headers);
  return await method();
}
