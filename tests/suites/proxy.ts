/**
 * Checks for a caching web proxy (RFC 9110 §7.6, RFC 9111): here the suite is the browser and the origin server. Paths and
 * contents differ in every run, so that a proxy must pass on what it gets.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { Body, responseFraming } from "../../http/_body.ts";
import { headLength, MessageError, parseResponse } from "../../http/_message.ts";
import { freePort } from "../support/free_port.ts";
import { ask, status } from "./_http_peer.ts";
import { Peer } from "./_peer.ts";
import { answer, asked, browse, expects, Origin, readRaw, requestFor, textOf } from "./_proxy_peer.ts";
import { word, words } from "./_random.ts";
import { step } from "./_record.ts";
import { type Check, fail, inTime, limits, randomOf, sameBytes, type Server, type Suite } from "./_suite.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const fresh = "Cache-Control: max-age=600";
const first = ["a page"];
const cached = [...first, "a second request"];

/** A date so many seconds from now. */
const dateIn = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString();

/** What the origin server has, another text in every run; and its path. */
function page(server: Server): { path: string; text: string } {
  const random = randomOf(server);
  return { path: `/${word(random)}?${word(random)}=${random.integer(1, 9999)}`, text: words(random, 5) };
}

/** Two requests for a response with these fields: the origin server must be asked `times` times, and each answer is its own. */
const twice = (
  name: string,
  why: string,
  points: number,
  level: Check<Server>["level"],
  times: 1 | 2,
  fields: () => readonly string[],
  hint: string,
  more: { needs?: readonly string[]; request?: readonly string[]; status?: string } = {},
): Check<Server> => ({
  ...{ name, why, points, level, needs: more.needs ?? cached },
  async run(server) {
    const { path, text } = page(server);
    using origin = new Origin((_, n) => answer(`${text} ${n}`, fields()));
    await expects(server, origin, path, `${text} 1`, hint);
    await expects(server, origin, path, `${text} ${times}`, hint, { fields: more.request });
    asked(origin, times, hint);
  },
});

/** A request that must not be passed on as it is: an error, and nothing of `hidden` at the origin server. */
async function refuses(server: Server, origin: Origin, request: string, statuses: RegExp, hint: string): Promise<void> {
  const response = await ask(server, request, hint);
  if (response && !statuses.test(`${response.head.status}`)) {
    fail(`a status such as ${statuses.source.replace(/\W.*/, "")}`, status(response), hint);
  }
  origin.mustBeWhole();
}

