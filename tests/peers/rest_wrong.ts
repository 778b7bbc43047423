/**
 * The project's users API with something put wrong between it and its clients: for the checks to catch.
 *
 * @module
 */
import { answer } from "../../rest/api.ts";
import { MemoryStore } from "../../rest/store.ts";

const way = Deno.args[0];
const store = new MemoryStore();
const limits = { maxBody: way === "no-limit" ? 1 << 30 : 65536, timeout: 5 };

/** The request as the wrong server understands it. */
function misread(request: Request): Request {
  const url = new URL(request.url);
  const headers = new Headers(request.headers);
  if (way === "loses-updates") { for (const name of ["if-match", "if-none-match"]) headers.delete(name); }
  if (way === "any-type" && headers.has("content-type")) headers.set("content-type", "application/json");
  if (way === "guesses-pages") {
    for (const name of ["limit", "after"]) {
      if (url.search.includes(name)) url.search = "";
    }
  }
  const method = way === "patch-is-put" && request.method === "PATCH" ? "PUT" : request.method;
  if (way === "patch-is-put" && method === "PUT") headers.set("content-type", "application/json");
  return new Request(url, { method, headers, body: request.body });
}

/** The response as the wrong server gives it. */
async function spoil(request: Request, response: Response): Promise<Response> {
  const headers = new Headers(response.headers);
  let { status } = response;
  let body: string | null = response.body ? await response.text() : null;
  if (way === "no-allow") headers.delete("allow");
  if (way === "no-next") headers.delete("link");
  if (way === "no-location") headers.delete("location");
  if (way === "400-for-all" && status === 422) status = 400;
  if (way === "deletes-all" && request.method === "DELETE") [status, body] = [204, null];
  if (way === "no-description" && request.url.endsWith("/openapi.json")) body = "{}";
  if (way === "forgets-creation" && request.method === "PUT") {
    body = body?.replace(/"created":"[^"]*"/, '"created":"now"') ?? null;
  }
  if (way === "first-error-only" && status === 422) {
    const problem = JSON.parse(body ?? "");
    body = JSON.stringify({ ...problem, errors: problem.errors.slice(0, 1) });
  }
  return new Response(body, { status, headers });
}

const announce = () => console.log("listening");
Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.env.get("PORT")), onListen: announce },
  async (request) => await spoil(request, await answer(misread(request), store, limits)),
);
