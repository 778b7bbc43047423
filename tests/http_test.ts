/** The HTTP servers and clients: as they are used, and as they are misused. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { X509Certificate } from "node:crypto";
import { connect } from "node:net";
import { type CertificatePair, selfSigned } from "../tcp/_self_signed.ts";
import {
  certificate,
  descriptors,
  failedWith,
  listening,
  memory,
  noSignals,
  refusedWith,
  runClient,
  serve,
  signals,
  suiteTest,
  testWith,
  until,
} from "./support/helpers.ts";
import { canned, folderOf, get, raw, serveFolder } from "./support/http.ts";
import { optionsTest } from "./support/options.ts";
import { has, output, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const linux = Deno.build.os === "linux";
const windows = Deno.build.os === "windows";
const one = "http/one_request_server.ts";

optionsTest("http/file_server.ts", {
  "host": "127.0.0.1",
  "port": "8000, 0 to 65535",
  "timeout": "30",
  "max-clients": "10000, 1 to 1000000",
  "max-age": "0, 0 to 31536000",
});
optionsTest("http/one_request_server.ts", { "host": "127.0.0.1", "port": "8080, 0 to 65535", "timeout": "10" });
optionsTest("http/raw_client.ts", {
  "host": "127.0.0.1",
  "port": "8080, 1 to 65535",
  "wait": "0",
  "timeout": "5",
  "max-time": "0",
});
optionsTest("http/fetch_client.ts", {
  "host": "127.0.0.1",
  "port": "8000, 1 to 65535",
  "wait": "0",
  "timeout": "5",
  "max-time": "0",
  "size": "16, 1 to 1024",
});

/** Starts a server on the folder that the suite has made. */
const serveRoot = (script: string, root: string, ...args: string[]) =>
  listening((port) => ["deno", "run", "-N=127.0.0.1", `-R=${root}`, script, `--port=${port}`, "--root", root, ...args]);
suiteTest("http:server", "file_server.ts", ({ root = "" }) => serveRoot("http/file_server.ts", root));
suiteTest(
  "http:server",
  "file_server.ts --trace",
  ({ root = "" }) => serveRoot("http/file_server.ts", root, "--trace"),
);
// It serves one at a time: that is its lesson.
suiteTest("http:server", one, ({ root = "" }) => serveRoot(one, root), ["a slow client at the same time"]);

Deno.test("one_request_server.ts: a file, a folder, what is not there, another method", async () => {
  const { program, port } = await serve(one);
  await using _ = program;
  assertMatch(
    await raw(port, get("/about.txt")),
    /^HTTP\/1\.1 200 OK\r\n[^]*\r\nContent-Type: text\/plain; charset=UTF-8\r\n[^]*grüß Gott/,
  );
  assertMatch(await raw(port, get("/notes")), /^HTTP\/1\.1 301 [^]*\r\nLocation: \/notes\/\r\n/);
  assertMatch(
    await raw(port, get("/notes/")),
    /^HTTP\/1\.1 404 Not Found\r\n[^]*404 Not Found\nthere is no such file here\n$/,
  );
  assertMatch(await raw(port, get("/").replace("GET", "DELETE")), /^HTTP\/1\.1 405 [^]*\r\nAllow: GET, HEAD\r\n/);
  assertMatch(await raw(port, "GET / HTTP/1.1\nHost: localhost\n\n"), /^HTTP\/1\.1 400 [^]*nc -C/);
  await program.line(/"DELETE \/" 405 Method Not Allowed$/);
  await program.line(/400 Bad Request: this line ends in LF alone/);
});

Deno.test("both file servers take the folder as argument or by --root, and no second one", async () => {
  for (const script of [one, "http/file_server.ts"]) {
    for (const args of [["http/site"], ["--root", "http/site"]]) {
      const { program, port } = await serve(script, ...args);
      await using _ = program;
      assertMatch(await raw(port, get("/about.txt")), /^HTTP\/1\.1 200 OK\r\n/);
    }
    for (const args of [["http/site", "http"], ["--root", "http/site", "http"]]) {
      const program = await runClient(script, 0, ...args);
      refusedWith(program, /: one folder is enough: unexpected argument http$/m);
    }
  }
});

Deno.test("one_request_server.ts: a silent client is closed at --timeout, and the next is served", async () => {
  const { program, port } = await serve(one, "--timeout", "0.4");
  await using _ = program;
  using silent = await Deno.connect({ hostname: "127.0.0.1", port });
  await silent.write(new TextEncoder().encode("GET /"));
  assertMatch(await raw(port, get("/")), /^HTTP\/1\.1 200 OK/); // it waits for its turn
  await program.line(/was silent for 0\.4 s: closed/);
});

Deno.test("one_request_server.ts: a client that has gone before the answer is no reason to stop", async () => {
  const { program, port } = await serve(one);
  await using _ = program;
  for (let i = 0; i < 20; i++) {
    const done = Promise.withResolvers<void>();
    const socket = connect(port, "127.0.0.1", () => socket.write(get("/"), () => socket.resetAndDestroy()));
    socket.once("close", () => done.resolve());
    socket.once("error", () => done.resolve());
    await done.promise;
  }
  assertMatch(await raw(port, get("/")), /^HTTP\/1\.1 200 OK/);
  assertEquals(program.stderr, "");
});

for (const script of [one, "http/file_server.ts"]) {
  Deno.test(`${script}: a root that is no folder is exit code 2`, async () => {
    for (const folder of ["no-such-folder", "README.md"]) {
      const program = new Program(["deno", "run", "-N=127.0.0.1", "-R", script, "--root", folder, "--port=0"], {
        cwd: root,
      });
      await program.end();
      assertMatch(program.stderr, /: --root needs a folder, but .* is not one\n$/);
      assertEquals(program.status?.code, 2);
    }
    const program = new Program(["deno", "run", "-N=127.0.0.1", "--no-prompt", script, "--port=0"], { cwd: root });
    await program.end();
    failedWith(
      program,
      2,
      /: no permission to read \S+: add -R=\S+: deno run "?-N=127\.0\.0\.1"? "?-R=\S+ http\/\w+\.ts --port=0$/m,
    );
  });
}

