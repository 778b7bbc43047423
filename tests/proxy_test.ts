/** The proxy: its parts, its cache over real connections, servers that fail, limits, and other people's programs around it. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { Body, requestFraming } from "../http/_body.ts";
import { Fields, parseRequest, type RequestHead } from "../http/_message.ts";
import { readHead } from "../http/_read_head.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { inBrowser, openPage } from "./support/browser.ts";
import { freePort } from "./support/free_port.ts";
import { certificate, failedWith, listening, memory, testWith, until } from "./support/helpers.ts";
import { folderOf, raw, serveFolder } from "./support/http.ts";
import { optionsTest } from "./support/options.ts";
import { has, Program } from "./support/program.ts";
import { absolute, ask, ProxyPeer, respond, said, startOrigin, startProxy } from "./support/proxy.ts";
import { root } from "./support/tasks.ts";
import "./parts/proxy.ts";

const linux = Deno.build.os === "linux";
const pause = (milliseconds: number) => new Promise((go) => setTimeout(go, milliseconds));

optionsTest("http/proxy_server.ts", {
  "host": "127.0.0.1",
  "port": "3128, 0 to 65535",
  "timeout": "60",
  "wait": "0",
  "origin-timeout": "20",
  "max-idle": "64, 0 to 100000",
  "idle-timeout": "15",
  "exit-after": "0, 0 to 1000000",
  "max-clients": "1000, 1 to 1000000",
  "cache": "64",
  "max-object": "8",
  "heuristic": "10",
});

Deno.test("proxy: a second request is a hit, and what each side gets", async () => {
  using origin = startOrigin(() =>
    respond("Hello", "Cache-Control: max-age=60", 'ETag: "1"', "Connection: X-Hop", "X-Hop: 1", "X-End: ü")
  );
  const { program, port } = await startProxy();
  await using _ = program;
  const first = await ask(
    port,
    `${origin.at}/a?b`,
    "Connection: x-mine, close",
    "X-Mine: 1",
    "X-End: 1",
    "TE: trailers",
  );
  assertEquals([first.status, first.body, said(first)], [200, "Hello", "fwd=uri-miss; stored"]);
  assertEquals([first.fields.get("x-hop"), first.fields.has("age")], [undefined, false]);
  assertMatch(first.fields.get("via") ?? "", /^1\.1 socketlab-[0-9a-f]{8}$/);
  assertEquals(first.fields.get("x-end"), "Ã¼", "bytes are passed on as they are: this is UTF-8, byte by byte");
  const [{ target, fields } = { target: "", fields: new Fields() }] = origin.requests;
  assertEquals(target, "/a?b");
  assertEquals(fields.get("host"), `127.0.0.1:${origin.port}`);
  assertEquals([fields.has("x-mine"), fields.has("te"), fields.get("x-end")], [false, false, "1"]);
  assertMatch(fields.get("via") ?? "", /^1\.1 socketlab-/);

  const second = await ask(port, `${origin.at}/a?b`);
  assertEquals([second.status, second.body], [200, "Hello"]);
  assertMatch(said(second), /^hit; ttl=\d+$/);
  assert(Number(second.fields.get("age")) < 60);
  assertEquals(second.fields.get("date"), first.fields.get("date"));
  assertEquals(origin.requests.length, 1);
  // A HEAD, and a client that has the same copy.
  using peer = await ProxyPeer.connect(port);
  await peer.send(absolute(`${origin.at}/a?b`).replace("GET", "HEAD"));
  const head = await peer.response("HEAD");
  assertEquals([head.status, head.fields.get("content-length"), head.body], [200, "5", ""]);
  await peer.send(absolute(`${origin.at}/a?b`, 'If-None-Match: "0", "1"'));
  const same = await peer.response();
  assertEquals([same.status, same.fields.get("etag"), same.fields.has("content-length")], [304, '"1"', false]);
  await peer.send(absolute(`${origin.at}/a?b`, 'If-None-Match: "0"'));
  assertEquals((await peer.response()).status, 200);
  assertEquals(origin.requests.length, 1);
  assertEquals(program.stderr, "");
});

Deno.test("proxy: a stale response is validated, and replaced when it has changed", async () => {
  let version = 1;
  using origin = startOrigin(({ fields }) => {
    const lines = ["Cache-Control: max-age=0", `ETag: "${version}"`, `X-Version: ${version}`];
    if (fields.get("if-none-match") !== `"${version}"`) return respond(`version ${version}`, ...lines);
    return ["HTTP/1.1 304 Not Modified", ...lines, "X-Seen: 1", "", ""].join("\r\n");
  });
  const { program, port } = await startProxy();
  await using _ = program;
  const url = `${origin.at}/`;
  assertEquals(said(await ask(port, url)), "fwd=uri-miss; stored");
  // The client's own condition waits for the answer to that of the proxy.
  const validated = await ask(port, url, 'If-None-Match: "7"');
  assertEquals([validated.status, validated.body, validated.fields.get("x-seen")], [200, "version 1", "1"]);
  assertMatch(said(validated), /^fwd=stale; fwd-status=304; ttl=0$/);
  assertEquals(origin.requests.at(-1)?.fields.get("if-none-match"), '"1"');
  assertEquals((await ask(port, url, 'If-None-Match: "1"')).status, 304);
  version = 2;
  const changed = await ask(port, url);
  assertEquals([changed.body, said(changed)], ["version 2", "fwd=stale; stored"]);
  assertEquals((await ask(port, url)).body, "version 2");
  assertEquals(origin.requests.map(({ fields }) => fields.get("if-none-match")), [
    undefined,
    '"1"',
    '"1"',
    '"1"',
    '"2"',
  ]);
});

Deno.test("proxy: a 304 about another response is asked for once more, without conditions", async () => {
  using origin = startOrigin(({ fields }) =>
    fields.has("if-none-match")
      ? 'HTTP/1.1 304 Not Modified\r\nETag: "other"\r\n\r\n'
      : respond("whole", "Cache-Control: max-age=0", 'ETag: "1"')
  );
  const { program, port } = await startProxy();
  await using _ = program;
  await ask(port, origin.at);
  const response = await ask(port, origin.at);
  assertEquals([response.status, response.body, origin.requests.length], [200, "whole", 3]);
});

Deno.test("proxy: unsafe methods reach the server, and what they change is asked for again", async () => {
  using origin = startOrigin(({ method, body }) =>
    method === "GET" ? respond("x", "Cache-Control: max-age=60") : respond(`${method} ${body}`)
  );
  const { program, port } = await startProxy();
  await using _ = program;
  const url = `${origin.at}/doc`;
  await ask(port, url);
  assertMatch(said(await ask(port, url)), /^hit/);
  using peer = await ProxyPeer.connect(port);
  await peer.send(absolute(url, "Content-Length: 4").replace("GET", "PUT") + "data");
  const put = await peer.response();
  assertEquals([put.body, said(put)], ["PUT data", "fwd=method"]);
  // A body in chunks, on the same connection.
  await peer.send(
    absolute(url, "Transfer-Encoding: chunked").replace("GET", "PATCH") +
      "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
  );
  assertEquals((await peer.response()).body, "PATCH abcde");
  assertEquals(said(await ask(port, url)), "fwd=uri-miss; stored");
});

Deno.test("proxy: Vary, no-store, private, credentials, only-if-cached", async () => {
  const rules: Record<string, string> = {
    "/vary": "max-age=60",
    "/no-store": "no-store",
    "/private": "private, max-age=60",
    "/public": "public, max-age=60",
    "/plain": "max-age=60",
  };
  using origin = startOrigin(({ target, fields }) =>
    respond(fields.get("accept-language") ?? "-", `Cache-Control: ${rules[target]}`, "Vary: Accept-Language")
  );
  const { program, port } = await startProxy();
  await using _ = program;
  const twice = async (path: string, ...fields: string[]) => {
    await ask(port, origin.at + path, ...fields);
    return said(await ask(port, origin.at + path, ...fields)).replace(/; ttl.*/, "");
  };
  assertEquals(await twice("/vary", "Accept-Language: de"), "hit");
  const english = await ask(port, `${origin.at}/vary`, "Accept-Language: en");
  assertEquals([english.body, said(english)], ["en", "fwd=vary-miss; stored"]);
  assertEquals((await ask(port, `${origin.at}/vary`, "Accept-Language: de")).body, "de");
  assertEquals(await twice("/no-store"), "fwd=uri-miss");
  assertEquals(await twice("/private"), "fwd=uri-miss");
  assertEquals(await twice("/plain", "Authorization: Basic YTpi"), "fwd=uri-miss");
  assertEquals(await twice("/public", "Authorization: Basic YTpi"), "hit");
  const alone = await ask(port, `${origin.at}/none`, "Cache-Control: only-if-cached");
  assertEquals(alone.status, 504);
  assertEquals((await ask(port, `${origin.at}/public`, "Cache-Control: only-if-cached")).status, 200);
  // A field that Connection names is not for the server, so it does not select a response either.
  const hidden = await ask(port, `${origin.at}/vary`, "Accept-Language: fr", "Connection: accept-language");
  assertEquals(hidden.body, "-");
  assertEquals((await ask(port, `${origin.at}/vary`, "Accept-Language: fr")).body, "fr");
});

