// A correct file server on Node's http module. It needs a second to start, as a program with a database does, and prints a log.
import { createServer } from "node:http";
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { extname, join, sep } from "node:path";

const root = await realpath(process.env.ROOT);
const types = { ".html": "text/html", ".txt": "text/plain", ".png": "image/png" };

const server = createServer(async (request, response) => {
  const start = Date.now();
  response.on("close", () => console.log(request.method, request.url, response.statusCode, `${Date.now() - start} ms`));
  if (request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length > 1) {
    response.writeHead(400).end(); // Node itself takes the first of them
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  try {
    const { pathname } = new URL(request.url, "http://localhost");
    let path = await realpath(join(root, decodeURIComponent(pathname)));
    if (path !== root && !path.startsWith(root + sep)) throw new Error("outside");
    if ((await stat(path)).isDirectory()) path = join(path, "index.html");
    const { size } = await stat(path);
    const type = types[extname(path)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": size });
    if (request.method === "HEAD") response.end();
    else createReadStream(path).pipe(response);
  } catch {
    response.writeHead(404, { "content-type": "text/plain" }).end("Not here.\n");
  }
});

setTimeout(() => server.listen(process.env.PORT, () => console.log("up and running")), 1000);