Deno.test("raw_client.ts: what it sends and what comes, with its length", async () => {
  const { program: server, port } = await serve(one);
  await using _ = server;
  const program = await runClient(
    "http/raw_client.ts",
    port,
    "--header",
    "X-Lab: 1",
    "-H",
    "user-agent: mine",
    "/about.txt",
  );
  assertEquals(program.status?.code, 0, program.stderr);
  assertMatch(
    program.stdout,
    new RegExp(
      `^> GET /about.txt HTTP/1.1\n> Host: 127.0.0.1:${port}\n> Accept: \\*/\\*\n> Connection: close\n> X-Lab: 1\n` +
        "> user-agent: mine\n>\n< HTTP/1.1 200 OK\n< Date: .* GMT\n< Content-Type: text/plain; charset=UTF-8\n" +
        "< Content-Length: 102\n< Connection: close\n<\nA file of plain text, in UTF-8: grüß Gott, 世界, 👋.\n" +
        "Its length is in bytes, not in characters.\nbody: 102 bytes, as Content-Length promised\n$",
    ),
  );
  const head = await runClient("http/raw_client.ts", port, "--method", "HEAD", "/about.txt");
  assertMatch(head.stdout, /< Content-Length: 102\n[^]*<\nbody: none: a response of this kind has no body\n$/);
});

Deno.test("raw_client.ts: wrong usage is exit code 2, before anything is sent", async () => {
  for (
    const args of [
      ["ftp://a/"],
      ["a"],
      ["http://u:p@a/"],
      ["--header", "no colon"],
      ["--header", "A: b\r\nC: d"],
      ["--header", "A b: c"],
      ["--method", "A B"],
      ["/a b"],
      ["/a\r\nb"],
      ["--ca", "no-such-file", "https://localhost/"],
      ["--data", "@no-such-file"],
      ["--user", "ada"],
      ["--user", "ada:x\ny"],
      ["--user", "ada:x", "-H", "authorization: y"],
    ]
  ) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const program = await runClient("http/raw_client.ts", listener.addr.port, "--timeout=2", ...args);
    assertEquals(program.status?.code, 2, `${args}: ${program.stderr}`);
    assertEquals([program.stdout, program.stderr.trimEnd().split("\n").length], ["", 1]);
    listener.close();
  }
});

const found = (location: string, status = 302) =>
  `HTTP/1.1 ${status} Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Deno.test("raw_client.ts --follow: relative, to GET after a POST, as it was after 307, and ten at most", async () => {
  {
    using server = canned(found("b?c"), found("/d", 307), ok);
    const program = await runClient("http/raw_client.ts", server.port, "--follow", "--data", "x=y", "/a/");
    assertEquals(program.status?.code, 0, program.stderr);
    assertEquals(server.requests.map((request) => request.split("\r\n")[0]), [
      "POST /a/ HTTP/1.1",
      "GET /a/b?c HTTP/1.1",
      "GET /d HTTP/1.1",
    ]);
    assertEquals(server.requests.map((request) => request.includes("Content-Length")), [true, false, false]);
  }
  {
    using server = canned(found("/b", 308), ok);
    await runClient("http/raw_client.ts", server.port, "--follow", "--data", "x=y", "/a");
    assertMatch(server.requests[1] ?? "", /^POST \/b HTTP\/1\.1\r\n[^]*\r\n\r\nx=y$/);
  }
  {
    using server = canned(...Array.from({ length: 20 }, () => found("/")));
    const program = await runClient("http/raw_client.ts", server.port, "--follow");
    failedWith(program, 1, /: stopped after ten redirects$/m);
    assertEquals(server.requests.length, 11);
  }
  {
    using other = canned(ok);
    using server = canned(found(`http://127.0.0.1:${other.port}/`));
    const args = ["--port", `${server.port}`, "--follow", "--header", "Authorization: secret", "--header", "X: kept"];
    const program = new Program(["deno", "run", "-N=127.0.0.1", "http/raw_client.ts", ...args], { cwd: root });
    await program.end();
    assertStringIncludes(server.requests[0] ?? "", "Authorization: secret");
    assert(other.requests[0]?.includes("X: kept") && !other.requests[0].includes("secret"), other.requests[0]);
  }
});

