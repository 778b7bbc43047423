/** The proxy against what should not be: mutated requests and responses, few descriptors, slow and hostile peers, other ways in. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { MessageError, parseRequest } from "../../http/_message.ts";
import { below, mutate, pick, seeded } from "../support/fuzz.ts";
import { descriptors, fewDescriptors, listening, memory, testWith, until } from "../support/helpers.ts";
import { Program } from "../support/program.ts";
import { absolute, ask, ProxyPeer, respond, said, startOrigin, startProxy } from "../support/proxy.ts";

const linux = Deno.build.os === "linux";
const encoder = new TextEncoder();

/** Sends bytes, ends this side, and returns all that comes back. */
async function talk(port: number, data: Uint8Array | string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  let text = "";
  try {
    let rest = typeof data === "string" ? encoder.encode(data) : data;
    while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
    await conn.closeWrite();
    const buffer = new Uint8Array(65_536);
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      text += new TextDecoder("latin1").decode(buffer.subarray(0, n));
    }
  } catch (error) {
    const isEnd = error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
    if (!isEnd && !(error instanceof Deno.errors.NotConnected)) throw error;
  }
  return text;
}

/** Calls `each` for the numbers from 0 to `count`, some at a time. */
async function inParallel(count: number, each: (i: number) => Promise<void>): Promise<void> {
  const numbers = Array.from({ length: count }, (_, i) => i).values();
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const i of numbers) await each(i);
  }));
}

Deno.test("proxy: 1500 mutated requests: the server gets whole ones alone, and nobody else is connected", async () => {
  const faults: string[] = [];
  using origin = startOrigin(({ method, target, fields }) => {
    // What the proxy passes on must be a request that a second parser reads in the same way.
    const lines = [`${method} ${target} HTTP/1.1`, ...[...fields].map((field) => field.join(": ")), "", ""];
    try {
      parseRequest(encoder.encode(lines.join("\r\n")));
    } catch (error) {
      faults.push(error instanceof MessageError ? error.message : `${error}`);
    }
    if (fields.has("connection") && fields.get("connection") !== "close") faults.push("Connection was passed on");
    return respond(target, "Cache-Control: max-age=60", "Vary: Accept");
  });
  using forbidden = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let reached = 0;
  (async () => {
    for await (const conn of forbidden) {
      reached++;
      conn.close();
    }
  })().catch(() => {});
  const { program, port } = await startProxy("--timeout", "5", "--allow", `127.0.0.1:${origin.port}`, "--quiet");
  await using _ = program;
  const url = `${origin.at}/path?query=1`;
  const samples = [
    absolute(url, "Accept: text/html", "Connection: keep-alive, X-A", "X-A: 1", "Cache-Control: max-age=0"),
    absolute(url, "Content-Length: 5", 'If-None-Match: "1"').replace("GET", "POST") + "hello",
    absolute(url, "Transfer-Encoding: chunked").replace("GET", "PUT") + "5\r\nhello\r\n0\r\nX: 1\r\n\r\n",
    absolute(url) + absolute(`${origin.at}/second`, "Via: 1.0 other"),
    `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /in-tunnel HTTP/1.1\r\nHost: x\r\n\r\n`,
    `CONNECT 127.0.0.1:${forbidden.addr.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`,
    absolute(`http://127.0.0.1:${forbidden.addr.port}/`, "Max-Forwards: 3").replace("GET", "TRACE"),
  ];
  const random = seeded(20261128);
  const inputs = Array.from({ length: 1500 }, () => mutate(encoder.encode(pick(random, samples)), random));
  await inParallel(inputs.length, async (i) => {
    const text = await talk(port, inputs[i] ?? new Uint8Array());
    if (text !== "") assertMatch(text, /^HTTP\/1\.1 [1-5]\d\d /, new TextDecoder().decode(inputs[i]));
  });
  assertEquals(faults, []);
  assertEquals(reached, 0, "a server that --allow does not name");
  assertEquals((await ask(port, url)).status, 200);
  assertEquals([program.stderr, program.status], ["", undefined]);
});