const suite: Suite = {
  role: "server",
  about: "a web proxy with a cache",
  given: "{host} and {port} in its command, or HOST and PORT in its environment. The servers are on 127.0.0.1.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits: "a response has up to 4 MiB, and up to 20 connections are open at the same time; a stored response may be " +
    "dropped only for want of room. Both sides of the proxy may speak HTTP/1.1 or HTTP/1.0",
  sheet: "http/README.md#the-proxy",
  checks: [
    {
      name: "a page",
      why:
        "RFC 9112 §3.2.2: a client that uses a proxy sends the complete URL; the proxy gets the page and passes it on.",
      points: 3,
      level: "basic",
      byHand: "curl -i -x http://{host}:{port} http://127.0.0.1:8000/",
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(() => answer(text, ["Cache-Control: no-store"]));
        await expects(
          server,
          origin,
          path,
          text,
          "connect to the host and port of the URL, ask, and send the answer back",
        );
      },
    },
    {
      name: "a path for the server",
      why: "RFC 9112 §3.2.1, §3.2.2: the server gets the path and query of the URL, and Host says what the URL says.",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(() => answer(text, ["Cache-Control: no-store"]));
        const hint =
          "the target is the path and query, unchanged; Host is made of the URL, whatever the client's Host says";
        await expects(server, origin, path, text, hint, { host: "other.example" });
        const { method, target, fields } = origin.last(hint);
        if (`${method} ${target}` !== `GET ${path}`) fail(`GET ${path}`, printable(`${method} ${target}`), hint);
        const host = fields.get("host") ?? "none";
        if (host !== `127.0.0.1:${origin.port}`) fail(`Host: 127.0.0.1:${origin.port}`, printable(host), hint);
      },
    },
    {
      name: "status and fields",
      why: "RFC 9110 §7.7: a proxy passes on the status and the fields that it does not know.",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(() => answer(text, [`X-Lab: ${text}`, "Cache-Control: no-store"], "404 Not Found"));
        const hint = "send the status line and the fields on as they are";
        const response = await browse(server, origin, path, hint, { fields: [`X-Question: ${text}`] });
        if (response.head.status !== 404) fail("status 404", status(response), hint);
        if (response.head.fields.get("x-lab") !== text) {
          fail(`X-Lab: ${text}`, printable(response.head.fields.get("x-lab") ?? "no such field"), hint);
        }
        const question = origin.last(hint).fields.get("x-question") ?? "no such field";
        if (question !== text) fail(`X-Question: ${text} at the origin server`, printable(question), hint);
      },
    },
    {
      name: "any bytes",
      why: "RFC 9110 §6.4: content is bytes, mostly no text: a proxy does not look into it.",
      points: 1,
      level: "basic",
      needs: first,
      async run(server) {
        const bytes = randomOf(server).bytes(300_000);
        using origin = new Origin(() => answer(bytes, ["Cache-Control: no-store"]));
        const hint = "pass on bytes: do not decode them, and read until Content-Length is reached";
        sameBytes((await browse(server, origin, "/bytes", hint)).body, bytes, hint);
      },
    },
    {
      name: "a body from the client",
      why: "RFC 9110 §9.3.3: POST has content, which goes to the server.",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin((request) => answer(request.method, ["Cache-Control: no-store"]));
        const hint = "read as many bytes as Content-Length says, and send them behind the head";
        await expects(server, origin, path, "POST", hint, { method: "POST", body: text });
        sameBytes(origin.last(hint).body, encode(text), hint);
      },
    },
    {
      name: "the server is down",
      why: "RFC 9110 §15.6.3: without a connection to the server the response is 502 Bad Gateway (or 504).",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        const hint = "answer with 502 when the connection is refused, and go on with the next client";
        for (let i = 0; i < 2; i++) {
          const response = await ask(server, requestFor(`http://127.0.0.1:${freePort()}/`), hint);
          if (![502, 503, 504].includes(response?.head.status ?? 0)) fail("status 502", status(response), hint);
        }
      },
    },
    twice(
      "a second request",
      "RFC 9111 §4.2: as long as a response is fresh (max-age), the cache sends it, and the server is not asked.",
      3,
      "basic",
      1,
      () => [fresh],
      "keep the response with its URL, and send it until its age is max-age",
      { needs: first },
    ),
    {
      name: "another URL",
      why: "RFC 9111 §2: the key of the cache is the whole URL: its host, port, path and query.",
      points: 1,
      level: "basic",
      needs: [...cached, "a path for the server"],
      async run(server) {
        const { text } = page(server);
        using origin = new Origin(({ target }) => answer(`${text} ${target}`, [fresh]));
        using other = new Origin(({ target }) => answer(`other ${target}`, [fresh]));
        const hint = "take host, port, path and query for the key";
        for (const path of ["/a", "/b", "/a?x=1", "/a?x=2"]) {
          await expects(server, origin, path, `${text} ${path}`, hint);
        }
        await expects(server, other, "/a", "other /a", hint);
      },
    },
    twice(
      "no-store",
      "RFC 9111 §5.2.2.5: a response with no-store is not kept.",
      2,
      "basic",
      2,
      () => ["Cache-Control: no-store, max-age=600"],
      "look for no-store in Cache-Control",
    ),
    {
      name: "twenty clients, some of them silent",
      why: "A proxy serves many clients: one that is slow, or waits for a slow server, does not stop the others.",
      points: 2,
      level: "robust",
      needs: first,
      async run(server) {
        const { text } = page(server);
        const end = Promise.withResolvers<void>();
        const waits = async function* () {
          await end.promise;
          yield answer("late");
        };
        using origin = new Origin(({ target }) =>
          target === "/slow" ? waits() : answer(text, ["Cache-Control: no-store"])
        );
        const hint = "use a thread, a task or an event loop for each client";
        const silent: Peer[] = [];
        try {
          for (let i = 0; i < 18; i++) silent.push(await Peer.connect(server));
          await silent[0]?.send(requestFor(origin.url("/slow")));
          await silent[1]?.send("GET http://127");
          await expects(server, origin, "/quick", text, hint);
        } finally {
          end.resolve();
          for (const peer of silent) peer.close();
        }
      },
    },
    twice(
      "old on arrival",
      "RFC 9111 §4.2.3: the age that a response has when it arrives counts: its Age, and the time since its Date.",
      1,
      "robust",
      2,
      () => [fresh, "Age: 601"],
      "compare max-age with the whole age, and not with the time in your cache alone",
    ),
    {
      name: "Age",
      why: "RFC 9111 §5.1: a response from the cache says in Age how many seconds old it is.",
      points: 1,
      level: "robust",
      needs: [...cached, "old on arrival"],
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(() => answer(text, [fresh, "Age: 40"]));
        const hint = "add the Age that was received, and the time since then";
        await expects(server, origin, path, text, hint);
        const { head } = await expects(server, origin, path, text, hint);
        const age = head.fields.get("age") ?? "none";
        if (!/^\d+$/.test(age) || Number(age) < 40 || Number(age) > 100) {
          fail("an Age of 40, or a little more", age, hint);
        }
      },
    },
    twice(
      "Expires",
      "RFC 9111 §5.3: without max-age a response is fresh until the time in Expires.",
      1,
      "robust",
      1,
      () => [`Expires: ${dateIn(600)}`],
      "parse the date of Expires",
    ),
    twice(
      "Expires in the past",
      "RFC 9111 §5.3: a response that has expired is not sent again unasked; 0 means that, too.",
      1,
      "robust",
      2,
      () => ["Expires: 0", `Last-Modified: ${dateIn(-86_400)}`],
      "a date that cannot be parsed is in the past",
    ),
    twice(
      "s-maxage",
      "RFC 9111 §5.2.2.10: for a cache that many share, s-maxage goes before max-age.",
      1,
      "strict",
      2,
      () => ["Cache-Control: max-age=600, s-maxage=0"],
      "look for s-maxage first",
    ),
    twice(
      "private",
      "RFC 9111 §5.2.2.7: a private response is for one client: a cache that many share does not keep it.",
      1,
      "robust",
      2,
      () => ["Cache-Control: private, max-age=600"],
      "look for private in Cache-Control",
    ),
    twice(
      "no-cache of the server",
      "RFC 9111 §5.2.2.4: a response with no-cache is not sent again before the server is asked.",
      1,
      "robust",
      2,
      () => ["Cache-Control: no-cache, max-age=600"],
      "no-cache means: ask first",
    ),
    twice(
      "no-cache of the client",
      "RFC 9111 §5.2.1.4: a client that sends no-cache, as browsers do when they reload, wants the server to be asked.",
      1,
      "robust",
      2,
      () => [fresh],
      "look at Cache-Control of the request, too",
      { request: ["Cache-Control: no-cache"] },
    ),
    {
      name: "credentials",
      why: "RFC 9111 §3.5: the answer to a request with Authorization is not for others, unless the server says so.",
      points: 2,
      level: "robust",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(({ fields }) => answer(`${text} ${fields.get("authorization") ?? "-"}`, [fresh]));
        const hint = "do not store it, unless Cache-Control has public, s-maxage or must-revalidate";
        const own = { fields: ["Authorization: Basic YWRhOmE="] };
        await expects(server, origin, path, `${text} Basic YWRhOmE=`, hint, own);
        await expects(server, origin, path, `${text} -`, hint);
      },
    },
    {
      name: "Vary",
      why:
        "RFC 9111 §4.1: the request fields that Vary names must be the same, or the response is for another request.",
      points: 2,
      level: "robust",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(({ fields }) =>
          answer(`${text} ${fields.get("accept-language") ?? "-"}`, [fresh, "Vary: Accept-Language"])
        );
        const hint = "keep the request's fields that Vary names with the response, and compare them";
        for (const language of ["de", "en"]) {
          for (let i = 0; i < 2; i++) {
            const own = { fields: [`Accept-Language: ${language}`] };
            await expects(server, origin, path, `${text} ${language}`, hint, own);
          }
        }
        await expects(server, origin, path, `${text} -`, hint);
      },
    },
    {
      name: "validation",
      why:
        "RFC 9111 §4.3: what is stale is asked for with If-None-Match; after a 304 the stored body is sent, with 200.",
      points: 3,
      level: "robust",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        const etag = `"${word(randomOf(server))}"`;
        using origin = new Origin(({ fields }) =>
          fields.get("if-none-match") === etag
            ? answer("", [`ETag: ${etag}`, "Cache-Control: max-age=0"], "304 Not Modified")
            : answer(text, [`ETag: ${etag}`, "Cache-Control: max-age=0"])
        );
        const hint = "keep the ETag, send it in If-None-Match, and answer the client with 200 and the stored body";
        await expects(server, origin, path, text, hint);
        await expects(server, origin, path, text, hint);
        const condition = origin.last(hint).fields.get("if-none-match") ?? "no such field";
        if (condition !== etag) fail(`If-None-Match: ${etag}`, printable(condition), hint);
      },
    },
    {
      name: "a change",
      why:
        "RFC 9111 §4.3.3: when the server answers a validation with 200, this response takes the place of the stored one.",
      points: 1,
      level: "robust",
      needs: [...cached, "validation"],
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin((_, n) => answer(`${text} ${n}`, [`ETag: "${n}"`, "Cache-Control: max-age=0"]));
        const hint = "send and keep the new response";
        for (const n of [1, 2, 3]) await expects(server, origin, path, `${text} ${n}`, hint);
        const condition = origin.last(hint).fields.get("if-none-match") ?? "no such field";
        if (condition !== '"2"') fail('If-None-Match: "2"', printable(condition), hint);
      },
    },
    {
      name: "PUT ends what is stored",
      why: "RFC 9111 §4.4: after PUT, POST or DELETE the stored response of the URL is not right any more.",
      points: 2,
      level: "robust",
      needs: [...cached, "a body from the client"],
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(({ method }, n) => answer(`${text} ${n}`, method === "GET" ? [fresh] : []));
        const hint = "drop the stored response when the server has answered an unsafe method with 2xx or 3xx";
        await expects(server, origin, path, `${text} 1`, hint);
        await expects(server, origin, path, `${text} 2`, hint, { method: "PUT", body: "new" });
        await expects(server, origin, path, `${text} 3`, hint);
      },
    },
    {
      name: "Connection",
      why: "RFC 9110 §7.6.1: Connection, and the fields that it names, are for one connection: they are not passed on.",
      points: 2,
      level: "robust",
      needs: first,
      async run(server) {
        const name = `X-${word(randomOf(server))}`;
        using origin = new Origin(() =>
          encode(
            `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, ${name}\r\n${name}: 1\r\nKeep-Alive: x\r\n\r\nok`,
          )
        );
        const hint =
          "remove the fields that Connection names, and Connection, Keep-Alive, Proxy-Connection, TE, Upgrade";
        const { head } = await browse(server, origin, "/", hint, {
          fields: [
            `Connection: ${name}`,
            `${name}: 1`,
            "Keep-Alive: x",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
          ],
        });
        const { fields } = origin.last(hint);
        for (const field of [name, "Keep-Alive", "Proxy-Connection", "TE"]) {
          if (fields.has(field.toLowerCase())) fail(`no ${field} at the origin server`, "one", hint);
        }
        if (fields.lists("connection", name.toLowerCase())) {
          fail("a Connection of the proxy's own", "the client's", hint);
        }
        if (head.fields.has(name.toLowerCase())) fail(`no ${name} at the client`, "one", hint);
      },
    },
    {
      name: "Via",
      why: "RFC 9110 §7.6.3: a proxy adds its name to Via, in the requests and in the responses that it passes on.",
      points: 1,
      level: "robust",
      needs: first,
      async run(server) {
        using origin = new Origin(() => answer("ok", ["Via: 1.0 fred", "Cache-Control: no-store"]));
        const hint = "add Via: 1.1 NAME, behind those that are there";
        const { head } = await browse(server, origin, "/", hint, { fields: ["Via: 1.0 wilma"] });
        const [up, down] = [origin.last(hint).fields.get("via") ?? "none", head.fields.get("via") ?? "none"];
        if (!/^1\.0 wilma, ?1\.[01] \S/.test(up)) {
          fail("Via: 1.0 wilma, 1.1 NAME at the origin server", printable(up), hint);
        }
        if (!/^1\.0 fred, ?1\.[01] \S/.test(down)) fail("Via: 1.0 fred, 1.1 NAME at the client", printable(down), hint);
      },
    },
    {
      name: "chunks",
      why: "RFC 9112 §7.1: a body in chunks is passed on whole, in chunks again or with its length.",
      points: 2,
      level: "robust",
      needs: first,
      async run(server) {
        const { path, text } = page(server);
        const chunk = (part: string) => `${part.length.toString(16)};a=b\r\n${part}\r\n`;
        using origin = new Origin(() =>
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n` +
          `${chunk(text.slice(0, 7))}${chunk(text.slice(7))}0\r\nX-Trailer: 1\r\n\r\n`
        );
        const hint = "take the chunks apart, and send what is in them with chunks of your own, or with Content-Length";
        for (let i = 0; i < 2; i++) await expects(server, origin, path, text, hint);
      },
    },
    {
      name: "until the end",
      why: "RFC 9112 §6.3: a body without a length ends when the server closes its connection.",
      points: 1,
      level: "robust",
      needs: first,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(() => `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${text}`);
        await expects(server, origin, path, text, "read until the server ends the connection, and pass on what comes");
      },
    },
    {
      name: "a body as it arrives",
      why: "A response may be long, or never end: its first part goes on while the server still sends.",
      points: 2,
      level: "robust",
      needs: first,
      async run(server) {
        const { path, text } = page(server);
        const seen = Promise.withResolvers<void>();
        const pieces = async function* () {
          yield `HTTP/1.1 200 OK\r\nContent-Length: ${2 * text.length}\r\nConnection: close\r\n\r\n${text}`;
          await inTime(seen.promise);
          yield text;
        };
        using origin = new Origin(pieces);
        const hint = "send each piece as soon as you have it";
        using peer = await Peer.connect(server);
        await peer.send(requestFor(origin.url(path)));
        let got = "";
        while (!got.includes(text)) {
          const some = await peer.some(hint);
          if (some.length === 0) fail(`the first part, "${text}"`, "the end of the connection", hint);
          got += new TextDecoder().decode(some);
        }
        step("the first part is here, before the server has sent the second");
        seen.resolve();
      },
    },
    {
      name: "a truncated response",
      why:
        "RFC 9112 §8: when a server breaks off, the client must be able to tell; and RFC 9111 §3: nothing of it is kept.",
      points: 2,
      level: "robust",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin((_, n) =>
          n === 1
            ? `HTTP/1.1 200 OK\r\nDate: ${dateIn(0)}\r\n${fresh}\r\nContent-Length: ${
              text.length + 10
            }\r\nConnection: close\r\n\r\n${text}`
            : answer(text, [fresh])
        );
        const hint =
          "compare what has come with Content-Length: end the connection without the rest, and store nothing";
        using peer = await Peer.connect(server);
        await peer.send(requestFor(origin.url(path)));
        const { bytes, isReset } = await readRaw(peer, hint);
        if (!isReset && looksWhole(bytes)) fail("a response that is not complete, or 502", "a complete one", hint);
        await expects(server, origin, path, text, hint);
        asked(origin, 2, hint);
      },
    },
    {
      name: "HEAD",
      why: "RFC 9110 §9.3.2: the response to HEAD has no body; a stored response to GET answers it, too.",
      points: 1,
      level: "robust",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(({ method }) => method === "HEAD" ? answer("", [fresh]) : answer(text, [fresh]));
        const hint = "send the head alone";
        await expects(server, origin, path, text, hint);
        using peer = await Peer.connect(server);
        await peer.send(requestFor(origin.url(path), { method: "HEAD" }));
        const { bytes } = await readRaw(peer, hint);
        const length = headLength(bytes);
        if (length < 0) fail("a head", "none", hint);
        if (bytes.length > length) fail("no body", `${bytes.length - length} bytes`, hint);
      },
    },
    {
      name: "a redirect",
      why: "RFC 9110 §15.4: a redirect is for the client, which decides whether to follow it.",
      points: 1,
      level: "robust",
      needs: first,
      async run(server) {
        using origin = new Origin(() => answer("", ["Location: /elsewhere", "Cache-Control: no-store"], "302 Found"));
        const hint = "pass on the 302, and do not follow it";
        const response = await browse(server, origin, "/", hint);
        if (response.head.status !== 302) fail("status 302", status(response), hint);
        asked(origin, 1, hint);
      },
    },
    {
      name: "CONNECT",
      why: "RFC 9110 §9.3.6: after CONNECT and a 200 the proxy passes bytes both ways: TLS goes through such a tunnel.",
      points: 3,
      level: "robust",
      needs: first,
      byHand: "curl -p -x http://{host}:{port} http://127.0.0.1:8000/",
      async run(server) {
        const [up, down] = [randomOf(server).bytes(5000), randomOf(server).bytes(70_000)];
        const hint = "connect, answer 200, and copy bytes in both directions until both have ended";
        using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        using peer = await Peer.connect(server);
        const authority = `127.0.0.1:${listener.addr.port}`;
        const accepting = listener.accept();
        accepting.catch(() => {});
        await peer.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
        let head = "";
        while (!head.includes("\r\n\r\n")) {
          const some = await peer.upTo(1);
          if (some.length === 0) fail("a response to CONNECT", `"${printable(head)}"`, hint);
          head += String.fromCharCode(some[0] ?? 0);
        }
        if (!/^HTTP\/1\.[01] 2\d\d/.test(head)) fail("status 200", printable(head.split("\r\n")[0] ?? ""), hint);
        const conn = await inTime(accepting);
        if (!conn) fail(`a connection to ${authority}`, `none in ${limits.patience / 1000} s`, hint);
        using far = new Peer(conn);
        await peer.send(up);
        sameBytes(await far.upTo(up.length), up, hint);
        await far.send(down);
        sameBytes(await peer.upTo(down.length), down, hint);
      },
    },
    {
      name: "both lengths",
      why:
        "RFC 9112 §6.1: with Content-Length and Transfer-Encoding, proxy and server could read two different requests.",
      points: 2,
      level: "strict",
      needs: [...first, "a body from the client"],
      async run(server) {
        using origin = new Origin(({ method }) => answer(method, ["Cache-Control: no-store"]));
        const hint = "answer 400; or remove Content-Length, pass on the chunks, and close the connection afterwards";
        const request =
          `POST ${origin.url("/a")} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n` +
          `\r\n0\r\n\r\n${requestFor(origin.url("/hidden"))}`;
        await refuses(server, origin, request, /400|200|501/, hint);
        const [passed] = origin.requests;
        if (passed && passed.body.length > 0) fail("no body, as the chunks say", `${passed.body.length} bytes`, hint);
        if (origin.requests.some(({ target }) => target === "/hidden")) {
          fail("nothing behind such a request to be passed on", "a second request", hint);
        }
      },
    },
    {
      name: "two lengths",
      why:
        "RFC 9112 §6.3: two different Content-Lengths in a request are an error; in a response the proxy answers 502.",
      points: 2,
      level: "strict",
      needs: [...first, "a body from the client", "the server is down"],
      async run(server) {
        using origin = new Origin(() =>
          `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab`
        );
        const hint = "a message whose length is not clear is an error: 400 for the client's, 502 for the server's";
        const request = `POST ${
          origin.url("/a")
        } HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`;
        await refuses(server, origin, request, /400|411/, hint); // 411: without one length it has none
        asked(origin, 0, hint);
        const response = await browse(server, origin, page(server).path, hint);
        if (response.head.status !== 502) fail("status 502", status(response), hint);
      },
    },
    {
      name: "a loop",
      why: "RFC 9110 §7.6.3: a request whose Via has the proxy's own name has come in a circle, and is not passed on.",
      points: 1,
      level: "strict",
      needs: [...first, "Via"],
      async run(server) {
        using origin = new Origin(() => answer("ok", ["Cache-Control: no-store"]));
        const hint = "look for your own name in Via, and answer with an error (508, 502 or 400)";
        await browse(server, origin, "/", hint);
        const own = origin.last(hint).fields.get("via") ?? "";
        const response = await browse(server, origin, "/again", hint, { fields: [`Via: ${own}, 1.1 other`] });
        if (response.head.status < 400) fail("an error", status(response), hint);
        asked(origin, 1, hint);
      },
    },
    {
      name: "Max-Forwards",
      why: "RFC 9110 §7.6.2: TRACE and OPTIONS count Max-Forwards down; with 0 the proxy answers itself.",
      points: 1,
      level: "strict",
      needs: first,
      async run(server) {
        using origin = new Origin(() => answer("ok", ["Cache-Control: no-store"]));
        const hint = "answer a request with Max-Forwards: 0 yourself; pass on others with one less";
        await browse(server, origin, "/", hint, { method: "OPTIONS", fields: ["Max-Forwards: 0"] });
        asked(origin, 0, hint);
        await browse(server, origin, "/", hint, { method: "OPTIONS", fields: ["Max-Forwards: 2"] });
        const left = origin.last(hint).fields.get("max-forwards") ?? "none";
        if (left !== "1") fail("Max-Forwards: 1 at the origin server", printable(left), hint);
      },
    },
    {
      name: "only-if-cached",
      why: "RFC 9111 §5.2.1.7: with only-if-cached the answer comes from the cache, or is 504.",
      points: 1,
      level: "strict",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        using origin = new Origin(() => answer(text, [fresh]));
        const hint = "answer 504 without asking the server";
        const only = { fields: ["Cache-Control: only-if-cached"] };
        const response = await browse(server, origin, path, hint, only);
        if (response.head.status !== 504) fail("status 504", status(response), hint);
        asked(origin, 0, hint);
        await expects(server, origin, path, text, hint);
        await expects(server, origin, path, text, hint, only);
      },
    },
    {
      name: "the client's own copy",
      why: "RFC 9111 §4.3.2: a client that has the stored response already (If-None-Match) gets 304 from the cache.",
      points: 1,
      level: "strict",
      needs: cached,
      async run(server) {
        const { path, text } = page(server);
        const etag = `"${word(randomOf(server))}"`;
        using origin = new Origin(() => answer(text, [fresh, `ETag: ${etag}`]));
        const hint = "compare If-None-Match with the ETag of the fresh response, and answer 304 without a body";
        await expects(server, origin, path, text, hint);
        const response = await browse(server, origin, path, hint, { fields: [`If-None-Match: "x", ${etag}`] });
        if (response.head.status !== 304) fail("status 304", status(response), hint);
        if (textOf(response) !== "") fail("no body", `"${printable(textOf(response))}"`, hint);
        asked(origin, 1, hint);
      },
    },
  ],
};

/** Whether these bytes are a complete response that is no error. */
function looksWhole(bytes: Uint8Array): boolean {
  const length = headLength(bytes);
  if (length < 0) return false;
  const head = parseResponse(bytes.subarray(0, length));
  if (head.status >= 500) return false;
  const body = new Body(responseFraming(head, "GET"));
  body.push(bytes.subarray(length), () => {});
  try {
    body.end();
  } catch (error) {
    if (error instanceof MessageError) return false;
    throw error;
  }
  return true;
}

export default suite;
