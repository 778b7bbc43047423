/** The HTTP servers and clients against what should not be: too few descriptors, mutated requests, hostile peers. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { below, type Random, seeded } from "../support/fuzz.ts";
import {
  descriptors,
  failedWith,
  fewDescriptors,
  memory,
  runClient,
  serve,
  testWith,
  until,
} from "../support/helpers.ts";
import { tcpServer } from "../support/hostile.ts";
import { canned, folderOf, get, raw, serveFolder, serveFolderBy } from "../support/http.ts";
import { has, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";

const linux = Deno.build.os === "linux";
const one = "http/one_request_server.ts";
const clients = ["http/raw_client.ts", "http/fetch_client.ts"];
const encoder = new TextEncoder();

const statusOf = (response: string) => response.slice(9, 12);

testWith(linux, "ulimit", "file_server.ts at ulimit -n 64: 120 clients get a file, or 503", async () => {
  const folder = await folderOf({ "large.bin": new Uint8Array(3 << 20), "small.txt": "hello", "sub/a.txt": "" });
  const { program, port } = await serveFolderBy(fewDescriptors, "http/file_server.ts", folder);
  await using _ = program;
  for (const [path, size] of [["/large.bin", 3 << 20], ["/sub/", 100], ["/small.txt", 5]] as const) {
    const responses = await Promise.all(Array.from({ length: 120 }, () => raw(port, get(path))));
    const served = responses.filter((response) => statusOf(response) === "200");
    assert(served.length >= 20 && served.every((response) => response.length >= size), `${path}: ${served.length}`);
    for (const response of responses.filter((response) => statusOf(response) !== "200")) {
      assertMatch(response, /^HTTP\/1\.1 503 [^]*\r\nRetry-After: 1\r\n/);
    }
  }
  await program.line(/^no file descriptors left \(\d+ clients connected\)/);
  assertMatch(await raw(port, get("/small.txt")), /^HTTP\/1\.1 200 OK/);
  assertEquals([program.stderr, program.status], ["", undefined]);
  await Deno.remove(folder, { recursive: true });
});

// Root may read everything, unless its process has lost these capabilities.
const bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
const ordinary = Deno.build.os !== "windows" && Deno.uid() === 0 ? bound : [];
testWith(
  linux && (ordinary.length === 0 || await has("setpriv", "--version")),
  "setpriv",
  "both servers: a file and a folder that they may not read are 403, and no more than that",
  async () => {
    const folder = await folderOf({ "shut.txt": "x", "locked/a.txt": "x", "a.txt": "hello", "locked/index.html": "x" });
    await Deno.chmod(`${folder}/shut.txt`, 0);
    await Deno.chmod(`${folder}/locked`, 0);
    const deno = [...ordinary, Deno.execPath()];
    for (const script of ["http/file_server.ts", one]) {
      const { program, port } = await serveFolderBy(deno, script, folder);
      await using _ = program;
      assertEquals(statusOf(await raw(port, get("/shut.txt"))), "403");
      assertEquals(statusOf(await raw(port, get("/locked/"))), script === one ? "404" : "403"); // one of them lists folders
      assertEquals(statusOf(await raw(port, get("/locked/a.txt"))), "404");
      assertEquals(statusOf(await raw(port, get("/a.txt"))), "200");
      assertEquals(program.stderr, "");
    }
    await Deno.chmod(`${folder}/locked`, 0o700);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("both servers: DNS rebinding: on loopback only the names of loopback are answered", async () => {
  const folder = await folderOf({ "a.txt": "the secret" });
  for (const script of ["http/file_server.ts", one]) {
    const { program, port } = script === one ? await serve(one) : await serveFolder(folder);
    await using _ = program;
    const path = script === one ? "/about.txt" : "/a.txt";
    const status = async (target: string, host: string) => {
      const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n`;
      return statusOf(await raw(port, `${request}Connection: close\r\n\r\n`));
    };
    for (const host of ["localhost", `127.0.0.1:${port}`, "[::1]:1", "LOCALHOST", "", "a.localhost"]) {
      assertEquals([host, await status(path, host)], [host, "200"]);
    }
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "192.0.2.1"]) {
      assertEquals([host, await status(path, host)], [host, "421"]);
    }
    // An authority in the target goes before the Host field (RFC 9112 §3.2.2).
    assertEquals(await status(`http://evil.example${path}`, "localhost"), "421");
    assertEquals(await status(`http://localhost${path}`, "evil.example"), "200");
    assertMatch(await raw(port, `GET ${path} HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 200 OK/);
    if (script !== one) { // each request of a connection is judged, also where the file is in memory
      const request = (host: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
      const hosts = ["localhost", "localhost", "evil.example", "localhost"].map((host) => `${request(host)}\r\n`);
      const both = await raw(port, `${hosts.join("")}${request("evil.example")}Connection: close\r\n\r\n`);
      assertEquals(both.match(/(?<=HTTP\/1\.1 )\d+/g), ["200", "200", "421", "200", "421"]);
    }
  }
  await Deno.remove(folder, { recursive: true });
});

const head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
const found = (location: string) => `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
/** What a server sends, the options of the client, and the one line that the client ends with. */
const onceHostile: [script: string, what: string, response: string, args: string[], line: RegExp][] = [
  ["raw", "1xx without end", "HTTP/1.1 103 x\r\n\r\n".repeat(1000), [], /more than 10 interim responses \(1xx\)$/m],
  [
    "raw",
    "a redirect to a file",
    found("file:///etc/passwd"),
    ["--follow"],
    /redirects to file:\/\/\/etc\/passwd: not /,
  ],
  [
    "raw",
    "a redirect with a password",
    found("http://u:p@localhost/"),
    ["--follow"],
    /redirects to http:\/\/u:p@localh/,
  ],
  ["raw", "controls in a Location", found("file:\x1b[2J"), ["--follow"], /broke the protocol: .* control character$/m],
  [
    "raw",
    "lines without end",
    `${head}X: y\r\n`.repeat(9999),
    [],
    /broke the protocol: the head has more than 100 fie/,
  ],
  ["fetch", "1xx without end", "HTTP/1.1 103 x\r\n\r\n".repeat(1000), [], /closed the connection in the middle/],
  ["fetch", "a redirect to a file", found("file:///etc/passwd"), [], /redirects to something else than http:/],
  ["fetch", "a malformed redirect", found("http://["), [], /redirects to http:\/\/\[, which is not a URL$/m],
  ["fetch", "gzip that is none", `${head}Content-Encoding: gzip\r\n\r\nhello`, [], /cannot be decompressed$/m],
  ["fetch", "br that is none", `${head}Content-Encoding: br\r\n\r\nhello`, [], /cannot be decompressed$/m],
  ["fetch", "an endless head", `${head}X: y\r\n`.repeat(9999), [], /did not answer as an HTTP server does: /],
];
for (const [name, what, response, args, line] of onceHostile) {
  Deno.test(`${name}_client.ts: ${what} is one line and exit code 1`, async () => {
    using server = canned(response, response, response);
    failedWith(await runClient(`http/${name}_client.ts`, server.port, ...args), 1, line);
  });
}

Deno.test("fetch_client.ts: redirects without end, and JSON with 100,000 levels", async () => {
  using loop = canned(...Array.from({ length: 50 }, () => found("/")));
  failedWith(await runClient("http/fetch_client.ts", loop.port), 1, /redirects more than 20 times$/m);
  const deep = `${head}Content-Type: application/json\r\n\r\n${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  using server = canned(deep, deep);
  const shown = await runClient("http/fetch_client.ts", server.port);
  assertEquals([shown.status?.code, shown.stderr], [0, ""]);
  const json = JSON.parse((await runClient("http/fetch_client.ts", server.port, "--json")).stdout);
  assertEquals([json.status, json.bytes], [200, 200_000]);
});

Deno.test("fetch_client.ts --json: no control character or direction override is left raw", async () => {
  const text = "a\u009b31m\u202eb\u{e0041}";
  using server = canned(`${head}Content-Type: text/plain; charset=UTF-8\r\n\r\n${text}`);
  const program = await runClient("http/fetch_client.ts", server.port, "--json");
  assertStringIncludes(program.stdout, String.raw`"a\u009b31m\u202eb\udb40\udc41"`);
  assertEquals(JSON.parse(program.stdout).text, text);
});

Deno.test("raw_client.ts: a line of 40 MB is shown as it comes", async () => { // with a square of it this took minutes
  using server = canned(`${head}\r\n${"x".repeat(40_000_000)}`);
  const program = await runClient("http/raw_client.ts", server.port);
  assertEquals([program.status?.code, program.stderr], [0, ""]);
  assertMatch(program.stdout.slice(-200), /xxx\nbody: 40000000 bytes, until the connection ended/);
});

const pause = (ms: number) => new Promise((go) => setTimeout(go, ms));

/** Sends a piece of a text every 0.1 s. */
const dribble = (first: string, piece: string) => async (conn: Deno.TcpConn) => {
  await conn.read(new Uint8Array(4096));
  for (let text = first;; text = piece) {
    await conn.write(encoder.encode(text));
    await pause(100);
  }
};

for (const [script, name] of [["http/raw_client.ts", "raw"], ["http/fetch_client.ts", "fetch"]] as const) {
  Deno.test(`${name}_client.ts --timeout limits each step: a silent TLS server, a head that never ends`, async () => {
    using silent = tcpServer(async () => {});
    const url = `https://127.0.0.1:${silent.port}/`;
    failedWith(
      await runClient(script, silent.port, "--timeout=0.5", url),
      1,
      name === "raw" ? /did not finish the TLS handshake in 0\.5 s$/m : /did not answer in time: .* for 0\.5 s$/m,
    );
    using slow = tcpServer(dribble("HTTP/1.1 200 OK\r\n", "X: y\r\n"));
    failedWith(
      await runClient(script, slow.port, "--timeout=0.5"),
      1,
      name === "raw" ? /did not send a whole head in 0\.5 s$/m : /did not answer in time: .* for 0\.5 s$/m,
    );
  });

  Deno.test(`${name}_client.ts: a slow body is no error; --max-time limits all of it; a silent one is an error`, async () => {
    const start = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ";
    let sent = 0;
    using steady = tcpServer(async (conn) => {
      await conn.read(new Uint8Array(4096));
      await conn.write(encoder.encode(`${start}8\r\n\r\n`));
      for (sent = 0; sent < 8; sent++) { // together they take more than the time of one step
        await conn.write(encoder.encode("a"));
        await pause(200);
      }
    });
    const whole = await runClient(script, steady.port, "--timeout=1");
    assertEquals([whole.status?.code, whole.stderr, sent >= 7], [0, "", true]);
    assertMatch(whole.stdout, /^( {2})?aaaaaaaa$/m);
    using endless = tcpServer(dribble(`${start}99999\r\n\r\n`, "a"));
    failedWith(await runClient(script, endless.port, "--max-time=0.6"), 1, /did not finish in 0\.6 s \(--max-time\)$/m);
    using silent = tcpServer(async (conn) => {
      await conn.read(new Uint8Array(4096));
      await conn.write(encoder.encode(`${start}8\r\n\r\na`));
    });
    failedWith(await runClient(script, silent.port, "--timeout=0.5"), 1, /sent nothing for 0\.5 s$/m);
  });
}