Deno.test("proxy: 1000 mutated responses: each client gets one that is whole, or is told, and no other URL is harmed", async () => {
  const samples = [
    respond("hello, world", "Cache-Control: max-age=60, public", 'ETag: "1"', "Vary: Accept"),
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: s-maxage=60\r\n\r\n5\r\nhello\r\n3;a=b\r\nxyz\r\n0\r\nT: 1\r\n\r\n",
    'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nExpires: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n',
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 404 Not Found\r\nAge: 5\r\nConnection: x\r\nX: 1\r\n\r\nnothing",
  ];
  const random = seeded(19941106);
  const replies = Array.from({ length: 1000 }, () => mutate(encoder.encode(pick(random, samples)), random));
  using origin = startOrigin(({ target }) => {
    const number = Number(/^\/(\d+)$/.exec(target)?.[1] ?? NaN);
    return replies[number] ?? respond(`right ${target}`, "Cache-Control: max-age=600");
  });
  const { program, port } = await startProxy("--origin-timeout", "3", "--quiet");
  await using _ = program;
  const atRest = linux ? await descriptors(program.pid) : 0;
  await inParallel(replies.length, async (i) => {
    const close = i % 2 === 0 ? ["Connection: close"] : [];
    const text = await talk(port, absolute(`${origin.at}/${i}`, ...close) + absolute(`${origin.at}/right`));
    assertMatch(text, /^HTTP\/1\.1 [1-5]\d\d [^]*\r\n\r\n/, new TextDecoder().decode(replies[i]));
    // Whatever came first, a second response on the connection is the one to the second request.
    if (text.includes("right ")) assert(text.endsWith("right /right"), text);
    if (i % 50 === 0) assertEquals((await ask(port, `${origin.at}/page${i}`)).body, `right /page${i}`);
  });
  assertEquals([program.stderr, program.status], ["", undefined]);
  if (linux) await until(async () => await descriptors(program.pid) < atRest + 5, "all connections are closed");
});

Deno.test("proxy: 500 spellings of its own address and of servers that are not allowed", async () => {
  using origin = startOrigin(() => respond("inside"));
  const { program, port } = await startProxy("--allow", "localhost:1", "--quiet");
  await using _ = program;
  const hosts = ["127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f.0.0.1", "017700000001", "[::1]"];
  hosts.push(
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "0.0.0.0",
    "[::]",
    "127.0.0.1.",
    "a.localhost",
  );
  const marks = ["", ".", "%00", "%2e", "@127.0.0.1", "#", "?", "\\", " ", "\t", ":", ":1@127.0.0.1"];
  const random = seeded(7);
  await inParallel(500, async () => {
    const host = pick(random, hosts) + pick(random, marks);
    const to = `${host}:${pick(random, [port, origin.port])}${below(random, 4) === 0 ? pick(random, marks) : ""}`;
    const request = below(random, 2) === 0
      ? `CONNECT ${to} HTTP/1.1\r\nHost: ${pick(random, ["localhost:1", to])}\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n`
      : `GET http://${to}/ HTTP/1.1\r\nHost: localhost:1\r\n\r\n`;
    assertMatch(await talk(port, request), /^HTTP\/1\.1 (400|403|501|502) /, request);
  });
  assertEquals(origin.requests.length, 0);
  assertEquals([program.stderr, program.status], ["", undefined]);
});