Deno.test("proxy: a server that is down, says nothing, breaks off or breaks the protocol", async () => {
  const endless = async function* () {
    yield "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nHell";
    await pause(20_000);
  };
  const replies: Record<string, () => string | AsyncIterable<string>> = {
    "/short": () => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nHello",
    "/chunks": () => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n5\r\nHello\r\n",
    "/stalls": endless,
    "/empty": () => "",
    "/both": () => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "/gzip": () => "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "/lengths": () => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "/folded": () => "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "/bare": () => "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "/switch": () => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "/interim": () => "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50),
    "/huge": () => `HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}\r\n\r\n`,
    "/ssh": () => "SSH-2.0-x\r\n\r\n",
  };
  using origin = startOrigin(({ target }) => replies[target]?.() ?? "");
  const { program, port } = await startProxy("--origin-timeout", "0.5");
  await using _ = program;
  const statusOf = async (url: string) => {
    const { status, fields } = await ask(port, url);
    return `${status} ${fields.get("proxy-status")?.replace(/.*error=/, "")}`;
  };
  assertEquals(await statusOf(`http://127.0.0.1:${freePort()}/`), "502 connection_refused");
  assertEquals(await statusOf(`${origin.at}/empty`), "502 http_response_incomplete");
  for (const path of ["both", "lengths", "folded", "bare", "switch", "interim", "huge", "ssh"]) {
    assertEquals(await statusOf(`${origin.at}/${path}`), "502 http_protocol_error", path);
  }
  assertEquals(await statusOf(`${origin.at}/gzip`), "502 http_response_transfer_coding");
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assertEquals(await statusOf(`http://127.0.0.1:${silent.addr.port}/`), "504 http_response_timeout");
  // What is broken off after its head can only be broken off for the client, too; and it is not stored.
  for (const path of ["/short", "/chunks", "/stalls"]) {
    for (const time of ["first", "second"]) {
      const text = await raw(port, absolute(origin.at + path));
      assertStringIncludes(text, "fwd=uri-miss; stored", `${path}, ${time}`);
      assert(text.includes("Hell") && !text.endsWith("0\r\n\r\n"), text);
    }
  }
  assertEquals(program.stderr, "");
});