Deno.test("both clients: a TLS server that sends an alert, or no TLS, is one line", async () => {
  for (
    const [bytes, line] of [
      ["\x15\x03\x01\x00\x02\x02\x46", /no TLS with \S+: it has no version of TLS in common with this client/],
      ["\x15\x03\x01\x00\x02\x02\x28", /received fatal alert: HandshakeFailure/],
      ["HTTP/1.1 400 Bad Request\r\n\r\n", /no TLS with \S+: it does not speak TLS there: try http:\/\/$/m],
    ] as const
  ) {
    using server = tcpServer(async (conn) => {
      await conn.read(new Uint8Array(4096));
      await conn.write(encoder.encode(bytes));
      await conn.read(new Uint8Array(4096)); // until the client closes
      conn.close();
    });
    for (const script of clients) {
      failedWith(await runClient(script, server.port, `https://127.0.0.1:${server.port}/`), 1, line);
    }
  }
});

testWith(
  linux,
  "reset like that of Linux",
  "raw_client.ts: a response to a request that the server has not read to its end",
  async () => {
    const folder = await folderOf({ "large.bin": new Uint8Array(8 << 20) });
    using server = tcpServer(async (conn) => {
      await conn.read(new Uint8Array(1000));
      await conn.write(encoder.encode("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n"));
      conn.close();
    });
    const args = ["--port", `${server.port}`, "--data", `@${folder}/large.bin`];
    const program = new Program(["deno", "run", "-N=127.0.0.1", `-R=${folder}`, "http/raw_client.ts", ...args], {
      cwd: root,
    });
    await program.end();
    assertEquals([program.status?.code, program.stderr], [0, ""]);
    assertStringIncludes(program.stdout, "< HTTP/1.1 413 Content Too Large\n");
    await Deno.remove(folder, { recursive: true });
  },
);

