// A caching web proxy on node:http: it stores in a Map, and lets Node do the messages.
import { createServer, request as ask } from "node:http";
import { connect } from "node:net";

const self = `lab-${process.pid}`;
const cache = new Map();
const hopByHop = "connection proxy-connection keep-alive te trailer transfer-encoding upgrade".split(" ");

/** Pairs of names and values, as Node has them in rawHeaders, without those of this connection alone. */
function endToEnd(raw, connection = "") {
  const dropped = new Set([...hopByHop, ...connection.toLowerCase().split(",").map((name) => name.trim())]);
  const pairs = [];
  for (let i = 0; i < raw.length; i += 2) if (!dropped.has(raw[i].toLowerCase())) pairs.push([raw[i], raw[i + 1]]);
  return pairs;
}

function directives(value = "") {
  const found = {};
  for (const part of value.toLowerCase().split(",")) {
    const [name, argument = ""] = part.trim().split("=");
    found[name] ??= argument;
  }
  return found;
}

function lifetime(headers, received) {
  const says = directives(headers["cache-control"]);
  const explicit = says["s-maxage"] ?? says["max-age"];
  if (explicit !== undefined) return /^\d+$/.test(explicit) ? Number(explicit) : 0;
  const [end, start] = [Date.parse(headers.expires), Date.parse(headers.date) || received];
  return headers.expires && end > start && headers.expires !== "0" ? (end - start) / 1000 : 0;
}

const ageOf = ({ received, headers }) => {
  const before = Math.max(Number(headers.age) || 0, (received - (Date.parse(headers.date) || received)) / 1000);
  return before + (Date.now() - received) / 1000;
};

function mayStore(request, { statusCode, headers }) {
  const says = directives(headers["cache-control"]);
  if (
    request.method !== "GET" || statusCode !== 200 || headers.vary === "*" || "no-store" in says || "private" in says
  ) return false;
  const isShared = "public" in says || "s-maxage" in says || "must-revalidate" in says;
  if (request.headers.authorization && !isShared) return false;
  return lifetime(headers, Date.now()) > 0 || headers.etag !== undefined;
}

const end = (response, status) => response.writeHead(status, { "Content-Length": 0 }).end();

function sendStored(request, response, stored) {
  const fields = stored.fields.filter(([name]) => !/^(age|content-length)$/i.test(name));
  const own = (request.headers["if-none-match"] ?? "").split(",").map((tag) => tag.trim());
  const isSame = stored.headers.etag !== undefined && own.includes(stored.headers.etag);
  if (!isSame) fields.push(["Content-Length", `${stored.body.length}`]);
  response.writeHead(isSame ? 304 : 200, [...fields, ["Age", `${Math.floor(ageOf(stored))}`]].flat());
  response.end(isSame || request.method === "HEAD" ? undefined : stored.body);
}

const server = createServer({ requireHostHeader: false }, (request, response) => {
  const { method, headers } = request;
  if (!URL.canParse(request.url) || !request.url.startsWith("http://")) return end(response, 400);
  if (headers["content-length"] && headers["transfer-encoding"]) return end(response, 400);
  if (headers.via?.split(",").some((via) => via.trim().split(" ")[1] === self)) return end(response, 508);
  const url = new URL(request.url);
  const counted = (method === "OPTIONS" || method === "TRACE") && headers["max-forwards"] !== undefined;
  if (counted && headers["max-forwards"] === "0") return end(response, 200);

  const key = url.href;
  const variants = cache.get(key) ?? [];
  let stored = variants.find(({ vary }) => vary.every(([name, value]) => headers[name] === value));
  const asks = directives(headers["cache-control"]);
  if (stored && (method === "GET" || method === "HEAD")) {
    const says = directives(stored.headers["cache-control"]);
    const isFresh = ageOf(stored) < lifetime(stored.headers, stored.received);
    if (isFresh && !("no-cache" in says) && !("no-cache" in asks)) return sendStored(request, response, stored);
  }
  if ("only-if-cached" in asks) return end(response, 504);
  if (method !== "GET" || !stored?.headers.etag) stored = undefined;

  const fields = endToEnd(request.rawHeaders, headers.connection).filter(([name]) => {
    return !/^(host|via|max-forwards)$/i.test(name) && !(stored && /^if-none-match$/i.test(name));
  });
  fields.push(["Host", url.host], ["Via", `${headers.via ? `${headers.via}, ` : ""}${request.httpVersion} ${self}`]);
  if (counted) fields.push(["Max-Forwards", `${headers["max-forwards"] - 1}`]);
  if (stored) fields.push(["If-None-Match", stored.headers.etag]);
  if (headers["transfer-encoding"]) fields.push(["Transfer-Encoding", "chunked"]);
  const { hostname, port, pathname, search } = url;
  const outgoing = ask({ hostname, port, path: pathname + search, method, headers: fields.flat(), agent: false });
  outgoing.on("response", (answer) => passBack(request, response, answer, stored, key));
  outgoing.on("error", () => response.headersSent ? response.destroy() : end(response, 502));
  response.on("close", () => outgoing.destroy());
  request.pipe(outgoing);
});

function passBack(request, response, answer, stored, key) {
  const { statusCode, headers } = answer;
  const fields = endToEnd(answer.rawHeaders, headers.connection).filter(([name]) => !/^via$/i.test(name));
  fields.push(["Via", `${headers.via ? `${headers.via}, ` : ""}${answer.httpVersion} ${self}`]);
  if (stored && statusCode === 304) {
    Object.assign(stored.headers, headers);
    stored.received = Date.now();
    return sendStored(request, response, stored);
  }
  if (!/^(GET|HEAD|OPTIONS|TRACE)$/.test(request.method) && statusCode < 400) cache.delete(key);
  response.writeHead(statusCode, fields.flat());
  response.flushHeaders();
  const parts = [];
  answer.on("data", (data) => parts.push(data));
  answer.on("error", () => response.destroy()); // it was broken off
  answer.on("end", () => {
    if (!answer.complete || !mayStore(request, answer)) return;
    const names = (headers.vary ?? "").toLowerCase().split(",").map((name) => name.trim()).filter((name) => name);
    const vary = names.map((name) => [name, request.headers[name]]);
    const others = (cache.get(key) ?? []).filter((other) => JSON.stringify(other.vary) !== JSON.stringify(vary));
    cache.set(key, [{ vary, headers, fields, body: Buffer.concat(parts), received: Date.now() }, ...others]);
  });
  answer.pipe(response);
}

server.on("connect", (request, socket, head) => {
  const [, host, port] = /^(.*):(\d+)$/.exec(request.url) ?? [];
  const far = connect({ host, port, allowHalfOpen: true }, () => {
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    far.write(head);
    socket.pipe(far).pipe(socket);
  });
  far.on("error", () => socket.destroy());
  socket.on("error", () => far.destroy());
});
server.listen(Number(process.env.PORT), "127.0.0.1");