Deno.test("proxy: a stale response when its server is down, if the server has allowed that", async () => {
  const answers = ["max-age=0, stale-if-error=60", "max-age=0", "max-age=0, stale-if-error=60, must-revalidate"];
  const port1 = freePort();
  const { program, port } = await startProxy();
  await using _ = program;
  const listener = Deno.serve({ hostname: "127.0.0.1", port: port1, onListen() {} }, ({ url }) =>
    new Response("kept", {
      headers: { "cache-control": answers[Number(new URL(url).pathname.slice(1))] ?? "", etag: '"1"' },
    }));
  const url = (i: number) => `http://127.0.0.1:${port1}/${i}`;
  for (const i of answers.keys()) await ask(port, url(i));
  await listener.shutdown();
  const [allowed, plain, must] = await Promise.all(answers.keys().map((i) => ask(port, url(i))));
  assertEquals([allowed?.status, allowed?.body, plain?.status, must?.status], [200, "kept", 502, 502]);
  assertEquals((await ask(port, url(1), "Cache-Control: max-stale=60")).status, 200, "or the client");
  assertEquals((await ask(port, url(2), "Cache-Control: max-stale=60")).status, 502);
});

Deno.test("proxy: bodies pass as they arrive, both ways, and a large one is not stored", async () => {
  const step = Promise.withResolvers<void>();
  const size = 64 << 20;
  using origin = startOrigin(({ target, body }) => {
    if (target === "/upload") return respond(`${body.length}`);
    if (target === "/steps") {
      return (async function* () {
        yield "HTTP/1.1 200 OK\r\n\r\nfirst";
        await step.promise;
        yield "second";
      })();
    }
    return (async function* () {
      yield `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: ${size}\r\n\r\n`;
      for (let i = 0; i < size >> 20; i++) yield new Uint8Array(1 << 20);
    })();
  });
  const { program, port } = await startProxy();
  await using _ = program;
  using peer = await ProxyPeer.connect(port);
  await peer.send(absolute(`${origin.at}/steps`));
  const head = await peer.head();
  assertEquals(head.fields.get("transfer-encoding"), "chunked", "its length is not known");
  const seen = async (text: string) => {
    while (!new TextDecoder().decode(peer.reader.unread).includes(text)) assert(await peer.reader.fill());
  };
  await seen("first"); // while the server has not sent the rest
  step.resolve();
  await seen("second");
  // The same for a client that knows no chunks: the end of the connection is that of the body.
  const old = await raw(port, absolute(`${origin.at}/steps`).replace("HTTP/1.1", "HTTP/1.0"));
  assert(old.endsWith("Connection: close\r\n\r\nfirstsecond"), old);

  using uploader = await ProxyPeer.connect(port);
  await uploader.send(absolute(`${origin.at}/upload`, "Content-Length: 3000000").replace("GET", "POST"));
  for (let i = 0; i < 3; i++) await uploader.send(new Uint8Array(1_000_000));
  assertEquals((await uploader.response()).body, "3000000");

  if (linux) {
    const before = await memory(program.pid);
    for (const time of [1, 2]) {
      using reader = await ProxyPeer.connect(port);
      await reader.send(absolute(`${origin.at}/large`));
      assertEquals((await reader.head()).status, 200);
      // It reads a little, then nothing for a while: the server must wait, too.
      await pause(300);
      let left = size;
      while (left > 0) {
        left -= reader.reader.unread.length;
        reader.reader.consume(reader.reader.unread.length);
        if (left > 0) assert(await reader.reader.fill());
      }
      assertEquals(origin.requests.filter(({ target }) => target === "/large").length, time);
    }
    const grown = await memory(program.pid) - before;
    assert(grown < 40, `${grown} MiB more for a body of 64 MiB`);
  }
});