/** Changes a message in one to three places: bytes flipped, parts cut, repeated or doubled, numbers made extreme. */
function mutate(message: string, random: Random): Uint8Array<ArrayBuffer> {
  let text = message;
  const at = () => below(random, text.length + 1);
  const insert = (what: string, where = at()) => text = text.slice(0, where) + what + text.slice(where);
  const evil = [
    "\0",
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\x1b[2J",
    "%00",
    "%ff",
    "../",
    "\u202e",
    ":",
    " ",
    "\x80",
    ";",
    ",",
  ];
  const numbers = ["-1", "0", "99999999999999999999", "1e9", "0x10", "ffffffff", ""];
  const changes = [
    () => text = text.slice(0, at()),
    () => insert(String.fromCharCode(below(random, 256))),
    () => insert(evil[below(random, evil.length)] ?? ""),
    () => insert(text.slice(at(), at())),
    () => insert((evil[below(random, evil.length)] ?? "").repeat(below(random, 3000))),
    () =>
      text = text.replace(/\d+/g, (digits) => below(random, 2) ? digits : numbers[below(random, numbers.length)] ?? ""),
    () => text = text.replace(/\r\n/g, (end) => below(random, 4) ? end : "\n"),
    () => {
      const lines = text.split("\r\n");
      lines.splice(
        below(random, lines.length),
        0,
        ...(lines.slice(below(random, lines.length)).slice(0, 1 + below(random, 3))),
      );
      text = lines.join("\r\n");
    },
  ];
  for (let n = below(random, 3); n >= 0; n--) changes[below(random, changes.length)]?.();
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 255);
}