Deno.test("the clients' options: method, fields, basic authentication, a body from a file and from stdin", async () => {
  const folder = await folderOf({ "body.bin": Uint8Array.of(0, 255, 13, 10, 64) });
  for (const script of ["http/raw_client.ts", "http/fetch_client.ts"]) {
    using server = canned(ok, ok, ok, ok);
    const send = async (input: string | undefined, ...args: string[]) => {
      const argv = ["-N=127.0.0.1", `-R=${folder}`, script, "--port", `${server.port}`, ...args, "/x"];
      const program = new Program(["deno", "run", ...argv], { cwd: root, stdin: input !== undefined });
      if (input !== undefined) await program.input(input);
      await program.end();
      assertEquals([program.status?.code, program.stderr], [0, ""]);
      return server.requests.at(-1) ?? "";
    };
    const put = await send(undefined, "--method", "PUT", "--data", "a=1", "-H", "X: 1", "-H", "content-type: text/x");
    assertMatch(put, /^PUT \/x HTTP\/1\.1\r\n[^]*\r\nx: 1\r\n[^]*\r\n\r\na=1$/i);
    assertMatch(put, /\r\ncontent-type: text\/x\r\n/i);
    // Aladdin is RFC 7617's example; what is beyond ASCII goes as UTF-8.
    const user = await send(undefined, "--user", "Aladdin:open sesame");
    assertMatch(user, /^GET [^]*\r\nauthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n/i);
    assertMatch(
      await send("from stdin", "--data", "@-"),
      /^POST [^]*\r\ncontent-length: 10\r\n[^]*from stdin$/i,
    );
    const file = await send(undefined, "--data", `@${folder}/body.bin`);
    assertMatch(file, /^POST [^]*\r\ncontent-length: 5\r\n[^]*\0\ufffd\r\n@$/i);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("fetch_client.ts --output: the whole file or none; wrong usage is exit code 2", async () => {
  const folder = await Deno.makeTempDir();
  const run = async (port: number, ...args: string[]) => {
    const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "http/fetch_client.ts", "--port", `${port}`];
    const program = new Program(["deno", "run", ...flags, "--output", `${folder}/got`, ...args], { cwd: root });
    await program.end();
    return program;
  };
  using server = canned(ok, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok");
  const program = await run(server.port);
  assertEquals([program.status?.code, program.stderr], [0, ""]);
  assertMatch(program.stdout, /^Status code: 200 OK\n[^]*\nThe content is in the file, after [\d.]+ ms\n$/);
  assertEquals(await Deno.readTextFile(`${folder}/got`), "ok");
  await Deno.remove(`${folder}/got`);
  failedWith(await run(server.port), 1, /closed the connection in the middle of the exchange/);
  assertEquals([...Deno.readDirSync(folder)].length, 0);
  for (
    const args of [
      ["--method", "GET", "--data", "x"],
      ["--method", "CONNECT"],
      ["-H", "A b: c"],
      ["-H", "x"],
      ["--user", "ada"],
      ["--data", "@no-such-file"],
      ["--max-time=-1"],
      ["ftp://a/"],
    ]
  ) {
    const wrong = await runClient("http/fetch_client.ts", server.port, ...args);
    assertEquals([wrong.status?.code, wrong.stdout], [2, ""], `${args}: ${wrong.stderr}`);
  }
  assertEquals(server.requests.length, 2);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("fetch_client.ts: a redirect to a server without permission names that server", async () => {
  using server = canned(found("http://localhost:1234/"));
  const program = await runClient("http/fetch_client.ts", server.port);
  failedWith(
    program,
    2,
    /: no permission to use localhost:1234: add -N=localhost:1234: deno run \S+,localhost:1234"? /m,
  );
});

Deno.test("fetch_client.ts: a port that fetch refuses is one line", async () => {
  const program = await runClient("http/fetch_client.ts", 6000, "http://127.0.0.1:6000/");
  failedWith(program, 1, /^fetch_client: 127\.0\.0\.1:6000 is a port that fetch refuses, as browsers do: /m);
});

Deno.test("raw_client.ts --output: the whole file or none", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/got`;
  const run = async (port: number) => {
    const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`];
    const args = ["--port", `${port}`, "--output", file];
    const program = new Program(["deno", "run", ...flags, "http/raw_client.ts", ...args], { cwd: root });
    await program.end();
    return program;
  };
  {
    using server = canned(ok);
    const program = await run(server.port);
    assertEquals([program.status?.code, await Deno.readTextFile(file)], [0, "ok"], program.stderr);
  }
  await Deno.remove(file);
  {
    using server = canned("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok");
    failedWith(
      await run(server.port),
      1,
      /broke the protocol: the connection ended after 2 bytes of the body; expected 9 bytes$/m,
    );
    assertEquals([...Deno.readDirSync(folder)].length, 0);
  }
  await Deno.mkdir(file);
  {
    using server = canned(ok);
    failedWith(
      await run(server.port),
      1,
      windows ? /^raw_client: cannot write \S+: .*$/m : /^raw_client: cannot write \S+: Is a directory$/m,
    );
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["got"]);
  }
  await Deno.remove(folder, { recursive: true });
});

testWith(
  linux && await has("script", "--version"),
  "script, for a terminal",
  "raw_client.ts: a body shown in a terminal is not overwritten by a progress bar",
  async () => {
    using server = canned('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}');
    const command = `deno run -N=127.0.0.1 http/raw_client.ts --port ${server.port}`;
    await using program = new Program(["script", "--quiet", "--command", command, "/dev/null"], { cwd: root });
    await program.end();
    assertMatch(program.stdout, /^\{"a":1\}\r\nbody: 7 bytes, as Content-Length promised\r\n/m);
  },
);

Deno.test("the clients print nothing raw: controls in the status line, in fields and in text", async () => {
  const evil =
    "HTTP/1.1 200 \u001b[2J\r\nX: \u009b31m\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\na\u001b]0;evil\u0007\nb";
  const plain = evil.replace("\u001b[2J", "OK");
  for (const script of ["http/raw_client.ts", "http/fetch_client.ts"]) {
    using server = canned(evil, plain);
    for (let i = 0; i < 2; i++) {
      const program = await runClient(script, server.port);
      // deno-lint-ignore no-control-regex -- they are what must not be there
      assert(!/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(program.stdout + program.stderr), JSON.stringify(program.stdout));
    }
  }
});

Deno.test(
  "both clients over TLS: with the certificate, and without",
  async () => {
    const folder = await Deno.makeTempDir();
    const { cert, key } = await certificate(folder);
    const listener = Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      cert: await Deno.readTextFile(cert),
      key: await Deno.readTextFile(key),
    });
    (async () => {
      while (true) {
        const conn = await listener.accept();
        (async () => {
          await conn.read(new Uint8Array(4096));
          await conn.write(new TextEncoder().encode(ok));
          conn.close();
        })().catch(() => {}); // the client did not trust it
      }
    })().catch(() => {}); // closed below
    const run = async (script: string, ...args: string[]) => {
      const url = `https://localhost:${listener.addr.port}/`;
      const program = new Program(["deno", "run", "-N", `-R=${folder}`, script, url, ...args], { cwd: root });
      await program.end();
      return program;
    };
    for (const script of ["http/raw_client.ts", "http/fetch_client.ts"]) {
      const trusted = await run(script, "--ca", cert);
      assertEquals(trusted.status?.code, 0, trusted.stderr);
      assertMatch(trusted.stdout, /^( {2})?ok$/m);
      failedWith(await run(script), 1, /: no TLS with localhost:\d+: no known authority has signed its certificate/m);
    }
    listener.close();
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("fetch_client.ts: JSON pretty, binary as size and type, --json for machines", async () => {
  const folder = await folderOf({ "a.json": '{"b":[1,2]}', "c.bin": Uint8Array.of(0, 1, 2, 255), "d.txt": "plain\n" });
  const { program: server, port } = await serveFolder(folder);
  await using _ = server;
  const pretty = await runClient("http/fetch_client.ts", port, "/a.json");
  assertMatch(
    pretty.stdout,
    /^Status code: 200 OK\nHeaders:\n[^]*\n {2}content-type: application\/json; charset=UTF-8\n/,
  );
  assertMatch(pretty.stdout, /Content:\n {2}\{\n {4}"b": \[\n {6}1,\n {6}2\n {4}\]\n {2}\}\n11 bytes in [\d.]+ ms\n$/);
  const binary = await runClient("http/fetch_client.ts", port, "/c.bin");
  assertMatch(binary.stdout, /Content:\n {2}4 bytes of application\/octet-stream\n/);
  const json = JSON.parse((await runClient("http/fetch_client.ts", port, "--json", "/d.txt")).stdout);
  assertEquals([json.status, json.headers["content-type"], json.text, json.bytes], [
    200,
    "text/plain; charset=UTF-8",
    "plain\n",
    6,
  ]);
  const missing = await runClient("http/fetch_client.ts", port, "/none");
  assertEquals([missing.status?.code, missing.stdout.split("\n")[0]], [0, "Status code: 404 Not Found"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("fetch_client.ts: a silent server, a body cut short, no HTTP, too much: one line each", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  failedWith(
    await runClient("http/fetch_client.ts", silent.addr.port, "--timeout=0.5"),
    1,
    /did not answer in time: is it the right host/,
  );
  silent.close();
  using server = canned("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "SSH-2.0-x\r\n", "");
  failedWith(
    await runClient("http/fetch_client.ts", server.port),
    1,
    /closed the connection in the middle of the exchange/,
  );
  failedWith(
    await runClient("http/fetch_client.ts", server.port),
    1,
    /did not answer as an HTTP server does|closed the connection/,
  );
  const folder = await folderOf({ "zeros.txt": new Uint8Array(3 << 20) });
  const { program, port } = await serveFolder(folder);
  await using _ = program;
  failedWith(
    await runClient("http/fetch_client.ts", port, "--size=2", "/zeros.txt"),
    1,
    /the content is larger than 2 MiB: raise --size/,
  );
  await Deno.remove(folder, { recursive: true });
});

// LibreSSL, which macOS has, makes no CA's certificate without being asked.
const openssl = (await output("openssl", "version")).startsWith("OpenSSL ");
testWith(openssl, "OpenSSL", "a CA's certificate as a server's is named", async () => {
  const folder = await Deno.makeTempDir();
  const files = ["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  await output("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", ...subject, ...files);
  const [cert, key] = await Promise.all(["cert", "key"].map((name) => Deno.readTextFile(`${folder}/${name}.pem`)));
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: cert ?? "", key: key ?? "" });
  (async () => {
    while (true) (await listener.accept()).handshake().catch(() => {}); // the client ends it
  })().catch(() => {}); // closed below
  for (const script of ["http/raw_client.ts", "http/fetch_client.ts"]) {
    const args = [
      "-N",
      `-R=${folder}`,
      script,
      "--ca",
      `${folder}/cert.pem`,
      `https://localhost:${listener.addr.port}/`,
    ];
    const program = new Program(["deno", "run", ...args], { cwd: root });
    await program.end();
    failedWith(
      program,
      1,
      /: no TLS with localhost:\d+: its certificate is a CA's, as plain `openssl req -x509` makes it/m,
    );
  }
  listener.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: the folder as an argument; two folders are wrong usage", async () => {
  const folder = await folderOf({ "a.txt": "hello" });
  const { program, port } = await listening((
    port,
  ) => ["deno", "run", "-N=127.0.0.1", "-R", "http/file_server.ts", "--port", `${port}`, folder]);
  await using _ = program;
  assertMatch(await raw(port, get("/a.txt")), /^HTTP\/1\.1 200 OK\r\n[^]*hello$/);
  for (const args of [[folder, folder], ["--root", folder, folder], ["--cert", "x"], ["--key", "x"]]) {
    const wrong = new Program(["deno", "run", "-N=127.0.0.1", "-R", "http/file_server.ts", "--port=0", ...args], {
      cwd: root,
    });
    await wrong.end();
    assertEquals([wrong.status?.code, wrong.stdout], [2, ""], wrong.stderr);
  }
  await Deno.remove(folder, { recursive: true });
});

for (
  const [name, args] of [
    ["curl", ["-sS", "--cacert", "CERT", "URL"]],
    [
      "python3",
      [
        "-c",
        `import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
print(urllib.request.urlopen(sys.argv[2], context=context).read().decode())`,
        "CERT",
        "URL",
      ],
    ],
    [
      "node",
      [
        "-e",
        `const options = { ca: require("fs").readFileSync(process.argv[1]) };
require("https").get(process.argv[2], options, (response) => response.pipe(process.stdout));`,
        "CERT",
        "URL",
      ],
    ],
    ["openssl", [..."verify -x509_strict -check_ss_sig -purpose sslserver -CAfile CERT CERT".split(" ")]],
  ] satisfies [string, string[]][]
) {
  testWith(
    await has(name, name === "openssl" ? "version" : "--version"),
    name,
    `${name} takes the certificate of --self-signed`,
    async () => {
      const folder = await Deno.makeTempDir();
      const cert = `${folder}/made.pem`;
      const flags = ["-N=127.0.0.1", "-R", `-W=${folder}`, "http/file_server.ts", "http/site", "--self-signed", cert];
      const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
      await using _ = program;
      for (const host of ["localhost", "127.0.0.1"]) {
        const words = args.map((arg) => arg.replace("CERT", cert).replace("URL", `https://${host}:${port}/about.txt`));
        await using peer = new Program([name, ...words], { cwd: root });
        assertEquals([(await peer.end()).code, peer.stderr], [0, ""]);
        assertStringIncludes(
          peer.stdout,
          name === "openssl" ? ": OK" : await Deno.readTextFile(`${root}http/site/about.txt`),
        );
      }
      await Deno.remove(folder, { recursive: true });
    },
  );
}

Deno.test("a certificate of --self-signed: each has its own number and key, and dates before and after 2050", () => {
  const read = ({ cert, key }: CertificatePair) => {
    Deno.createHttpClient({ cert, key }).close(); // throws if they do not belong together
    return new X509Certificate(cert);
  };
  const one = read(selfSigned());
  const other = read(selfSigned(Date.UTC(2051, 1, 3, 4, 5, 6)));
  assert(one.serialNumber !== other.serialNumber && one.fingerprint256 !== other.fingerprint256);
  assertEquals(one.ca, false);
  assertEquals(one.checkHost("localhost"), "localhost");
  assertEquals(["127.0.0.1", "::1", "127.0.0.2"].map((ip) => one.checkIP(ip)), ["127.0.0.1", "::1", undefined]);
  assert(one.verify(one.publicKey) && !one.verify(other.publicKey));
  assert(
    Date.parse(one.validFrom) < Date.now() - 80_000_000 && Date.parse(one.validTo) > Date.now() + 360 * 86_400_000,
  );
  assertEquals(
    [other.validFrom, other.validTo].map((date) => new Date(date).toISOString()),
    ["2051-02-02T04:05:06.000Z", "2052-02-03T04:05:06.000Z"],
  );
});

Deno.test(
  "file_server.ts over TLS: a certificate of its own, small and large files, clients that break the handshake",
  async () => {
    const large = new Uint8Array(3 << 20).map((_, i) => i % 251);
    const folder = await folderOf({ "a.txt": "hello", "large.bin": large });
    const keep = await Deno.makeTempDir();
    const flags = ["-N=127.0.0.1", "-R", `-W=${keep}`, "http/file_server.ts", folder];
    const { program, port } = await listening((
      port,
    ) => ["deno", "run", ...flags, "--self-signed", `${keep}/cert.pem`, "--port", `${port}`]);
    await using _ = program;
    await program.line(/cert\.pem is a certificate for localhost: trust it with fetch-client --ca /);
    const caCerts = [await Deno.readTextFile(`${keep}/cert.pem`)];
    const client = Deno.createHttpClient({ caCerts });
    for (const name of ["localhost", "127.0.0.1"]) {
      const at = `https://${name}:${port}`;
      assertEquals(await (await fetch(`${at}/a.txt`, { client })).text(), "hello");
      assertEquals(await (await fetch(`${at}/large.bin`, { client })).bytes(), large);
      const closing = await fetch(`${at}/large.bin`, { client, headers: { connection: "close" } });
      assertEquals((await closing.bytes()).length, large.length);
    }
    const raw = new Program(
      [
        "deno",
        "run",
        "-N",
        `-R=${keep}`,
        "http/raw_client.ts",
        "--ca",
        `${keep}/cert.pem`,
        `https://localhost:${port}/a.txt`,
      ],
      { cwd: root },
    );
    await raw.end();
    assertMatch(raw.stdout, /\nhello\nbody: 5 bytes, as Content-Length promised\n$/, raw.stderr);
    const before = linux ? await descriptors(program.pid) : 0;
    for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello", ""]) {
      for (let i = 0; i < 20; i++) {
        using conn = await Deno.connect({ hostname: "127.0.0.1", port });
        await conn.write(new TextEncoder().encode(bytes));
        await conn.closeWrite();
        await conn.read(new Uint8Array(99)).catch(() => {}); // an alert, or a reset
      }
    }
    await program.line(/^127\.0\.0\.1 - - \[.*\] "-" - 0 "no TLS: /);
    if (linux) await until(async () => await descriptors(program.pid) <= before, "the descriptors back");
    assertEquals(await (await fetch(`https://localhost:${port}/a.txt`, { client })).text(), "hello");
    client.close();
    assertEquals(program.stderr, "");
    for (const path of [folder, keep]) await Deno.remove(path, { recursive: true });
  },
);

Deno.test("file_server.ts: types, index.html, listing, redirect, OPTIONS, CORS, dotfiles", async () => {
  const tag = windows ? "b" : "<b>"; // Windows allows neither < nor > in a name
  const folder = await folderOf({
    "index.html": "<h1>index</h1>",
    "sub/b.ts": "let b;",
    "sub/.hidden": "secret",
    [`sub/ü & ${tag}.txt`]: "x",
    ".well-known/security.txt": "contact",
    ".git/config": "secret",
    "empty/": "",
  });
  const { program, at, port } = await serveFolder(folder);
  await using _ = program;
  const index = await fetch(`${at}/`);
  assertEquals([await index.text(), index.headers.get("content-type")], ["<h1>index</h1>", "text/html; charset=UTF-8"]);
  const moved = await fetch(`${at}/sub`, { redirect: "manual" });
  assertEquals([moved.status, moved.headers.get("location")], [301, "/sub/"]);
  await moved.body?.cancel();
  assertMatch(await raw(port, get("//sub")), /^HTTP\/1\.1 301 [^]*\r\nLocation: \/sub\/\r\n/); // not //sub, another host's
  const page = await (await fetch(`${at}/sub/`)).text();
  const [inURL, inPage] = windows ? ["b", "b"] : ["%3Cb%3E", "&lt;b&gt;"];
  assertStringIncludes(page, `<a href="%C3%BC%20%26%20${inURL}.txt">ü &amp; ${inPage}.txt</a>`);
  assert(!page.includes(">.hidden"));
  assertStringIncludes(await (await fetch(`${at}/empty/`)).text(), "This folder is empty.");
  assertEquals(await (await fetch(`${at}/sub/%C3%BC%20%26%20${inURL}.txt`)).text(), "x");
  const ts = await fetch(`${at}/sub/b.ts`);
  assertEquals([ts.headers.get("content-type"), await ts.text()], ["text/plain; charset=UTF-8", "let b;"]);
  for (const path of ["/sub/.hidden", "/.git/config", "/.git/", "/index.html/", "/sub/b.ts/"]) {
    const response = await fetch(at + path);
    assertEquals([path, response.status], [path, 404]);
    await response.body?.cancel();
  }
  assertEquals(await (await fetch(`${at}/.well-known/security.txt`)).text(), "contact");
  const options = await fetch(at, { method: "OPTIONS" });
  assertEquals([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
  assertEquals(options.headers.get("access-control-allow-origin"), null);

  const open = await serveFolder(folder, "--dotfiles", "--cors");
  await using __ = open.program;
  const hidden = await fetch(`${open.at}/sub/.hidden`);
  assertEquals([hidden.headers.get("access-control-allow-origin"), await hidden.text()], ["*", "secret"]);
  await Deno.remove(folder, { recursive: true });
});

testWith(
  Deno.build.os !== "windows",
  "symbolic links",
  "file_server.ts: nothing outside of the root, by any name",
  async () => {
    const outside = await folderOf({ "secret.txt": "the secret", "in/x.txt": "the secret" });
    const folder = await folderOf({ "a.txt": "fine", "sub/b.txt": "fine" });
    await Deno.symlink(`${outside}/secret.txt`, `${folder}/link.txt`);
    await Deno.symlink(`${outside}/in`, `${folder}/dir`);
    await Deno.symlink("../a.txt", `${folder}/sub/inside.txt`);
    await Deno.symlink("loop", `${folder}/loop`);
    await Deno.mkdir(`${folder}/.hidden`);
    await Deno.writeTextFile(`${folder}/.hidden/x.txt`, "the secret");
    await Deno.symlink(".hidden", `${folder}/visible`);
    const { program, port, at } = await serveFolder(folder);
    await using _ = program;
    const name = outside.replace(/.*\//, "");
    for (
      const path of [
        `/../${name}/secret.txt`,
        `/sub/../../${name}/secret.txt`,
        `/..%2f${name}/secret.txt`,
        `/%2e%2e/${name}/secret.txt`,
        `/%252e%252e/${name}/secret.txt`,
        `/..\\${name}\\secret.txt`,
        `/..%5c${name}%5csecret.txt`,
        `/a.txt%00/../../${name}/secret.txt`,
        "/link.txt",
        "/dir/x.txt",
        "/dir/",
        "/visible/",
        "/visible/x.txt",
        `//${outside}/secret.txt`,
        `/${encodeURIComponent(outside)}/secret.txt`,
        "/loop",
        `http://localhost/../${name}/secret.txt`,
        `/${"x".repeat(300)}`,
        `/${"x/".repeat(3000)}`,
      ]
    ) {
      const response = await raw(port, get(path));
      assertMatch(response, /^HTTP\/1\.1 (400|404) /, path);
      assert(!response.includes("the secret"), path);
    }
    assertEquals(await (await fetch(`${at}/sub/inside.txt`)).text(), "fine");
    const page = await (await fetch(at)).text();
    assert(
      !page.includes("link.txt") && !page.includes(">visible") && !page.includes("loop") && page.includes("a.txt"),
    );

    const follow = await serveFolder(folder, "--follow-symlinks");
    await using __ = follow.program;
    assertEquals(await (await fetch(`${follow.at}/link.txt`)).text(), "the secret");
    assertStringIncludes(await (await fetch(`${follow.at}/dir/`)).text(), "x.txt");
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(outside, { recursive: true });
  },
);

testWith(
  Deno.build.os !== "windows",
  "symbolic links",
  "a folder whose path has a link, as /tmp has on macOS: the command with its second name works",
  async () => {
    const real = await Deno.realPath(await folderOf({ "site/a.txt": "fine" }));
    await Deno.symlink(real, `${real}/link`);
    const folder = `${real}/link/site`;
    for (const script of ["http/file_server.ts", one]) {
      const start = (right: string) => ["deno", "run", "--no-prompt", "-N=127.0.0.1", right, script, "--root", folder];
      await using refused = new Program(start(`-R=${folder}`), { cwd: root });
      assertEquals((await refused.end()).code, 2);
      const right = `-R=${folder},${real}/site`;
      assertStringIncludes(refused.stderr, `: no permission to read ${real}/site: add ${right}: deno run `);
      const { program, port } = await listening((port) => [...start(right), "--port", `${port}`]);
      await using _ = program;
      assertMatch(await raw(port, get("/a.txt")), /\r\n\r\nfine$/, script);
    }
    await Deno.remove(real, { recursive: true });
  },
);

Deno.test("file_server.ts: another site's name is 421 each time, on a connection where it was asked for before, too", async () => {
  const folder = await folderOf({ "a.txt": "hello" });
  const { program, port } = await serveFolder(folder);
  await using _ = program;
  const ask = (host: string) => `GET /a.txt HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const all = await raw(
    port,
    ["evil.example", "evil.example", "localhost", "localhost", "evil.example"].map(ask).join("") + get("/a.txt"),
  );
  assertEquals(all.match(/(?<=HTTP\/1\.1 )\d+/g), ["421", "421", "200", "200", "421", "200"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: compression where it is taken and pays, with its own entity tag", async () => {
  const text = "all work and no play ".repeat(1000);
  const random = crypto.getRandomValues(new Uint8Array(20_000));
  const folder = await folderOf({
    "a.txt": text,
    "b.png": random,
    "c.txt": random,
    "short.txt": "short",
    "d.js": "the original",
    "d.js.br": "precompressed",
  });
  const { program, port, at } = await serveFolder(folder);
  await using _ = program;
  const head = async (path: string, accept: string) => {
    const response = await raw(port, get(path, `Accept-Encoding: ${accept}\r\n`).replace("GET", "HEAD"));
    return new Headers(
      response.trim().split("\r\n").slice(1).map((line) => line.split(/: (.*)/, 2) as [string, string]),
    );
  };
  for (let i = 0; i < 3; i++) { // from the disk, then from memory
    const plain = await head("/a.txt", "identity");
    const zipped = await head("/a.txt", "br;q=0, gzip");
    assertEquals([plain.get("content-encoding"), zipped.get("content-encoding")], [null, "gzip"]);
    assert(Number(zipped.get("content-length")) < 1000);
    assertEquals([plain.get("vary"), zipped.get("vary")], ["Accept-Encoding", "Accept-Encoding"]);
    assert(plain.get("etag") !== zipped.get("etag"));
    for (const path of ["/b.png", "/c.txt", "/short.txt"]) {
      assertEquals((await head(path, "gzip")).get("content-encoding"), null);
    }
    const js = await head("/d.js", "gzip, br");
    assertEquals([js.get("content-encoding"), js.get("content-type")], ["br", "text/javascript; charset=UTF-8"]);
    assertEquals(await (await fetch(`${at}/a.txt`)).text(), text);
  }
  assertMatch(await raw(port, get("/d.js", "Accept-Encoding: br\r\n")), /\r\n\r\nprecompressed$/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: conditions and ranges over the wire, small files and large ones", async () => {
  const big = crypto.getRandomValues(new Uint8Array(60_000));
  const large = new Uint8Array(1_500_000).map((_, i) => i % 251);
  const folder = await folderOf({ "big.bin": big, "large.bin": large });
  const { program, at } = await serveFolder(folder);
  await using _ = program;
  for (const [name, content] of [["big.bin", big], ["large.bin", large]] as const) {
    const whole = await fetch(`${at}/${name}`);
    const etag = whole.headers.get("etag") ?? "";
    assertEquals(await whole.bytes(), content);
    const same = await fetch(`${at}/${name}`, { headers: { "if-none-match": etag } });
    assertEquals([same.status, await same.text(), same.headers.get("etag")], [304, "", etag]);
    const part = await fetch(`${at}/${name}`, { headers: { range: "bytes=1000-50999", "if-range": etag } });
    assertEquals([part.status, part.headers.get("content-range")], [206, `bytes 1000-50999/${content.length}`]);
    assertEquals(await part.bytes(), content.slice(1000, 51_000));
    const several = await fetch(`${at}/${name}`, { headers: { range: "bytes=0-1,-2" } });
    const boundary = /boundary=(.+)/.exec(several.headers.get("content-type") ?? "")?.[1] ?? "";
    const text = new TextDecoder("latin1").decode(await several.bytes());
    assertEquals(text.split(`--${boundary}`).length, 4);
    const [start, end] = [content.subarray(0, 2), content.subarray(-2)].map((data) =>
      new TextDecoder("latin1").decode(data)
    );
    const head = (range: string) =>
      `\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${range}/${content.length}`;
    assertEquals(
      text,
      `--${boundary}${head("0-1")}\r\n\r\n${start}\r\n--${boundary}` +
        `${head(`${content.length - 2}-${content.length - 1}`)}\r\n\r\n${end}\r\n--${boundary}--\r\n`,
    );
    const beyond = await fetch(`${at}/${name}`, { headers: { range: "bytes=9999999-" } });
    assertEquals([beyond.status, beyond.headers.get("content-range")], [416, `bytes */${content.length}`]);
    await beyond.body?.cancel();
    const failed = await fetch(`${at}/${name}`, { headers: { "if-match": '"old"' } });
    assertEquals(failed.status, 412);
    await failed.body?.cancel();
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: the response from memory is the same as the first one, from the disk", async () => {
  const folder = await folderOf({ "a.txt": "hello ".repeat(500) });
  for (const args of [[], ["--cors"]]) {
    const { program, port } = await serveFolder(folder, ...args);
    await using _ = program;
    for (const more of ["", "Accept-Encoding: gzip\r\n"]) {
      const open = `GET /a.txt HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
      const both = await raw(port, open.repeat(3) + get("/none"));
      const [, first, second, third, last = ""] = both.replaceAll(/Date: .*\r\n/g, "").split("HTTP/1.1 ");
      assertMatch(first ?? "", /^200 OK\r\n/);
      assertEquals([second, third], [first, first]);
      assertMatch(last, /^404 Not Found\r\n[^]*\r\nConnection: close\r\n/);
    }
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: a changed file is served changed, a removed one not at all", async () => {
  const folder = await folderOf({ "a.txt": "first" });
  const { program, at } = await serveFolder(folder);
  await using _ = program;
  assertEquals(await (await fetch(`${at}/a.txt`)).text(), "first");
  await Deno.writeTextFile(`${folder}/a.txt`, "second");
  await until(async () => await (await fetch(`${at}/a.txt`)).text() === "second", "the new text");
  await Deno.writeTextFile(`${folder}/new`, "third");
  await Deno.rename(`${folder}/new`, `${folder}/a.txt`);
  await until(async () => await (await fetch(`${at}/a.txt`)).text() === "third", "the file in its place");
  await Deno.remove(`${folder}/a.txt`);
  await until(async () => {
    const response = await fetch(`${at}/a.txt`);
    await response.body?.cancel();
    return response.status === 404;
  }, "404");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: a file that is cut while it is sent ends the connection, one that is replaced does not", async () => {
  const size = 30 << 20;
  const folder = await folderOf({ "a.bin": new Uint8Array(size).fill(1), "b.bin": new Uint8Array(size).fill(1) });
  const { program, port } = await serveFolder(folder);
  await using _ = program;
  /** Reads a little of a file, does something, and reads the rest. */
  const download = async (name: string, meanwhile: () => Promise<void>) => {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(get(`/${name}`)));
    const buffer = new Uint8Array(1 << 20);
    let got = await conn.read(buffer) ?? 0;
    const head = new TextDecoder("latin1").decode(buffer.subarray(0, got)).indexOf("\r\n\r\n") + 4;
    await meanwhile();
    let only1 = true;
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      got += n;
      only1 &&= buffer.subarray(0, n).every((byte) => byte === 1);
    }
    return { got: got - head, only1 };
  };
  const cut = await download("a.bin", () => Deno.truncate(`${folder}/a.bin`, 10));
  assert(cut.got < size, `${cut.got}`);
  await program.line(/a\.bin became shorter while it was sent/);
  if (!windows) { // there the name of an open file cannot be given to another
    const replaced = await download("b.bin", async () => {
      await Deno.writeFile(`${folder}/new`, new Uint8Array(size).fill(2));
      await Deno.rename(`${folder}/new`, `${folder}/b.bin`);
    });
    assertEquals(replaced, { got: size, only1: true });
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: a download that is slow, and never silent, is not cut off at --timeout", async () => {
  const size = 12 << 20;
  const folder = await folderOf({ "a.bin": new Uint8Array(size).fill(1) });
  const { program, port } = await serveFolder(folder, "--timeout", "0.8");
  await using _ = program;
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(get("/a.bin")));
  const buffer = new Uint8Array(65_536);
  let got = 0;
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    got += n;
    await new Promise((go) => setTimeout(go, 10)); // all of it takes more than twice the limit
  }
  assert(got > size, `${got}`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("file_server.ts: the access log, one line a response, nothing raw in it; --quiet has none", async () => {
  const folder = await folderOf({ "a.txt": "hello" });
  const { program, port } = await serveFolder(folder);
  await using _ = program;
  await raw(port, get("/a.txt"));
  await raw(port, get('/none"?\u00e9'.replace("\u00e9", "x")));
  await raw(port, "garbage\u001b\r\n\r\n");
  await program.line(
    /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/a\.txt HTTP\/1\.1" 200 5$/,
  );
  await program.line(/"GET \/none%22\?x HTTP\/1\.1" 404 14$/);
  await program.line(
    /"-" 400 \d+ "malformed request line: it must be METHOD TARGET VERSION, with one space between them"$/,
  );
  const quiet = await serveFolder(folder, "--quiet");
  await using __ = quiet.program;
  await raw(quiet.port, get("/a.txt"));
  await quiet.program.stop();
  assert(!quiet.program.stdout.includes("GET"), quiet.program.stdout);
  await Deno.remove(folder, { recursive: true });
});

testWith(
  signals,
  noSignals,
  "file_server.ts: Ctrl-C closes connections that wait, and finishes the one that downloads",
  async () => {
    const folder = await folderOf({ "a.bin": new Uint8Array(20 << 20), "b.txt": "b" });
    const { program, port } = await serveFolder(folder);
    await using _ = program;
    using idle = await Deno.connect({ hostname: "127.0.0.1", port });
    await idle.write(new TextEncoder().encode("GET /b.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    const buffer = new Uint8Array(1 << 20);
    await idle.read(buffer);
    using busy = await Deno.connect({ hostname: "127.0.0.1", port });
    await busy.write(new TextEncoder().encode("GET /a.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let got = await busy.read(buffer) ?? 0;
    program.signal("SIGINT");
    assertEquals(await idle.read(buffer), null);
    for (let n = await busy.read(buffer); n !== null; n = await busy.read(buffer)) got += n;
    assert(got > 20 << 20);
    assertEquals((await program.end()).code, 0, program.stderr);
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(
  linux,
  "/proc of Linux",
  "file_server.ts: 500 slow clients get 408 at --timeout, and the others are served",
  async () => {
    const folder = await folderOf({ "a.txt": "hello" });
    const { program, port, at } = await serveFolder(folder, "--timeout", "2");
    await using _ = program;
    await (await fetch(`${at}/a.txt`)).body?.cancel(); // from here on the server has all the descriptors it keeps
    const before = await descriptors(program.pid);
    const slow = await Promise.all(Array.from({ length: 500 }, () => Deno.connect({ hostname: "127.0.0.1", port })));
    const head = new TextEncoder().encode(get("/a.txt", "X: so slow\r\n"));
    let sending = true;
    const dribble = (async () => {
      for (let at = 0; at < head.length && sending; at++) { // a byte each, again and again: none is ever silent
        await Promise.all(slow.map((conn) => conn.write(head.subarray(at, at + 1)).catch(() => 0)));
        await new Promise((go) => setTimeout(go, 150));
      }
    })();
    for (let i = 0; i < 100; i++) assertEquals(await (await fetch(`${at}/a.txt`)).text(), "hello");
    const answers = await Promise.all(slow.map(async (conn) => {
      const buffer = new Uint8Array(1000);
      const n = await conn.read(buffer).catch(() => null);
      return new TextDecoder().decode(buffer.subarray(0, n ?? 0)).slice(0, 12);
    }));
    sending = false;
    await dribble;
    assertEquals(new Set(answers), new Set(["HTTP/1.1 408"]));
    for (const conn of slow) conn.close();
    await until(async () => await descriptors(program.pid) <= before + 5, "the descriptors back");
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(linux, "/proc of Linux", "file_server.ts: an upload of 1 GiB is refused, and not read", async () => {
  const folder = await folderOf({ "a.txt": "hello" });
  const { program, port } = await serveFolder(folder);
  await using _ = program;
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(
    new TextEncoder().encode(`PUT /a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${1 << 30}\r\n\r\n`),
  );
  const block = new Uint8Array(1 << 20);
  let sent = 0;
  const sending = (async () => {
    while (sent < 1 << 30) sent += await conn.write(block);
  })().catch(() => {}); // it is cut off: as it should be
  const buffer = new Uint8Array(1000);
  const n = await conn.read(buffer);
  assertMatch(
    new TextDecoder().decode(buffer.subarray(0, n ?? 0)),
    /^HTTP\/1\.1 405 [^]*\r\nAllow: GET, HEAD, OPTIONS\r\n/,
  );
  await sending;
  assert(sent < 100 << 20, `${sent >> 20} MiB were taken`);
  assert(await memory(program.pid) < 200);
  await Deno.remove(folder, { recursive: true });
});

testWith(
  await has("curl", "--version"),
  "curl",
  "curl: resumes a download, sends a time condition, takes compression",
  async () => {
    const content = new Uint8Array(300_000).map((_, i) => i % 7);
    const folder = await folderOf({ "a.bin": content, "b.txt": "text ".repeat(1000) });
    const { program, at } = await serveFolder(folder);
    await using _ = program;
    const curl = async (...args: string[]) => {
      const { stdout, code } = await new Deno.Command("curl", { args: ["-sS", ...args], stderr: "inherit" }).output();
      assertEquals(code, 0);
      return stdout;
    };
    await Deno.writeFile(`${folder}/part`, content.slice(0, 100_000));
    await curl("-C", "-", "-o", `${folder}/part`, `${at}/a.bin`);
    assertEquals(await Deno.readFile(`${folder}/part`), content);
    const code = await curl(
      "-z",
      new Date(Date.now() + 1000).toUTCString(),
      "-o",
      `${folder}/none`,
      "-w",
      "%{http_code}",
      `${at}/a.bin`,
    );
    assertEquals(new TextDecoder().decode(code), "304");
    assertEquals((await curl("--compressed", `${at}/b.txt`)).length, 5000);
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(linux, "names of any bytes", "file_server.ts: a listing with names that no URL can have", async () => {
  const folder = await folderOf({ "back\\slash.txt": "hello" });
  await Deno.symlink("back\\slash.txt", `${folder}/link.txt`);
  await output("sh", "-c", `printf x > "$(printf '%s/\\377\\376.txt' '${folder}')"`);
  const { program, port } = await serveFolder(folder);
  await using _ = program;
  const page = await raw(port, get("/"));
  assertStringIncludes(page, `<span title="a name with a backslash cannot be requested">back\\slash.txt</span>`);
  assertStringIncludes(page, `<a href="link.txt">link.txt</a>`);
  assertStringIncludes(page, "… and 1 with a name that is not UTF-8: it cannot be requested.");
  assertMatch(await raw(port, get("/link.txt")), /^HTTP\/1\.1 200 [^]*hello$/);
  assertMatch(await raw(port, get("/back%5Cslash.txt")), /^HTTP\/1\.1 400 /);
  assertMatch(await raw(port, get("/%FF%FE.txt")), /^HTTP\/1\.1 400 /);
  await Deno.remove(folder, { recursive: true });
});
