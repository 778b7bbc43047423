/**
 * The project's users API, wrong in one way each: a proxy that changes its requests or its responses. PORT is in the
 * environment, the way is the argument.
 *
 * @module
 */
const way = Deno.args[0];
const options = ["--port=0", "--quiet", ...way === "no-limit" ? ["--max-body=1073741824"] : []];
const child = new Deno.Command(Deno.execPath(), {
  args: ["run", "-N=127.0.0.1", "rest/server.ts", ...options],
  stdout: "piped",
}).spawn();

/** Waits until the API listens, and returns its port. */
async function portOf(lines: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const part of lines.pipeThrough(new TextDecoderStream())) {
    text += part;
    const [, port] = /listening on 127\.0\.0\.1:(\d+)\n/.exec(text) ?? [];
    if (port) return port;
  }
  throw new Error("the API did not start");
}
const api = `http://127.0.0.1:${await portOf(child.stdout)}`;

/** The request as the wrong API reads it. */
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

/** The response as the wrong API sends it. */
async function spoil(request: Request, response: Response): Promise<Response> {
  const headers = new Headers(response.headers);
  headers.delete("content-length"); // the body may change
  let { status } = response;
  let body: string | null = [204, 304].includes(status) ? null : await response.text();
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

/** Sends a request to the API and returns its response. */
async function forward(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : await request.arrayBuffer();
  const headers = new Headers(request.headers);
  for (const name of ["host", "content-length", "connection"]) headers.delete(name);
  return await fetch(api + pathname + search, {
    method: request.method,
    headers,
    body: body?.byteLength ? body : undefined,
    redirect: "manual",
  });
}

const announce = () => console.log("listening");
Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.env.get("PORT")), onListen: announce },
  async (request) => await spoil(request, await forward(misread(request))),
);