Deno.test("proxy: line ends that are injected in a URL, in a field or by the server stay where they are", async () => {
  using origin = startOrigin(({ target }) =>
    target.startsWith("/answer")
      ? "HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n"
      : respond(target, "Cache-Control: max-age=60")
  );
  const { program, port } = await startProxy("--quiet");
  await using _ = program;
  const encoded = await ask(port, `${origin.at}/a%0d%0aSet-Cookie:%20evil=1`);
  assertEquals([encoded.body, encoded.fields.has("set-cookie")], ["/a%0d%0aSet-Cookie:%20evil=1", false]);
  for (const evil of ["\r", "\n", "\0", "\x0b", "\x85\n"]) {
    const text = await talk(port, `GET ${origin.at}/b${evil}X: 1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    assertMatch(text, /^HTTP\/1\.1 400 /, JSON.stringify(evil));
    const field = await talk(port, absolute(`${origin.at}/c`, `X: a${evil}Content-Length: 5`));
    assertMatch(field, /^HTTP\/1\.1 400 /, JSON.stringify(evil));
  }
  const answer = await ask(port, `${origin.at}/answer`);
  assertEquals([answer.status, answer.fields.has("set-cookie")], [502, false]);
  assertEquals(origin.requests.map(({ target }) => target.slice(0, 2)), ["/a", "/a"]);
  assertEquals(program.stderr, "");
});

Deno.test("proxy: 400 requests whose end is told in two ways: none hides a second one", async () => {
  using origin = startOrigin(() => respond("ok"));
  const { program, port } = await startProxy("--quiet");
  await using _ = program;
  const random = seeded(4242);
  const codings = [
    "chunked",
    "Chunked",
    " chunked",
    "chunked ",
    "x, chunked",
    "chunked, x",
    "chunked;q=1",
    '"chunked"',
    "identity",
  ];
  codings.push("chunked\t", "\x0bchunked", "xchunked", "chunked, chunked", "", "gzip");
  const names = [
    "Transfer-Encoding",
    "Transfer-Encoding ",
    "transfer_encoding",
    "Transfer\x01-Encoding",
    " Transfer-Encoding",
  ];
  const lengths = ["0", "5", "-5", "+5", "5, 5", "5;", "0x5", "05", "5 5", "", "99999999999999999999", "5\t"];
  const ends = ["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\r\n\t"];
  for (let i = 0; i < 400; i++) {
    let head = `POST ${origin.at}/first HTTP/1.1\r\nHost: x\r\n`;
    for (let lines = 1 + below(random, 3); lines > 0; lines--) {
      head += below(random, 2) === 0
        ? `${pick(random, names)}:${pick(random, ["", " "])}${pick(random, codings)}${pick(random, ends)}`
        : `Content-Length: ${pick(random, lengths)}${pick(random, ends)}`;
    }
    // Behind one end of the body hides a request: for one who believes the other end it is content.
    const hidden = `GET ${origin.at}/hidden HTTP/1.1\r\nHost: x\r\n\r\n`;
    const body = pick(random, [
      `0\r\n\r\n${hidden}`,
      `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
      `hello${hidden}`,
    ]);
    const before = origin.requests.length;
    const text = await talk(port, `${head}\r\n${body}`);
    // A second one is right where the first has one end alone, which everybody reads in the same way.
    const isClear = !/^transfer-encoding/im.test(head) || !/^content-length/im.test(head);
    if (origin.requests.length > before + 1) assert(isClear, head);
    if (text !== "") assertMatch(text, /^HTTP\/1\.1 (200|400|413|501) /, head);
  }
  for (const { fields } of origin.requests) {
    const both = fields.has("content-length") && fields.has("transfer-encoding");
    assert(!both && fields.all("content-length").length < 2 && fields.all("transfer-encoding").length < 2);
  }
  assertEquals([program.stderr, program.status], ["", undefined]);
});