/** A server that keeps its connections open: `reply` gets each request with the number of its connection, and may close it. */
function keepingOrigin(
  reply: (request: RequestHead, connection: number, conn: Deno.TcpConn) => string | Promise<string>,
) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const seen: string[] = [];
  /** How many connections are open. */
  let open = 0;
  let connections = 0;
  const serve = async (conn: Deno.TcpConn, number: number) => {
    open++;
    const reader = new BufferedReader(conn);
    try {
      for (let body = ""; body !== "close";) {
        const head = await readHead(reader, (bytes) => parseRequest(bytes));
        if (!head) break;
        const upload = new Body(requestFraming(head));
        while (!upload.done) {
          reader.consume(upload.push(reader.unread, () => {}));
          if (!upload.done && !await reader.fill()) break;
        }
        seen.push(`${number} ${head.method} ${head.target}`);
        body = await reply(head, number, conn);
        if (body !== "close") await conn.write(new TextEncoder().encode(body));
      }
    } catch (error) {
      if (error instanceof TypeError) throw error; // a bug of the test, and not of the network
    } finally {
      open--;
      conn.close();
    }
  };
  (async () => {
    for await (const conn of listener) serve(conn, ++connections);
  })().catch(() => {}); // closed by the test
  const at = `http://127.0.0.1:${listener.addr.port}`;
  return { at, seen, open: () => open, [Symbol.dispose]: () => listener.close() };
}

Deno.test("proxy: a connection to a server carries one request after another, of all clients", async () => {
  const plain = respond("ok");
  const replies: Record<string, string> = {
    "/chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "/none": "HTTP/1.1 204 No Content\r\n\r\n",
    "/early": `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${plain}`,
    "/missing": "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
  };
  using origin = keepingOrigin(({ target, method, fields }) => {
    assertEquals(fields.get("connection"), undefined);
    if (method === "HEAD") return "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    return replies[target] ?? plain;
  });
  const { program, port } = await startProxy();
  await using _ = program;
  for (const path of ["/", "/chunks", "/none", "/early", "/missing", "/"]) await ask(port, origin.at + path);
  using peer = await ProxyPeer.connect(port);
  await peer.send(absolute(`${origin.at}/`).replace("GET", "HEAD"));
  assertEquals((await peer.response("HEAD")).fields.get("content-length"), "5000");
  assertEquals((await ask(port, `${origin.at}/last`)).body, "ok");
  assertEquals(origin.seen.map((line) => line.split(" ")[0]).join(""), "11111111", origin.seen.join(", "));
  // Eight at once need eight connections, and these serve all that follow.
  const eight = () => Promise.all(Array.from({ length: 8 }, () => ask(port, `${origin.at}/`)));
  await eight();
  await eight();
  assert(origin.open() <= 8, `${origin.open()}`);
  assertEquals(program.stderr, "");
});

Deno.test("proxy: what must not be repeated goes on a new connection, also when one is idle", async () => {
  using origin = keepingOrigin(() => respond("ok"));
  const { program, port } = await startProxy();
  await using _ = program;
  using peer = await ProxyPeer.connect(port);
  for (
    const [method, body] of [["GET", ""], ["POST", "a=1"], ["PATCH", "x"], ["PUT", "whole"], ["POST", ""], ["GET", ""]]
  ) {
    const request = absolute(`${origin.at}/`, `Content-Length: ${body?.length}`).replace("GET", method ?? "");
    await peer.send(request + body);
    assertEquals((await peer.response()).status, 200);
  }
  assertEquals(origin.seen, ["1 GET /", "2 POST /", "3 PATCH /", "4 PUT /", "5 POST /", "5 GET /"]);
});

Deno.test("proxy: a server that closes an idle connection under a request: once more for GET, and no third time", async () => {
  let isDown = false;
  using origin = keepingOrigin(async ({ target }, connection, conn) => {
    if (target === "/half") {
      await conn.write(new TextEncoder().encode(respond("whole").slice(0, 12)));
      return "close";
    }
    if (isDown || target === "/again" && connection === 1) return "close";
    return respond(`on ${connection}`);
  });
  const { program, port } = await startProxy();
  await using _ = program;
  assertEquals((await ask(port, `${origin.at}/`)).body, "on 1");
  assertEquals((await ask(port, `${origin.at}/again`)).body, "on 2");
  assertEquals(origin.seen, ["1 GET /", "1 GET /again", "2 GET /again"]);
  // A response that has begun is not asked for again.
  const half = await ask(port, `${origin.at}/half`);
  assertEquals([half.status, origin.seen.length], [502, 4]);
  await ask(port, `${origin.at}/`);
  isDown = true;
  const before = origin.seen.length;
  const lost = await ask(port, `${origin.at}/`);
  assertEquals([lost.status, origin.seen.length - before], [502, 2]);
  assertEquals(program.stderr, "");
});