const requests = [
  get("/a.txt", 'Range: bytes=0-1,3-4\r\nIf-Range: "x"\r\nAccept-Encoding: gzip;q=0.5, br\r\n'),
  get("/sub/", 'If-None-Match: "a", W/"b"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n'),
  get("http://localhost/none%20x?y=z"),
  "POST /a.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n0\r\nA: b\r\n\r\n",
  "PUT /a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
  "GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3),
  "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];

for (const [script, count, atOnce] of [["http/file_server.ts", 6000, 50], [one, 1000, 20]] as const) {
  testWith(linux, "/proc of Linux", `${script}: ${count} mutated requests leave nothing behind`, async () => {
    const folder = await folderOf({ "a.txt": "hello", "sub/b.txt": "b" });
    const { program, port } = script === one
      ? await serve(one, "--timeout", "2")
      : await serveFolder(folder, "--timeout", "2");
    await using _ = program;
    const good = script === one ? "/about.txt" : "/a.txt";
    assertMatch(await raw(port, get(good)), /^HTTP\/1\.1 200 OK/);
    const before = await descriptors(program.pid);
    const random = seeded(20261123);
    const attack = async () => {
      const request = mutate(requests[below(random, requests.length)] ?? "", random);
      const leaves = below(random, 4) === 0;
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        await conn.write(request);
        if (!leaves) {
          await conn.closeWrite(); // now the server has no reason to wait for more
          const buffer = new Uint8Array(65_536);
          while (await conn.read(buffer) !== null);
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) throw error;
      }
      conn.close();
    };
    let memoryBefore = 0;
    for (let i = 0; i < count; i += atOnce) {
      await Promise.all(Array.from({ length: atOnce }, attack));
      if (i >= count / 4) memoryBefore ||= await memory(program.pid);
    }
    assertMatch(await raw(port, get(good)), /^HTTP\/1\.1 200 OK/);
    await until(async () => await descriptors(program.pid) <= before + 8, "the descriptors back");
    const grown = await memory(program.pid) - memoryBefore;
    assert(grown < 40, `${grown} MiB more`);
    assertEquals(program.stderr, "");
    // deno-lint-ignore no-control-regex -- they are what must not be in the log
    assert(!/[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]/.test(program.stdout));
    await Deno.remove(folder, { recursive: true });
  });
}