testWith(linux, "ulimit", "proxy at ulimit -n 64: 120 clients get their page, or 503, and it goes on", async () => {
  const { program, port } = await listening((port) => [
    ...[...fewDescriptors, "run", "-N", "http/proxy_server.ts", "--port", `${port}`, "--quiet", "--timeout", "10"],
  ]);
  await using _ = program;
  using origin = startOrigin(({ target }) => respond(target, "Cache-Control: no-store"));
  const idle = await Promise.all(Array.from({ length: 60 }, () => ProxyPeer.connect(port)));
  const responses = Promise.all(
    Array.from({ length: 120 }, (_, i) => talk(port, absolute(`${origin.at}/${i}`, "Connection: close"))),
  );
  for (const peer of idle) peer[Symbol.dispose]();
  const served = (await responses).filter((text) => /^HTTP\/1\.1 200 /.test(text));
  assert(served.length >= 20, `${served.length} of 120`);
  for (const text of await responses) assertMatch(text, /^HTTP\/1\.1 (200|503) |^$/);
  assertEquals((await ask(port, `${origin.at}/after`)).body, "/after");
  assertEquals(program.status, undefined);
  assertEquals(program.stderr, "");
});

testWith(
  linux,
  "/proc",
  "proxy: slow clients, slow servers and a full cache cost little memory, and others are served",
  async () => {
    const part = new Uint8Array(1 << 20);
    using origin = startOrigin(({ target }) => {
      if (target.startsWith("/small")) return respond("x".repeat(60_000), "Cache-Control: max-age=600");
      return (async function* () {
        yield "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 104857600\r\n\r\n";
        if (target === "/drip") {
          for (let i = 0; i < 50; i++) yield await new Promise<string>((go) => setTimeout(go, 100, "x"));
        } else for (let i = 0; i < 100; i++) yield part;
      })();
    });
    const { program, port } = await startProxy("--quiet", "--cache", "4", "--timeout", "30");
    await using _ = program;
    const [before, atRest] = [await memory(program.pid), await descriptors(program.pid)];
    const peers: ProxyPeer[] = [];
    for (let i = 0; i < 30; i++) {
      const peer = await ProxyPeer.connect(port);
      peers.push(peer);
      await peer.send(absolute(`${origin.at}/${i % 3 === 0 ? "drip" : "large"}`));
      await peer.head(); // and not a byte more
    }
    for (let i = 0; i < 50; i++) (peers[i] = peers[i] ?? await ProxyPeer.connect(port)).send("").catch(() => {});
    for (let i = 0; i < 150; i++) assertEquals((await ask(port, `${origin.at}/small${i}`)).body.length, 60_000);
    assertMatch(said(await ask(port, `${origin.at}/small149`)), /^hit/);
    assertEquals(said(await ask(port, `${origin.at}/small0`)), "fwd=uri-miss; stored", "the oldest ones had to go");
    const grown = await memory(program.pid) - before;
    for (const peer of peers) peer[Symbol.dispose]();
    assert(grown < 120, `${grown} MiB more, for 30 slow clients and 9 MB of responses with a cache of 4 MiB`);
    await until(async () => await descriptors(program.pid) < atRest + 5, "all connections are closed");
    assertEquals([program.stderr, program.status], ["", undefined]);
  },
);

testWith(
  await new Program(["curl", "--version"]).end().then(({ success }) => success, () => false),
  "curl",
  "proxy: 200 transfers by curl, 20 at a time, over tunnels and plain",
  async () => {
    using origin = startOrigin(({ target }) =>
      respond(
        target.repeat(1000),
        `Cache-Control: ${target.length % 2 ? "no-store" : "max-age=60"}`,
        "Connection: close", // or curl would use its tunnel again
      )
    );
    const { program, port } = await startProxy("--quiet");
    await using _ = program;
    for (const tunnel of [[], ["-p"]]) {
      const curl = new Program([
        ...[
          "curl",
          "-sS",
          "-Z",
          "--parallel-max",
          "20",
          "-m",
          "60",
          "-x",
          `http://127.0.0.1:${port}`,
          ...tunnel,
          "-w",
          "%{http_code} %{size_download}\n",
        ],
        ...["-o", "/dev/null", `${origin.at}/[1-100]`].map((word) => word.startsWith("http") ? word : word),
      ]);
      await curl.end(90);
      assertEquals(curl.stdout.match(/^200 [234]000$/gm)?.length, 100, curl.stdout.slice(0, 500) + curl.stderr);
    }
    assertEquals(program.stderr, "");
  },
);