Deno.test("proxy: connections that are not kept: their response says so, has no end, or was more than one", async () => {
  const after = {
    "/close": respond("ok", "Connection: close"),
    "/old": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/more": `${respond("ok")}${respond("of the attacker")}`,
    "/ntlm": respond("ok", "WWW-Authenticate: Basic realm=x, NTLM"),
    "/stale": respond("ok"),
  };
  for (const [path, reply] of Object.entries(after)) {
    using origin = keepingOrigin(({ target }) => target === path ? reply : respond("next"));
    const { program, port } = await startProxy();
    await using _ = program;
    const more = path === "/stale" ? ["Authorization: Negotiate YII="] : [];
    assertEquals((await ask(port, origin.at + path, ...more)).body, "ok");
    assertEquals((await ask(port, `${origin.at}/next`)).body, "next", path);
    assertEquals(origin.seen, [`1 GET ${path}`, "2 GET /next"]);
  }
  using origin = keepingOrigin(({ fields }) => respond(`connection: ${fields.get("connection")}`));
  const { program, port } = await startProxy("--max-idle", "0");
  await using _ = program;
  for (let i = 1; i < 3; i++) assertEquals((await ask(port, `${origin.at}/`)).body, "connection: close");
  assertEquals(origin.seen, ["1 GET /", "2 GET /"]);
});

Deno.test("proxy: idle connections have limits: how many, how long, and nothing that nobody has asked for", async () => {
  const few = await startProxy("--max-idle", "2", "--idle-timeout", "0");
  await using _few = few.program;
  const origins = Array.from({ length: 3 }, () => keepingOrigin(() => respond("ok")));
  using _all = { [Symbol.dispose]: () => origins.forEach((origin) => origin[Symbol.dispose]()) };
  const [first, second, third] = origins;
  assert(first && second && third);
  for (const origin of origins) await ask(few.port, `${origin.at}/`);
  await until(() => first.open() === 0, "the oldest is closed");
  assertEquals([second.open(), third.open()], [1, 1]);

  const brief = await startProxy("--idle-timeout", "0.4");
  await using _brief = brief.program;
  await ask(brief.port, `${first.at}/`);
  assertEquals(first.open(), 1);
  await until(() => first.open() === 0, "nobody has used it");

  let unasked: Deno.TcpConn | undefined;
  using talks = keepingOrigin((_request, _connection, conn) => {
    unasked = conn;
    return respond("ok");
  });
  await ask(few.port, `${talks.at}/`);
  await unasked?.write(new TextEncoder().encode(respond("unasked")));
  await until(() => talks.open() === 0, "what comes unasked ends the connection");
  assertEquals((await ask(few.port, `${talks.at}/`)).body, "ok");
  assertEquals(few.program.stderr + brief.program.stderr, "");
});

Deno.test("proxy: interim responses reach the client, and Expect waits for them", async () => {
  using origin = startOrigin(() =>
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
  );
  const { program, port } = await startProxy();
  await using _ = program;
  using peer = await ProxyPeer.connect(port);
  await peer.send(absolute(origin.at));
  const hints = await peer.head();
  assertEquals([hints.status, hints.fields.get("link")], [103, "</a>"]);
  assertEquals((await peer.response()).body, "ok");
  const old = await raw(port, absolute(origin.at).replace("HTTP/1.1", "HTTP/1.0"));
  assertMatch(old, /^HTTP\/1\.1 200 /, "HTTP/1.0 has no interim responses");
});