const responses = [
  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n5;a=b\r\n[1,2]\r\n0\r\nT: u\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
  "HTTP/1.1 302 Found\r\nLocation: http://localhost/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  "HTTP/1.1 302 Found\r\nLocation: ../x?y#z\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04",
  "HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nSet-Cookie: a=b\r\n\r\n<p>\u00fc</p>",
];

/** Sends one mutated response, whole or in pieces; then closes, or stays silent. */
async function misbehave(conn: Deno.TcpConn, random: Random): Promise<void> {
  const bytes = mutate(responses[below(random, responses.length)] ?? "", random);
  const size = [bytes.length, 1 + below(random, 20), 1 + below(random, 200)][below(random, 3)] ?? bytes.length;
  const end = below(random, 5);
  if (below(random, 10) > 0) await conn.read(new Uint8Array(65_536));
  for (let at = 0, pieces = 0; at < bytes.length && pieces < 50; at += size, pieces++) {
    await conn.write(bytes.subarray(at, at + size));
  }
  if (end === 0) return; // the connection stays open, and silent
  if (end === 1) await conn.closeWrite();
  else conn.close();
}

for (const script of clients) {
  Deno.test(`${script} against 100 hostile servers: in time, exit code 0 or 1, one line at most`, async () => {
    let seed = 0;
    const lane = async () => {
      for (let mine = ++seed; mine <= 100; mine = ++seed) {
        const random = seeded(1000 + mine);
        using server = tcpServer((conn) => misbehave(conn, random));
        const args = ["--timeout=0.5", ...(script.includes("raw") && mine % 2 ? ["--follow"] : [])];
        const program = await runClient(script, server.port, ...args);
        const what = `seed ${mine}: ${program.stderr}`;
        // 2: it redirects to where the client has no right to go, and the client says with which right it would.
        const isDenied = / no permission to use localhost:/.test(program.stderr);
        assert((isDenied ? [2] : [0, 1]).includes(program.status?.code ?? -1), what);
        assertEquals(program.stderr === "", program.status?.code === 0, what);
        assert(/^(\w+_client: .*\n)?$/.test(program.stderr), what);
        // deno-lint-ignore no-control-regex -- they are what must not reach a terminal
        assert(!/[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]/.test(program.stdout + program.stderr), what);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
  });
}

testWith(
  linux,
  "/proc of Linux",
  "file_server.ts: memory is bounded, however many files and however large",
  async () => {
    const files: Record<string, Uint8Array> = { "large.bin": new Uint8Array(200 << 20) };
    for (let i = 0; i < 150; i++) files[`${i}.bin`] = new Uint8Array(1 << 20);
    const folder = await folderOf(files);
    const { program, at } = await serveFolder(folder, "--quiet");
    await using _ = program;
    for (const name of [...Object.keys(files), ...Object.keys(files)]) {
      let size = 0;
      for await (const part of (await fetch(`${at}/${name}`)).body ?? []) size += part.length;
      assertEquals(size, files[name]?.length);
    }
    const used = await memory(program.pid);
    assert(used < 300, `${used} MiB`);
    await Deno.remove(folder, { recursive: true });
  },
);