Deno.test("proxy: nothing else than loopback, or what --allow names, and never itself", async () => {
  using origin = startOrigin(() => respond("inside"));
  const open = await startProxy();
  await using _ = open.program;
  const statusOf = async (port: number, url: string) => (await ask(port, url)).status;
  const here = open.port;
  for (
    const host of [
      "localhost",
      "127.0.0.1",
      "127.0.0.2",
      "[::1]",
      "0x7f000001",
      "127.1",
      "[::ffff:127.0.0.1]",
      "a.localhost",
    ]
  ) {
    assertEquals(await statusOf(here, `http://${host}:${here}/`), 403, host);
    const tunnel = await raw(here, `CONNECT ${host}:${here} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assertMatch(tunnel, /^HTTP\/1\.1 403 /, host);
  }
  for (const host of ["example.com", "10.0.0.1", "169.254.169.254", "0.0.0.0", "[::]", "[fe80::1]"]) {
    assertEquals(await statusOf(here, `http://${host}:${origin.port}/`), 403, host);
  }
  assertEquals((await ask(here, `http://localhost:${origin.port}/`)).body, "inside");
  const strict = await startProxy("--allow", `localhost:${origin.port}`, "--allow", "example.com:80");
  await using __ = strict.program;
  assertEquals(await statusOf(strict.port, origin.at), 200);
  assertEquals(await statusOf(strict.port, `http://127.0.0.1:${here}/`), 403);
  assertEquals(await statusOf(strict.port, `http://127.0.0.2:${origin.port}/`), 403);
  assertMatch(
    await raw(strict.port, "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    /^HTTP\/1\.1 403 /,
  );
});

const ownName = await (async () => {
  const name = Deno.hostname();
  try {
    const found = await Deno.resolveDns(name, "A").catch(() => []);
    const listener = Deno.listen({ hostname: name, port: 0 });
    listener.close();
    return found.length >= 0 && !/^localhost|^\d/.test(name) ? name : "";
  } catch {
    return ""; // it has no name with an address
  }
})();
testWith(
  ownName !== "",
  "name of its own with an address",
  "proxy: not by the name of this machine either",
  async () => {
    const port = freePort();
    const { program } = await listening(() => [
      ...["deno", "run", "-N", "http/proxy_server.ts", "--host", "0.0.0.0", "--port", `${port}`],
      ...["--allow", `${ownName}:${port}`],
    ]);
    await using _ = program;
    assertEquals((await ask(port, `http://${ownName}:${port}/`)).status, 403);
  },
);

Deno.test("proxy: a loop over another program is found", async () => {
  const { program, port } = await startProxy();
  await using _ = program;
  const relay = await listening((own) => [
    ...["deno", "run", "-N", "tcp/relay.ts", "--to", `127.0.0.1:${port}`, "--port", `${own}`],
  ]);
  await using __ = relay.program;
  assertEquals((await ask(port, `http://127.0.0.1:${relay.port}/`)).status, 508);
  // The same over a second proxy.
  const via = /socketlab-\w+/.exec(
    (await ask(port, `http://127.0.0.1:${freePort()}/`)).fields.get("proxy-status") ?? "",
  );
  const again = await ask(port, "http://127.0.0.1:1/", `Via: 1.1 other, 1.1 ${via?.[0]}`);
  assertEquals([again.status, again.fields.get("proxy-status")], [508, `${via?.[0]}; error=proxy_loop_detected`]);
});

Deno.test("proxy: what is no request to a proxy, and requests that two servers could read in two ways", async () => {
  using origin = startOrigin(() => respond("x"));
  const { program, port } = await startProxy();
  await using _ = program;
  const url = `${origin.at}/`;
  const host = `Host: 127.0.0.1:${origin.port}`;
  const post = `POST ${url} HTTP/1.1\r\n${host}\r\n`;
  const cases: [status: string, request: string][] = [
    ["400", `GET / HTTP/1.1\r\n${host}\r\n\r\n`],
    ["501", `GET https://127.0.0.1:1/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["400", `GET ftp://127.0.0.1:1/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["400", `GET http://user@127.0.0.1:1/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["400", `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["400", `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`],
    ["400", `${post}Content-Length: 5, 5\r\n\r\nabcde`],
    ["400", `${post}Content-Length: +5\r\n\r\nabcde`],
    ["400", `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ["501", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["400", `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    ["400", `${post}X: a\r\n Content-Length: 5\r\n\r\nabcde`],
    ["400", `${post}Content-Length: 5\n\r\nabcde`],
    ["400", `${post}X: a\rContent-Length: 5\r\n\r\nabcde`],
    ["400", `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeX\r\n0\r\n\r\n`],
    ["400", `${post}Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n`],
    ["400", `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\n${host}\r\nContent-Length: 5\r\n\r\nabcde`],
    ["400", `GET http://127.0.0.1:${origin.port}/\r\nX: HTTP/1.1\r\n${host}\r\n\r\n`],
    ["431", `GET ${url} HTTP/1.1\r\n${host}\r\nX: ${"x".repeat(9000)}\r\n\r\n`],
    ["414", `GET ${url}${"x".repeat(9000)} HTTP/1.1\r\n${host}\r\n\r\n`],
    ["403", `POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde`],
    ["504", `GET ${url} HTTP/1.1\r\n${host}\r\nCache-Control: only-if-cached\r\nContent-Length: 5\r\n\r\nabcde`],
    ["505", `GET ${url} HTTP/2.0\r\n${host}\r\n\r\n`],
  ];
  for (const [status, request] of cases) {
    const text = await raw(port, request + absolute(`${url}second`, "Connection: close"));
    assertEquals(text.slice(9, 12), status, request.slice(0, 200));
    const isLast = text.slice(0, text.indexOf("\r\n\r\n")).includes("Connection: close");
    assertEquals(text.match(/^HTTP\/1\.1 \d/gm)?.length, isLast ? 1 : 2, request);
  }
  const targets = origin.requests.map(({ method, target, body }) => `${method} ${target} ${body}`);
  assertEquals(targets.filter((line) => !/^GET \/second $/.test(line)), [], "nothing of them reached the server");
  assertEquals(program.stderr, "");
});

Deno.test("proxy: a client that is slow, breaks off or goes away does not stop it", async () => {
  using origin = startOrigin(({ target }) => respond(target, "Cache-Control: max-age=60"));
  const { program, port } = await startProxy("--timeout", "0.4");
  await using _ = program;
  using slow = await ProxyPeer.connect(port);
  await slow.send(`GET ${origin.at}/ HTT`);
  assertEquals((await slow.response()).status, 408);
  using half = await ProxyPeer.connect(port);
  await half.send(absolute(`${origin.at}/half`, "Content-Length: 100").replace("GET", "POST") + "abc");
  await half.conn.closeWrite();
  assertEquals((await half.response()).status, 400);
  for (let i = 0; i < 20; i++) {
    const gone = await ProxyPeer.connect(port);
    await gone.send(absolute(`${origin.at}/gone`));
    gone[Symbol.dispose]();
  }
  assertEquals((await ask(port, `${origin.at}/x`)).body, "/x");
  assertEquals(origin.requests.filter(({ target }) => target === "/half").length, 0, "it was not complete");
  assertEquals([program.stderr, program.status], ["", undefined]);
});

Deno.test("proxy: --once and --exit-after end it; a tunnel carries any bytes, and its ends one by one", async () => {
  const { program, port } = await startProxy("--once", "--trace=json");
  await using _ = program;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using peer = await ProxyPeer.connect(port);
  await peer.send(`CONNECT localhost:${listener.addr.port} HTTP/1.1\r\nHost: x\r\n\r\nearly`);
  using server = await listener.accept();
  assertEquals((await peer.head()).status, 200);
  const buffer = new Uint8Array(100);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, await server.read(buffer) ?? 0)), "early");
  await server.write(Uint8Array.of(0, 255, 13, 10));
  while (peer.reader.unread.length < 4) assert(await peer.reader.fill());
  assertEquals([...peer.reader.unread], [0, 255, 13, 10]);
  await peer.conn.closeWrite();
  assertEquals(await server.read(buffer), null, "the end of one side is passed on");
  await server.write(Uint8Array.of(7)); // the other side is still open
  while (peer.reader.unread.length < 5) assert(await peer.reader.fill());
  await server.closeWrite();
  assertEquals(await peer.reader.fill(), false);
  assertEquals((await program.end()).code, 0);
  assertStringIncludes(program.stdout, '"CONNECT localhost:');
  assertStringIncludes(program.stdout, "tunnel; 5 bytes to the server");
  const sides = new Set(program.stderr.trim().split("\n").map((line) => JSON.parse(line).side));
  assertEquals([...sides].sort(), ["client", "server"], "it is both");
  listener.close();
});

Deno.test("both clients with --proxy: plain, and TLS in a tunnel", async () => {
  const folder = await Deno.makeTempDir();
  const pair = await certificate(folder);
  const site = await folderOf({ "a.txt": "Hello" });
  const plain = await serveFolder(site);
  await using _ = plain.program;
  const tls = await serveFolder(site, "--cert", pair.cert, "--key", pair.key);
  await using __ = tls.program;
  const { program, port } = await startProxy();
  await using ___ = program;
  const run = async (script: string, ...args: string[]) => {
    const client = new Program(["deno", "run", "-N=127.0.0.1,localhost", "-R", script, ...args], { cwd: root });
    await client.end();
    return client;
  };
  const proxy = ["--proxy", `127.0.0.1:${port}`];
  for (const script of ["http/raw_client.ts", "http/fetch_client.ts"]) {
    const first = await run(script, ...proxy, `${plain.at}/a.txt`);
    assertEquals(first.status?.code, 0, first.stderr);
    assertMatch(first.stdout, /via: 1\.1 socketlab-[^]*Hello/i);
    const second = await run(script, ...proxy, "--ca", pair.cert, `https://localhost:${tls.port}/a.txt`);
    assertEquals(second.status?.code, 0, second.stderr);
    assertStringIncludes(second.stdout, "Hello");
    assert(!/via: 1\.1 socketlab/i.test(second.stdout), "a tunnel changes nothing");
    failedWith(
      await run(script, "--proxy", `127.0.0.1:${freePort()}`, plain.at),
      1,
      /: 127\.0\.0\.1:\d+ refused the connection: is the server running\?$/m,
    );
  }
  assertEquals(program.stdout.match(/"CONNECT localhost:\d+ HTTP\/1\.1" 200/g)?.length, 2, program.stdout);
  const raw = await run("http/raw_client.ts", ...proxy, "--ca", pair.cert, `https://localhost:${port}/`);
  failedWith(raw, 1, /: the proxy 127\.0\.0\.1:\d+ opens no tunnel to localhost:\d+: 403$/m);
  const traced = await run("http/fetch_client.ts", ...proxy, "--trace", `${plain.at}/a.txt`);
  assertStringIncludes(traced.stderr, `GET ${plain.at}/a.txt HTTP/1.1`);
  for (const path of [folder, site]) await Deno.remove(path, { recursive: true });
});

testWith(await has("curl", "--version"), "curl", "proxy: curl -x, with Node as the origin server", async () => {
  const hasNode = await has("node", "--version");
  const code = `require("http").createServer((q, s) => {
    if (q.method === "POST") { let n = 0; return q.on("data", (d) => n += d.length).on("end", () => s.end("" + n)); }
    s.setHeader("Cache-Control", "max-age=60"); s.setHeader("Trailer", "X-T");
    s.write("from Node "); s.addTrailers({ "X-T": "1" }); s.end(q.url);
  }).listen(+process.argv[1], "127.0.0.1", () => console.log("listening on it"))`;
  if (!hasNode) return;
  const node = await listening((own) => ["node", "-e", code, `${own}`]);
  await using _ = node.program;
  const { program, port } = await startProxy();
  await using __ = program;
  const curl = async (...args: string[]) => {
    const client = new Program(["curl", "-sS", "-m", "20", "-x", `http://127.0.0.1:${port}`, ...args], { env: {} });
    await client.end();
    return client.stdout + client.stderr;
  };
  const at = `http://127.0.0.1:${node.port}`;
  assertEquals(await curl(`${at}/a`), "from Node /a");
  assertMatch(await curl("-i", `${at}/a`), /\r\nContent-Length: 12\r\n[^]*\r\nCache-Status: socketlab-\w+; hit; ttl=/);
  assertEquals(await curl("-p", `${at}/b`), "from Node /b", "in a tunnel");
  assertEquals(await curl("--proxy1.0", `127.0.0.1:${port}`, "-0", `${at}/a`), "from Node /a");
  // curl asks for 100 Continue before a long body.
  const file = await Deno.makeTempFile();
  await Deno.writeFile(file, new Uint8Array(3_000_000));
  assertEquals(await curl("--data-binary", `@${file}`, `${at}/c`), "3000000");
  assertEquals(await curl("-H", "Transfer-Encoding: chunked", "--data-binary", `@${file}`, `${at}/c`), "3000000");
  await Deno.remove(file);
  // Two requests on one connection to the proxy.
  const both = await curl("-w", "%{num_connects} ", `${at}/a`, `${at}/d`);
  assertEquals(both, "from Node /a1 from Node /d0 ");
  assertEquals(program.stderr, "");
});

testWith(await has("nginx", "-v"), "nginx", "proxy: nginx as the origin server", async () => {
  const folder = await folderOf({ "www/a.txt": "Hello from nginx\n", "www/big.bin": new Uint8Array(2_000_000) });
  if (Deno.uid() === 0) await Deno.chmod(folder, 0o755);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  const nginx = freePort();
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;
     events {} http { access_log off; ${temporary.join(" ")} server { listen 127.0.0.1:${nginx}; root ${folder}/www;
     location / { expires 1m; } location /stale/ { alias ${folder}/www/; add_header Cache-Control "max-age=0"; } } }`,
  );
  await using _ = new Program(["nginx", "-c", `${folder}/nginx.conf`]);
  const { program, port } = await startProxy("--wait", "20");
  await using __ = program;
  const at = `http://127.0.0.1:${nginx}`;
  assertEquals((await ask(port, `${at}/a.txt`)).body, "Hello from nginx\n");
  assertMatch(said(await ask(port, `${at}/a.txt`)), /^hit; ttl=\d+$/);
  await ask(port, `${at}/stale/a.txt`);
  assertEquals(said(await ask(port, `${at}/stale/a.txt`)), "fwd=stale; fwd-status=304; ttl=0");
  assertEquals((await ask(port, `${at}/big.bin`)).body.length, 2_000_000);
  assertEquals((await ask(port, `${at}/big.bin`, "Range: bytes=10-19")).status, 206);
  assertEquals((await ask(port, `${at}/missing`)).status, 404);
  await Deno.remove(folder, { recursive: true });
});

inBrowser(
  "proxy: Chromium with a proxy: a page, its parts, and TLS",
  async () => {
    const folder = await Deno.makeTempDir();
    const pair = await certificate(folder);
    const text =
      '<!doctype html><title>t</title><link rel="stylesheet" href="a.css"><script src="a.js"></script><p>Hello</p>';
    const site = await folderOf({
      "a.html": text,
      "a.js": "document.title = 'from script';",
      "a.css": "p { color: red }",
    });
    const plain = await serveFolder(site, "--max-age", "86400");
    await using _ = plain.program;
    const tls = await serveFolder(site, "--cert", pair.cert, "--key", pair.key);
    await using __ = tls.program;
    const { program, port } = await startProxy();
    await using ___ = program;
    // Without the last option Chromium does not ask a proxy for 127.0.0.1.
    const flags = [
      `--proxy-server=http://127.0.0.1:${port}`,
      "--proxy-bypass-list=<-loopback>",
      "--ignore-certificate-errors",
    ];
    {
      await using opened = await openPage(800, flags);
      const { page, errors, browser } = opened;
      await page.goto(`${plain.at}/a.html`);
      assertEquals([await page.title(), errors], ["from script", []]);
      await page.goto(`https://localhost:${tls.port}/a.html`);
      assertEquals([await page.title(), errors], ["from script", []]);
      await page.goto(`http://127.0.0.1:${port}/`);
      assertMatch(await page.textContent("body") ?? "", /^403 Forbidden\nthat is the proxy itself/);
      // Another window with a cache of its own, which is empty: that of the proxy is not.
      const second = await browser.newPage({ viewport: { width: 800, height: 600 } });
      await second.goto(`${plain.at}/a.html`);
      assertEquals(await second.title(), "from script");
      await until(() => (program.stdout.match(/"hit; ttl=/g)?.length ?? 0) >= 3, "three hits for the second browser");
    }
    // A tunnel is logged at its end, and the browser has kept it open.
    await until(() => /"CONNECT localhost:\d+ HTTP\/1\.1" 200/.test(program.stdout), "the tunnel in the log");
    assertEquals(program.stderr, "");
    for (const path of [folder, site]) await Deno.remove(path, { recursive: true });
  },
);
