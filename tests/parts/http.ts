/**
 * The parts of `http/` that decide, count and format, without a process. `http_message_test.ts` imports it: what takes
 * milliseconds comes before what takes seconds.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { AccessLog } from "../../http/_access_log.ts";
import { isAllowedHost } from "../../http/_allowed_host.ts";
import { isText, memorySink, terminalSink } from "../../http/_body_sink.ts";
import { buildResponse } from "../../http/_build_response.ts";
import { cachePerSecond } from "../../http/_clock.ts";
import { explainFetch } from "../../http/_fetch_errors.ts";
import { FileCache } from "../../http/_file_cache.ts";
import { Fields, MessageError, type RequestHead } from "../../http/_message.ts";
import { encode, parseDestination, type RawRequest, redirect } from "../../http/_raw_request.ts";
import { compress, etagOf, load, type Representation } from "../../http/_representation.ts";
import { chosenRequest, requestOptions } from "../../http/_request_options.ts";
import { encodeHead, type FileResponse, sizeOf, statusPage } from "../../http/_response.ts";
import { FileError, find, findFileOrIndex, fromDisk, openChecked, readFolder, readMore } from "../../http/_site.ts";
import { realFolder } from "../../http/_site.ts";
import { TimeLimit } from "../../http/_time_limit.ts";
import { dispatch } from "../../http/_dispatch.ts";
import { Problem } from "../../http/_problem.ts";
import { WebConnection } from "../../http/_web_connection.ts";
import { serveWeb } from "../../http/_web_server.ts";
import { fileSink } from "../../tcp/_file_sink.ts";
import { explainTls } from "../../tcp/_tls_client.ts";
import { folderOf } from "../support/http.ts";
import { Captured, ClosedFiles, stub, Timers } from "../support/stub.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const linux = Deno.build.os === "linux";

type Lines = [name: string, value: string][];

const request = (target: string, fields: Lines = [], method = "GET", minor: 0 | 1 = 1): RequestHead => (
  { method, target, minor, fields: new Fields(fields) }
);

/** The files of a folder, and the cache of a server for it. */
async function site(files: Record<string, string | Uint8Array>, cors = false) {
  const folder = await Deno.realPath(await folderOf(files));
  const cache = new FileCache({ root: folder, dotfiles: false, followSymlinks: false }, cors);
  return { folder, cache, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** A path with slashes, as the tests write them. */
const slashed = (path: string) => Deno.build.os === "windows" ? path.replaceAll("\\", "/") : path;

/** A file's representation; anything else is an error. */
async function fileOf(cache: FileCache, target: string, accept?: string): Promise<Representation> {
  const found = await cache.get(target, accept);
  if (!found || "folder" in found) throw new Error(`${target} is no file`);
  return found;
}

const textOf = ({ body }: FileResponse) =>
  body.map((part) => part instanceof Uint8Array ? text(part) : `<${part.start}-${part.end}>`).join("");
const names = ({ fields }: FileResponse) => fields.map(([name]) => name).join();
const field = ({ fields }: FileResponse, name: string) => fields.find(([each]) => each === name)?.[1];

Deno.test("a file server's response: methods, folders, conditions, ranges", async () => {
  await using files = await site({ "a.txt": "0123456789", "sub dir/b.txt": "b", ".hidden": "h" });
  const { cache, folder } = files;
  const ask = (target: string, fields: Lines = [], method = "GET") =>
    buildResponse(request(target, fields, method), cache);

  const options = await ask("/none", [], "OPTIONS");
  assertEquals([options.status, options.fields, options.body], [204, [["Allow", "GET, HEAD, OPTIONS"]], []]);
  const cors = await buildResponse(request("/", [], "OPTIONS"), new FileCache(cache.site, true));
  assertEquals(names(cors), "Allow,Access-Control-Allow-Methods,Access-Control-Allow-Headers");
  for (const method of ["POST", "PUT", "DELETE", "get"]) {
    const refused = await ask("/a.txt", [], method);
    assertEquals([refused.status, field(refused, "Allow"), textOf(refused)], [
      ...[405, "GET, HEAD, OPTIONS", "405 Method Not Allowed\n"],
    ]);
  }
  for (const target of ["/none", "/a.txt/", "/a.txt/x", "/.hidden"]) assertEquals((await ask(target)).status, 404);
  await assertRejects(() => ask("/../x"), MessageError);

  const moved = await ask("/sub%20dir");
  assertEquals([moved.status, field(moved, "Location")], [301, "/sub%20dir/"]);
  const listed = await ask("/sub%20dir/");
  assertEquals([listed.status, names(listed)], [200, "Content-Type,Content-Security-Policy,Cache-Control"]);
  assertMatch(textOf(listed), />b\.txt</);
  assert(!textOf(await ask("/")).includes(".hidden"));

  const whole = await ask("/a.txt");
  const { mtime } = await Deno.stat(`${folder}/a.txt`);
  const etag = field(whole, "ETag") ?? "";
  assertEquals([whole.status, textOf(whole), whole.file], [200, "0123456789", undefined]);
  assertEquals(whole.fields, [
    ["Content-Type", "text/plain; charset=UTF-8"],
    ["ETag", etag],
    ["Last-Modified", mtime?.toUTCString() ?? ""],
    ["Accept-Ranges", "bytes"],
    ["Cache-Control", "no-cache"],
  ]);
  const head = await ask("/a.txt", [["Range", "bytes=0-1"]], "HEAD");
  assertEquals([head.status, sizeOf(head.body)], [200, 10]);
  assertEquals((await ask("/a.txt", [["If-Match", '"old"']])).status, 412);
  const same = await ask("/a.txt", [["If-None-Match", etag]]);
  assertEquals([same.status, names(same), same.body], [304, "ETag,Cache-Control", []]);

  const part = await ask("/a.txt", [["Range", "bytes=2-4"]]);
  assertEquals([part.status, textOf(part), field(part, "Content-Range")], [206, "234", "bytes 2-4/10"]);
  assertEquals(field(part, "Content-Type"), "text/plain; charset=UTF-8");
  const beyond = await ask("/a.txt", [["Range", "bytes=10-"]]);
  assertEquals([beyond.status, field(beyond, "Content-Range")], [416, "bytes */10"]);
  const several = await ask("/a.txt", [["Range", "bytes=0-0,-2"]]);
  const [, boundary = ""] = /^multipart\/byteranges; boundary=(.+)$/.exec(field(several, "Content-Type") ?? "") ?? [];
  const lines = (range: string) =>
    `--${boundary}\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Range: bytes ${range}/10\r\n\r\n`;
  assertEquals([several.status, several.fields.filter(([name]) => name === "Content-Type").length], [206, 1]);
  assertEquals(textOf(several), `${lines("0-0")}0\r\n${lines("8-9")}89\r\n--${boundary}--\r\n`);
});

Deno.test("a file server's response: files too large for the memory, and what the disk says", async () => {
  const most = 1 << 20;
  await using files = await site({ "most.bin": new Uint8Array(most), "more.bin": new Uint8Array(most + 1) });
  const { cache, folder } = files;
  const kept = await buildResponse(request("/most.bin"), cache);
  assertEquals([kept.file, kept.body[0] instanceof Uint8Array, sizeOf(kept.body)], [undefined, true, most]);
  {
    const large = await buildResponse(request("/more.bin"), cache);
    using file = large.file;
    assertEquals([large.status, file === undefined, large.body], [200, false, [{ start: 0, end: most }]]);
    const some = await buildResponse(request("/more.bin", [["Range", "bytes=5-6"]]), cache);
    using again = some.file;
    assertEquals([some.status, again === undefined, some.body], [206, false, [{ start: 5, end: 6 }]]);
  }
  const head = await buildResponse(request("/more.bin", [], "HEAD"), cache);
  assertEquals([head.status, head.file, sizeOf(head.body)], [200, undefined, most + 1]);

  /** A file that something happens to after it was found. */
  const meanwhile = (action: () => Promise<void>) =>
    new (class extends FileCache {
      override async get(target: string, accept: string | undefined) {
        const found = await super.get(target, accept);
        await action();
        return found;
      }
    })(cache.site, false);
  using closed = new ClosedFiles();
  const shorter = await buildResponse(
    request("/more.bin"),
    meanwhile(() => Deno.truncate(`${folder}/more.bin`, most + 5)),
  );
  assertEquals([shorter.status, field(shorter, "Retry-After"), shorter.file], [503, "1", undefined]);
  assertEquals(closed.count, 1);
  const gone = await buildResponse(request("/more.bin"), meanwhile(() => Deno.remove(`${folder}/more.bin`)));
  assertEquals([gone.status, gone.file], [404, undefined]);
  for (const [status, retry] of [[403, undefined], [500, undefined], [503, "1"]] as const) {
    const refused = await buildResponse(
      request("/most.bin"),
      meanwhile(() => Promise.reject(new FileError(status, "why"))),
    );
    assertEquals([refused.status, field(refused, "Retry-After"), refused.why], [status, retry, "why"]);
    assertMatch(textOf(refused), /: why\n$/);
  }
  await assertRejects(
    () => buildResponse(request("/"), meanwhile(() => Promise.reject(new Error("a bug")))),
    Error,
    "a",
  );
});

Deno.test("what the file system says becomes 403, 500, 503 or nothing; a bug stays one", async () => {
  const error = (code: string) => Promise.reject(Object.assign(new Error(`${code} (os error 0)`), { code }));
  assertEquals(await fromDisk(Promise.resolve(5)), 5);
  for (const [code, status] of [["EACCES", 403], ["EPERM", 403], ["EMFILE", 503], ["ENFILE", 503], ["EIO", 500]]) {
    const thrown = await fromDisk(error(`${code}`)).catch((thrown) => thrown);
    assert(thrown instanceof FileError && thrown.status === status, `${code}: ${thrown}`);
  }
  for (const code of ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EINVAL"]) {
    assertEquals(await fromDisk(error(code)), undefined, code);
  }
  assertEquals(await fromDisk(Promise.reject(new Deno.errors.NotCapable("x"))), undefined);
  assertEquals(await fromDisk(Promise.reject(new Deno.errors.NotFound("x"))), undefined);
  await assertRejects(() => fromDisk(Promise.reject(new TypeError("a bug"))), TypeError, "a bug");
  await assertRejects(() => fromDisk(Promise.reject(Object.assign(new Error("x"), { code: 5 }))), Error, "x");
});

Deno.test("the files of a site: folders, names that are hidden, links, and what is no file", async () => {
  await using files = await site({
    "a.txt": "a",
    "in/index.html": "i",
    "in/.git/x": "x",
    "no/x": "x",
    ".well-known/w": "w",
  });
  const root = slashed(files.folder);
  const own = { root: files.folder, dotfiles: false, followSymlinks: false };
  const path = async (site: typeof own, ...segments: string[]) => {
    const found = await find(site, segments);
    return found && slashed(found.path);
  };
  assertEquals(await path(own, "a.txt"), `${root}/a.txt`);
  assertEquals(await path(own, "a.txt", ""), undefined);
  assertEquals(await path(own, "", "in", ""), `${root}/in`);
  assertEquals(await path(own, ""), root);
  assertEquals(await path(own, "in", ".git", "x"), undefined);
  assertEquals(await path({ ...own, dotfiles: true }, "in", ".git", "x"), `${root}/in/.git/x`);
  assertEquals(await path(own, ".well-known", "w"), `${root}/.well-known/w`);
  assertEquals(await path(own, "x".repeat(5000)), undefined);
  const index = async (...segments: string[]) => {
    const found = await findFileOrIndex(own, segments);
    return found && slashed("folder" in found ? `folder ${found.folder}` : found.path);
  };
  assertEquals([await index("in"), await index("in", "")], [`folder ${root}/in`, `${root}/in/index.html`]);
  assertEquals([await index("no"), await index("no", ""), await index("none")], [
    ...[`folder ${root}/no`, `folder ${root}/no`, undefined],
  ]);
  assertEquals(await index("a.txt"), `${root}/a.txt`);
  await Deno.mkdir(`${root}/no/index.html`);
  assertEquals(await index("no", ""), `folder ${root}/no`);

  assertEquals(slashed(await realFolder(`${root}/in/../in`)), `${root}/in`);
  for (const wrong of [`${root}/a.txt`, `${root}/none`]) {
    const error = await assertRejects(() => realFolder(wrong), Failure, "is not one");
    assertEquals(error instanceof Failure && error.code, 2);
  }
  const { entries, hidden } = await readFolder(own, `${root}/in`, ["in", ""]);
  assertEquals([entries.map(({ name, folder, size }) => [name, folder, size]), hidden], [
    [["index.html", false, 1]],
    0,
  ]);
  {
    // More names than are listed, and one that the runtime cannot open. None of them exists.
    const all = ["a.txt", "gone", "\ufffd", ...Array.from({ length: 9_999 }, (_, i) => `${i}`)];
    using _ = stub(Deno, "readDir", async function* () {
      for (const name of all) yield await Promise.resolve({ name });
    });
    const listed = await readFolder(own, root, [""]);
    assertEquals([listed.entries.map(({ name }) => name), listed.hidden, listed.unreadable], [["a.txt"], 2, 1]);
  }
  if (!linux) return;
  assertEquals(await path({ ...own, root: "/" }, "etc", "hosts"), "/etc/hosts");
  assertEquals(await path({ ...own, root: `${root}/in` }, "..", "a.txt"), undefined);
  await Deno.mkdir(`${root}/in-side`);
  for (
    const [link, target] of [["out", "/etc/hosts"], ["git", "in/.git"], ["near", "../in-side"], ["null", "/dev/null"]]
  ) {
    await Deno.symlink(`${target}`, `${root}/${link === "near" ? "in/near" : link}`);
  }
  const open = { ...own, followSymlinks: true };
  assertEquals([await path(own, "out"), await path(open, "out")], [undefined, "/etc/hosts"]);
  assertEquals([await path(own, "git"), await path(open, "git")], [undefined, undefined]);
  assertEquals(
    await path({ ...own, root: `${root}/in` }, "near"),
    undefined,
    "beside the root, with the same beginning",
  );
  assertEquals(await path(open, "null"), undefined, "no regular file");
});

Deno.test("a file is opened only if it is still the one that was found", async () => {
  await using files = await site({ "a.txt": "abc" });
  const found = await find(files.cache.site, ["a.txt"]);
  if (!found) throw new Error("not found");
  const opened = await openChecked(found);
  if (!opened) throw new Error("not opened");
  using file = opened.file;
  assertEquals(opened.info.size, 3);
  const buffer = new Uint8Array(2);
  assertEquals([await readMore(file, buffer), await readMore(file, buffer), await readMore(file, buffer)], [
    2,
    1,
    null,
  ]);
  const { path, info } = found;
  assertEquals(await openChecked({ path, info: { ...info, ino: (info.ino ?? 0) + 1 } }), undefined);
  assertEquals(await openChecked({ path, info: { ...info, dev: info.dev + 1 } }), undefined);
  assertEquals(await openChecked({ path: `${path}x`, info }), undefined);
  const folder = await Deno.stat(files.folder);
  if (Deno.build.os !== "windows") assertEquals(await openChecked({ path: files.folder, info: folder }), undefined);
  const failing = (code: string) => ({ read: () => Promise.reject(Object.assign(new Error("x"), { code })) });
  using _ = stub(file, "read", failing("EIO").read);
  assertEquals(await readMore(file, buffer), null);
  using __ = stub(file, "read", failing("5").read);
  await assertRejects(() => readMore(file, buffer), FileError).catch(() => {});
});

Deno.test("the cache of files: what is fresh, what is kept, and which requests it answers", async () => {
  let now = Date.UTC(2026, 10, 21, 12, 22, 37);
  using _ = stub(Date, "now", () => now);
  await using files = await site({
    ...{ "a.txt": "x".repeat(1024), "short.txt": "x".repeat(1023), "b.png": new Uint8Array(2000) },
    ...{ "most.bin": new Uint8Array(65_536), "more.bin": new Uint8Array(65_537) },
  });
  const { cache, folder } = files;
  const answer = (...args: Parameters<typeof request>) => cache.response(request(...args));
  assertEquals(answer("/a.txt"), undefined, "nothing is loaded");
  const first = await fileOf(cache, "/a.txt");
  const response = answer("/a.txt");
  assertEquals(response?.size, 1024);
  assertMatch(
    text(response?.bytes ?? new Uint8Array()),
    /^HTTP\/1\.1 200 OK\r\nDate: Sat, 21 Nov 2026 12:22:37 GMT\r\n/,
  );
  assertMatch(text(response?.bytes ?? new Uint8Array()), /Content-Length: 1024\r\n[^]*\r\n\r\nx{1024}$/);
  assert(!/\r\nConnection:/.test(text(response?.bytes ?? new Uint8Array())), "the connection stays open");
  assertEquals(answer("/a.txt") === response, true, "in the same second: the same bytes");
  assertEquals([answer("/a.txt", [], "HEAD"), answer("/a.txt", [], "GET", 0)], [undefined, undefined]);
  for (const name of ["Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"]) {
    assertEquals(answer("/a.txt", [[name, "x"]]), undefined, name);
  }
  now += 500;
  assert(answer("/a.txt") !== undefined, "fresh");
  now += 1;
  assertEquals(answer("/a.txt"), undefined, "no longer");
  assertEquals(await fileOf(cache, "/a.txt") === first, true, "it has not changed");
  assert(answer("/a.txt") !== undefined, "fresh again");
  now += 500;
  assertMatch(text(answer("/a.txt")?.bytes ?? new Uint8Array()), /Date: Sat, 21 Nov 2026 12:22:38 GMT/);
  now += 1;
  await Deno.writeTextFile(`${folder}/a.txt`, "new");
  assertEquals(text((await fileOf(cache, "/a.txt")).body ?? new Uint8Array()), "new");
  now += 501;
  await Deno.writeTextFile(`${folder}/c.txt`, "other");
  await Deno.rename(`${folder}/c.txt`, `${folder}/a.txt`);
  assertEquals(text((await fileOf(cache, "/a.txt")).body ?? new Uint8Array()), "other");
  now += 501;
  await Deno.remove(`${folder}/a.txt`);
  assertEquals([await cache.get("/a.txt", undefined), answer("/a.txt")], [undefined, undefined]);

  for (const [target, kept] of [["/most.bin", true], ["/more.bin", false]] as const) {
    await cache.get(target, undefined);
    assertEquals(answer(target) !== undefined, kept, target);
  }
  // The name of one file may be written in any number of ways: only short ones are kept.
  for (
    const [target, kept] of [["/b.png?x", false], ["/b.png".padStart(1000, "/"), true], [
      "/b.png".padStart(1001, "/"),
      false,
    ]]
  ) {
    await cache.get(`${target}`, undefined);
    assertEquals(answer(`${target}`) !== undefined, kept, `${target}`.slice(-10));
  }
  const [one, two] = await Promise.all([fileOf(cache, "/short.txt"), fileOf(cache, "/short.txt")]);
  const third = await fileOf(cache, "/short.txt");
  assert(third === one || third === two);
});

Deno.test("content codings: chosen by weight, the smallest of equals; made where it pays", async () => {
  const random = Array.from({ length: 4000 }, (_, i) => String.fromCharCode(33 + (i * i * 7 + i * 31) % 90)).join("");
  await using files = await site({
    ...{ "a.txt": "x".repeat(1024), "short.txt": "x".repeat(1023), "b.png": new Uint8Array(2000) },
    ...{ "c.js": "c".repeat(3000), "c.js.br": "br", "c.js.gz": "gz", "d.js": "d", "d.js.br": "older" },
    ...{ "r.txt": crypto.getRandomValues(new Uint8Array(3000)), "LICENSE": random, "x.y/noext": "n", "p.PY": "p" },
  });
  const { cache, folder } = files;
  const now = Date.now();
  using _ = stub(Date, "now", () => now); // what is in the cache stays fresh, however slow the machine is
  await Deno.utime(`${folder}/d.js.br`, 1000, 1000);
  for (const name of ["c.js", "c.js.br", "c.js.gz"]) await Deno.utime(`${folder}/${name}`, 2000, 2000);
  await Deno.mkdir(`${folder}/b.png.gz`);
  const coding = async (target: string, accept?: string) => (await fileOf(cache, target, accept)).coding;
  for (
    const [target, accept, expected] of [
      ["/a.txt", undefined, ""],
      ["/a.txt", "", ""],
      ["/a.txt", "gzip", "gzip"],
      ["/a.txt", "gzip;q=0", ""],
      ["/a.txt", "gzip;q=0.5, identity;q=0.6", ""],
      ["/a.txt", "gzip;q=0.5, identity;q=0.5", "gzip"],
      ["/a.txt", "gzip;q=0, identity;q=0", ""],
      ["/short.txt", "gzip", ""],
      ["/b.png", "gzip", ""],
      ["/r.txt", "gzip", ""],
      ["/c.js", "gzip, br", "br"],
      ["/c.js", "br, gzip", "br"],
      ["/c.js", "br;q=0.5, gzip", "gzip"],
      ["/c.js", "br, gzip;q=0.5", "br"],
      ["/c.js", "deflate", ""],
      ["/d.js", "br", ""],
    ] as const
  ) {
    for (let i = 0; i < 2; i++) assertEquals(await coding(target, accept), expected, `${target} ${accept}`);
  }
  const plain = await fileOf(cache, "/a.txt");
  const zipped = await fileOf(cache, "/a.txt", "gzip");
  assertEquals([plain.varies, zipped.varies, zipped.type], [true, true, plain.type]);
  assertEquals(zipped.etag, plain.etag.replace(/"$/, '-gzip"'));
  assertEquals([zipped.size, zipped.modified], [zipped.body?.length, plain.modified]);
  assertEquals((await fileOf(cache, "/short.txt")).varies, false);
  assert(await fileOf(cache, "/a.txt", "gzip") === zipped, "compressed once");
  assert(
    cache.response(request("/r.txt", [["Accept-Encoding", "gzip"]])) !== undefined,
    "and no more if it does not pay",
  );
  const br = await fileOf(cache, "/c.js", "br");
  assertEquals([br.size, slashed(br.path), br.modified, br.body, br.varies], [
    2,
    `${slashed(folder)}/c.js.br`,
    2_000_000,
    undefined,
    true,
  ]);
  assertMatch(br.etag, /^"2-[\da-f]+-[\da-f]+-br"$/);
  const type = async (target: string) => (await fileOf(cache, target)).type;
  assertEquals(await type("/p.PY"), "text/plain; charset=UTF-8");
  assertEquals([await type("/LICENSE"), await type("/x.y/noext")], Array(2).fill("application/octet-stream"));
  assertEquals(await compress({ ...plain, body: crypto.getRandomValues(new Uint8Array(1000)), size: 1000 }), undefined);

  const info = await Deno.stat(`${folder}/a.txt`);
  assertEquals(etagOf({ ...info, size: 255, mtime: new Date(4096), ino: 17 }), '"ff-1000-11"');
  assertEquals(etagOf({ ...info, size: 16, mtime: null, ino: null }, "-br"), '"10-0-0-br"');
  const loaded = await load({ path: `${folder}/a.txt`, info }, 1023);
  assertEquals([loaded?.identity.body, loaded?.identity.size, loaded?.codings.size], [undefined, 1024, 0]);
  assertEquals((await load({ path: `${folder}/a.txt`, info }, 1024))?.identity.body?.length, 1024);
});

Deno.test("the cache of files holds 64 MiB, and forgets the oldest", async () => {
  await using files = await site({});
  const { cache, folder } = files;
  let now = 1_800_000_000_000;
  using _ = stub(Date, "now", () => now);
  const create = async (name: string, size: number) => {
    await Deno.writeTextFile(`${folder}/${name}`, "");
    await Deno.truncate(`${folder}/${name}`, size);
    return await fileOf(cache, `/${name}`);
  };
  const isKept = async (file: Representation) => await fileOf(cache, slashed(file.path.slice(folder.length))) === file;
  await create("gone.bin", 1 << 20);
  await Deno.remove(`${folder}/gone.bin`);
  now += 501;
  assertEquals(await cache.get("/gone.bin", undefined), undefined); // it takes no room any more
  const first: Representation[] = [];
  for (let i = 0; i < 63; i++) first.push(await create(`${i}.txt`, 1 << 20));
  const [zipped] = await Promise.all([fileOf(cache, "/5.txt", "gzip"), fileOf(cache, "/5.txt", "gzip")]);
  const last = await create("last.bin", (1 << 20) - zipped.size); // now they have 64 MiB exactly, the compressed form with them
  const [a, b, c] = first;
  if (!a || !b || !c) throw new Error("no files");
  assertEquals([await isKept(a), await isKept(last)], [true, true]);
  await create("one.bin", 1);
  assertEquals([await isKept(b), await isKept(last)], [true, true]);
  const again = await fileOf(cache, "/0.txt"); // it was forgotten, and takes the place of the next one
  assert(again !== a);
  assertEquals([await isKept(again), await isKept(c)], [true, true]);
  assert(await fileOf(cache, "/1.txt") !== b);
});

Deno.test("the head of a response, byte by byte", () => {
  using _ = stub(Date, "now", () => Date.UTC(1994, 10, 6, 8, 49, 37, 999));
  const head = (response: Partial<FileResponse>, minor: 0 | 1, keepAlive: boolean, cors = false) =>
    text(encodeHead({ status: 200, fields: [], body: [], ...response }, { minor, keepAlive, cors }));
  const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  const end = "X-Content-Type-Options: nosniff\r\n";
  assertEquals(head({}, 1, true), `HTTP/1.1 200 OK\r\n${date}Content-Length: 0\r\n${end}\r\n`);
  assertEquals(
    head({ body: [bytes("abc"), { start: 2, end: 9 }] }, 0, true, true),
    `HTTP/1.1 200 OK\r\n${date}Content-Length: 11\r\n${end}Access-Control-Allow-Origin: *\r\nConnection: keep-alive\r\n\r\n`,
  );
  for (const minor of [0, 1] as const) assertMatch(head({}, minor, false), /nosniff\r\nConnection: close\r\n\r\n$/);
  for (const status of [204, 304]) assert(!head({ status }, 1, true).includes("Content-Length"));
  for (const status of [203, 205, 303, 305]) assert(head({ status }, 1, true).includes("Content-Length"));
  assertEquals(textOf(statusPage(404)), "404 Not Found\n");
  const page = statusPage(400, [["X", "y"]], "why");
  assertEquals([textOf(page), names(page), page.why], ["400 Bad Request: why\n", "Content-Type,X", "why"]);
});

Deno.test("the time as text is formatted once a second", () => {
  let [now, calls] = [1_000_999, 0];
  using _ = stub(Date, "now", () => now);
  const clock = cachePerSecond((date) => `${++calls} ${date.getTime()}`);
  assertEquals([clock(), clock()], ["1 1000000", "1 1000000"]);
  now = 1_001_000;
  assertEquals([clock(), clock()], ["2 1001000", "2 1001000"]);
});

Deno.test("the access log: the Common Log Format, collected for a tenth of a second or 500 lines", () => {
  using timers = new Timers();
  using _ = stub(Date, "now", () => Date.UTC(2026, 10, 21, 12, 22, 37, 999));
  using console = new Captured();
  const log = new AccessLog(true);
  const time = "[21/Nov/2026:12:22:37 +0000]";
  log.add("192.0.2.1", request('/a"b\x1b', [], "GET", 0), 200, 5);
  log.add("192.0.2.1", request("/", [], "HEAD"), 404, 0, 'no "x"');
  log.addFault("192.0.2.2", "why");
  log.addFault("192.0.2.2", "why", 400, 7);
  assertEquals([console.log.length, timers.delays], [0, [100]]);
  timers.started[0]?.run();
  assertEquals(console.log[0]?.split("\n"), [
    `192.0.2.1 - - ${time} "GET /a%22b\\x1b HTTP/1.0" 200 5`,
    `192.0.2.1 - - ${time} "HEAD / HTTP/1.1" 404 0 "no %22x%22"`,
    `192.0.2.2 - - ${time} "-" - 0 "why"`,
    `192.0.2.2 - - ${time} "-" 400 7 "why"`,
  ]);
  log.flush();
  assertEquals(console.log.length, 1, "nothing is left to print");
  for (let i = 0; i < 499; i++) log.addFault("h", "w");
  assertEquals([console.log.length, timers.started.length], [1, 2]);
  log.addFault("h", "w");
  assertEquals([console.log.length, console.log[1]?.split("\n").length], [2, 500]);
  log.addFault("h", "w");
  assertEquals(timers.started.length, 3, "a new timer");
  log.flush();
  assertEquals([console.log.length, console.log[2]?.split("\n").length], [3, 1], "a single line, too");
  const quiet = new AccessLog(false);
  quiet.add("h", request("/"), 200, 5);
  quiet.addFault("h", "why");
  quiet.flush();
  assertEquals([console.log.length, timers.started.length], [3, 3]);
});

/** What a terminal gets of a body that comes in these pieces. */
function shown(...pieces: (string | Uint8Array)[]): string {
  let out = "";
  using console = new Captured();
  using _ = stub(Deno.stdout, "writeSync", (data: Uint8Array) => {
    const n = Math.min(data.length, 3); // a terminal may take less than it is given
    out += new TextDecoder("latin1").decode(data.subarray(0, n));
    return n;
  });
  using __ = stub(globalThis.console, "log", (line = "") => void (out += `${line}\n`));
  const sink = terminalSink();
  for (const piece of pieces) sink.write(typeof piece === "string" ? bytes(piece) : piece);
  sink.commit();
  assertEquals(console.error, []);
  return out;
}

Deno.test("where a body goes: a file, the memory, the terminal", async () => {
  assertEquals(shown("hello"), "hello\n");
  assertEquals(shown("hello\n"), "hello\n");
  assertEquals(shown("a\r\nb\r", "\nc\td\x1b\r\n"), "a\nb\nc\td\\x1b\n");
  assertEquals(shown("a\rb", "\r"), "a\\rb\n");
  assertEquals(shown("\ufeffa"), "\\u{feff}a\n");
  assertEquals(shown(Uint8Array.of(97, 0xc3)), "a\xef\xbf\xbd\n", "half a letter at the end");
  assertEquals(shown(), "");
  assertEquals(shown("\r\n"), "\n");
  assertEquals(shown(bytes("\u00fc").subarray(0, 1), bytes("\u00fc").subarray(1)), "\xc3\xbc\n");
  assertEquals(shown(Uint8Array.of(0, 1, 2), "more"), "(7 bytes that are not text: save them with --output FILE)\n");
  assertEquals(shown(Uint8Array.of(0)), "(1 byte that are not text: save them with --output FILE)\n");
  const late = new Uint8Array(513).fill(97);
  late[512] = 0;
  assertEquals(shown(late), `${"a".repeat(512)}\\x00\n`, "judged by the first 512 bytes");
  late[511] = 0;
  assertMatch(shown(late), /^\(513 bytes/);
  assertEquals([isText(bytes("a\t\r\n\f\x1b")), isText(bytes("a\x08")), isText(Uint8Array.of(0xff, 0x41))], [
    true,
    false,
    false,
  ]);
  {
    using _ = stub(Deno.stdout, "writeSync", () => {
      throw new Deno.errors.BrokenPipe("x");
    });
    const sink = terminalSink();
    assertThrows(() => sink.write(bytes("x")), Failure, "has ended");
    sink.write(bytes("y")); // nobody reads: not even an error again
  }
  {
    using _ = stub(Deno.stdout, "writeSync", () => {
      throw new TypeError("a bug");
    });
    assertThrows(() => terminalSink().write(bytes("x")), TypeError, "a bug");
  }

  const memory = memorySink(1);
  memory.write(new Uint8Array((1 << 20) - 1));
  memory.write(bytes("z"));
  assertEquals([memory.content().length, memory.content().at(-1)], [1 << 20, 122]);
  assertThrows(() => memory.write(bytes("z")), Failure, "larger than 1 MiB");
  memory.discard();
  assertEquals(memory.content().length, 0);

  const folder = await Deno.makeTempDir();
  const path = `${folder}/got`;
  await Deno.writeTextFile(`${path}.part`, "left from another time, and longer");
  using closed = new ClosedFiles();
  const kept = await fileSink(path);
  kept.write(bytes("ab"));
  kept.write(bytes("c"));
  kept.commit();
  assertEquals([await Deno.readTextFile(path), closed.count], ["abc", 1]);
  const dropped = await fileSink(path);
  dropped.write(bytes("x"));
  dropped.discard();
  assertEquals(closed.count, 2);
  assertEquals([await Deno.readTextFile(path), [...Deno.readDirSync(folder)].length], ["abc", 1]);
  await assertRejects(() => fileSink(`${folder}/none/x`), Failure, "cannot write");
  await Deno.mkdir(`${folder}/dir`);
  const blocked = await fileSink(`${folder}/dir`);
  assertThrows(() => blocked.commit(), Failure, "cannot write");
  assertEquals([...Deno.readDirSync(folder)].length, 2);
  {
    using _ = stub(Deno, "open", () => Promise.reject(new Deno.errors.NotCapable("x")));
    const denied = await assertRejects(() => fileSink("f"), Failure, "cannot write f: no permission: add -R=f.part");
    assertEquals(denied instanceof Failure && [denied.code, denied.permission], [2, "-R=f.part -W=f,f.part"]);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("time limits: of a step, of the whole exchange, or none", async () => {
  let now = 5000;
  using _ = stub(performance, "now", () => now);
  const never = () => new Promise<never>(() => {});
  const late = () => "sent nothing for";
  const limit = (timeout: number, max: number) => new TimeLimit("s", { timeout, "max-time": max });
  const why = async (limit: TimeLimit, step: Promise<unknown>) => {
    using timers = new Timers();
    const result = limit.step(step, late).then((value) => `${value}`, (error) => `${error.message}`);
    await Promise.resolve();
    for (const { run } of timers.started) run();
    return [...timers.delays, await result];
  };
  assertEquals(await why(limit(7, 0), never()), [7000, "s sent nothing for 7 s"]);
  assertEquals(await why(limit(7, 9), never()), [7000, "s sent nothing for 7 s"]);
  assertEquals(await why(limit(0, 9), never()), [9000, "s did not finish in 9 s (--max-time)"]);
  assertEquals(await why(limit(7, 3), never()), [3000, "s did not finish in 3 s (--max-time)"]);
  assertEquals(await why(limit(0, 0), Promise.resolve("x")), ["x"]);
  const whole = limit(7, 9);
  now += 8500;
  assertEquals(await why(whole, never()), [500, "s did not finish in 9 s (--max-time)"]);
  now += 500;
  assertEquals(await why(whole, never()), ["s did not finish in 9 s (--max-time)"]);
  assertEquals(await why(whole, Promise.reject(new Error("late"))), ["s did not finish in 9 s (--max-time)"]);
});

const raw: RawRequest = {
  ...{ tls: false, server: { hostname: "a.example", port: 80 }, target: "/x?y", method: "GET" },
  ...{ fields: [], body: new Uint8Array() },
};

Deno.test("a request by hand: its default fields, destinations, and what follows a redirect", () => {
  const of = (more: Partial<RawRequest>) => text(encode({ ...raw, ...more }));
  const rest = "User-Agent: socketlab\r\nAccept: */*\r\nConnection: close\r\n";
  assertEquals(of({}), `GET /x?y HTTP/1.1\r\nHost: a.example\r\n${rest}\r\n`);
  for (
    const [tls, port, host] of [[false, 443, "a:443"], [true, 443, "a"], [true, 80, "a:80"], [
      false,
      8080,
      "a:8080",
    ]] as const
  ) assertMatch(of({ tls, server: { hostname: "a", port } }), new RegExp(`\r\nHost: ${host}\r\n`));
  assertEquals(
    of({ method: "POST", body: bytes("ab"), fields: [["ACCEPT", "x"], ["content-type", "y"]] }),
    "POST /x?y HTTP/1.1\r\nHost: a.example\r\nUser-Agent: socketlab\r\nConnection: close\r\nContent-Length: 2\r\n" +
      "ACCEPT: x\r\ncontent-type: y\r\n\r\n",
  );
  assertMatch(of({ body: bytes("x") }), /\r\nContent-Length: 1\r\n/);
  const wrong = assertThrows(() => of({ target: "/a b" }), Failure);
  assertEquals(wrong instanceof Failure && wrong.code, 2);

  const own = { hostname: "own", port: 8080 };
  const parsed = (given: string) => {
    const { tls, server, target } = parseDestination(given, own);
    return [tls, server.hostname, server.port, target];
  };
  assertEquals(parsed("/a/../b"), [false, "own", 8080, "/a/../b"]);
  assertEquals(parsed("http://b"), [false, "b", 80, "/"]);
  assertEquals(parsed("https://b/x/../y?z#f"), [true, "b", 443, "/y?z"]);
  assertEquals(parsed("https://[::1]:81/"), [true, "::1", 81, "/"]);
  for (const given of ["b", "ftp://b/", "http://u@b/", "http://:p@b/", "http://", "xhttp://b/"]) {
    const error = assertThrows(() => parseDestination(given, own), Failure, "is not a URL or a path");
    assertEquals(error instanceof Failure && error.code, 2, given);
  }

  const secret: Lines = [["Authorization", "a"], ["cookie", "b"], ["Host", "c"], ["X", "d"], ["Content-Type", "e"]];
  const sent: RawRequest = { ...raw, method: "PUT", fields: secret, body: bytes("ab") };
  const after = (location: string, status: number, more: Partial<RawRequest> = {}) => {
    const { method, fields, body, server, tls, target } = redirect({ ...sent, ...more }, location, status);
    return [method, fields.map(([name]) => name).join(), body.length, tls, `${server.hostname}:${server.port}`, target];
  };
  const all = "Authorization,cookie,Host,X,Content-Type";
  assertEquals(after("z", 307), ["PUT", all, 2, false, "a.example:80", "/z"]);
  assertEquals(after("/z?q", 308), ["PUT", all, 2, false, "a.example:80", "/z?q"]);
  for (const status of [301, 302, 303, 306]) {
    assertEquals(after("/z", status), ["GET", "Authorization,cookie,Host,X", 0, false, "a.example:80", "/z"]);
  }
  assertEquals(after("/z", 302, { method: "HEAD" })[0], "HEAD");
  assertEquals(after("//b.example/", 307), ["PUT", "X,Content-Type", 2, false, "b.example:80", "/"]);
  assertEquals(after("https://a.example/", 307), ["PUT", "X,Content-Type", 2, true, "a.example:443", "/"]);
  assertEquals(after("/z", 307, { tls: true, server: { hostname: "a", port: 443 } })[4], "a:443");
  for (const location of ["http://[", "ftp://a/", "http://u:p@a.example/"]) {
    assertThrows(() => after(location, 302), Failure, "a.example:80 redirects to");
  }
});

Deno.test("a client's options of its request", async () => {
  const chosen = (more: Record<string, unknown>) =>
    chosenRequest({ method: "", header: [], user: "", data: "", ...more });
  assertEquals(await chosen({}), { method: "GET", fields: [], body: new Uint8Array() });
  assertEquals(await chosen({ data: "x", header: ["A:b", "c: \t d:e "] }), {
    ...{ method: "POST", fields: [["A", "b"], ["c", "d:e "]], body: bytes("x") },
  });
  assertEquals((await chosen({ data: "x", method: "PUT" })).method, "PUT");
  assertEquals(requestOptions["max-time"].default, 0);
  assertEquals((await chosen({ user: "Aladdin:open sesame" })).fields, [
    ["Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], // RFC 7617 §2
  ]);
  for (
    const wrong of [
      ...[{ header: ["x"] }, { header: ["a b: c"] }, { header: [": c"] }, { user: "ada" }, { user: "a:\x1f" }],
      ...[{ user: "a:\x7f" }, { user: "a:b", header: ["AUTHORIZATION: x"] }, { data: "@no-such-file" }],
    ]
  ) {
    const error = await assertRejects(() => chosen(wrong), Failure);
    assertEquals(error instanceof Failure && error.code, 2, JSON.stringify(wrong));
  }
});

Deno.test("what fetch and TLS throw is one sentence; a bug stays one", () => {
  const addr = { hostname: "h", port: 1 };
  const explained = (message: string, cause = "") => {
    const error = explainFetch(new TypeError(message, { cause: cause && new Error(cause) }), addr);
    return error instanceof Failure ? error.message : "a bug";
  };
  for (
    const [message, cause, expected] of [
      ["Requests to port 25 are blocked", "", /^h:1 is a port that fetch refuses/],
      ["x", "too many: number of redirects (20)", /^h:1 redirects more than 20 times$/],
      ["redirect to a non HTTP url", "", /something else than http/],
      ["Invalid URL: 'http://[\x1b' with base 'x'", "", /^h:1 redirects to http:\/\/\[\\x1b, which is not a URL$/],
      ["error decoding", "gzip header", /cannot be decompressed$/],
      ["x", "connection closed before message completed", /^h:1 closed the connection in the middle/],
      ["client error (Connect): dns\x07", "", /cannot be connected: dns\\x07 ?$/],
      ["client error (SendRequest): invalid HTTP", "", /did not answer as an HTTP server does: invalid HTTP ?$/],
    ] as const
  ) assertMatch(explained(message, cause), expected);
  const bug = new TypeError("x is not a function");
  assertEquals(explainFetch(bug, addr), bug);
  const inside = Object.assign(new TypeError("odd\x07"), { stack: "TypeError: odd\n    at ext:deno_fetch/x.js:1:1" });
  const told = explainFetch(inside, addr);
  assertEquals(told instanceof Failure && told.message, "h:1: odd\\x07");
  const denied = explainFetch(new Deno.errors.NotCapable('Requires net access to "b:2", run again'), addr);
  assertEquals(denied instanceof Failure && [denied.code, denied.permission], [2, "-N=b:2"]);
  const range = new RangeError("x");
  assertEquals(explainFetch(range, addr), range);

  const handshake = (error: unknown) => {
    const known = explainTls(error, addr);
    return known instanceof Failure ? known.message : known;
  };
  assertMatch(`${handshake(new Error("UnknownIssuer"))}`, /^no TLS with h:1: no known authority/);
  assertMatch(`${handshake(new Error("x", { cause: new Error("handshake eof") }))}`, /it closed the connection during/);
  assertEquals(handshake(new Deno.errors.InvalidData("odd\x07")), "no TLS with h:1: odd\\x07");
  assertEquals([handshake(bug), handshake("text")], [bug, "text"]);
  const failure = new Failure("UnknownIssuer");
  assertEquals(explainTls(failure, addr) === failure, true);
});

Deno.test("a web server on loopback answers to loopback's names only, one elsewhere to every name", () => {
  const names = ["localhost", "LOCALHOST:80", "localhost.", "users.localhost.:80", "127.0.0.1", "127.8.8.8:1", "[::1]"];
  for (const host of [...names, "127.0.0.1.", "127.1", "[0:0:0:0:0:0:0:1]:80", "localhost:", "", undefined]) {
    for (const own of ["127.0.0.1", "127.0.0.2", "::1", "localhost", "0.0.0.0"]) {
      assert(isAllowedHost(host, own), `${host} at ${own}`);
    }
  }
  const foreign = [
    "evil.example",
    "localhost.evil.example",
    "evillocalhost",
    "127.0.0.1.evil.example",
    "127.evil.example",
  ];
  const other = ["128.0.0.1", "0.0.0.0", "[::]", "[::2]", "[::ffff:192.0.2.1]", "192.168.0.1:80"];
  const malformed = [
    ".localhost",
    "localhost..",
    "evil@localhost",
    "evil/localhost",
    "localhost#",
    "a b",
    "localhost:99999",
  ];
  for (const host of [...foreign, ...other, ...malformed]) {
    for (const own of ["127.0.0.1", "::1", "localhost"]) assert(!isAllowedHost(host, own), `${host} at ${own}`);
    for (const own of ["0.0.0.0", "::", "192.168.0.1", "2001:db8::1"]) assert(isAllowedHost(host, own));
  }
});

Deno.test("the methods of a path: HEAD as GET, OPTIONS with Allow, others are 405", async () => {
  const ask = async (method: string) => {
    const methods = { GET: () => new Response("got"), POST: () => Promise.resolve(new Response("posted")) };
    const response = await dispatch({ method }, methods).catch((error) =>
      error instanceof Problem ? error.toResponse() : Promise.reject(error)
    );
    return [response.status, response.headers.get("allow"), response.status === 405 ? "" : await response.text()];
  };
  const allow = "GET, HEAD, POST, OPTIONS";
  assertEquals([await ask("GET"), await ask("HEAD"), await ask("POST"), await ask("OPTIONS")], [
    ...[[200, null, "got"], [200, null, "got"], [200, null, "posted"], [204, allow, ""]],
  ]);
  for (const method of ["PUT", "toString"]) assertEquals(await ask(method), [405, allow, ""]);
});

Deno.test("an error as problem details, and as a line", async () => {
  const problem = new Problem(409, "twice", { "x-y": "z" }, [{ pointer: "#/email", detail: "is taken" }]);
  const [response, line] = [problem.toResponse(), problem.toText()];
  assertEquals(await response.json(), {
    ...{ type: "about:blank", title: "Conflict", status: 409, detail: "twice" },
    errors: [{ pointer: "#/email", detail: "is taken" }],
  });
  for (const each of [response, line]) assertEquals([each.status, each.headers.get("x-y")], [409, "z"]);
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  assertEquals([await line.text(), line.headers.get("content-type")], [
    ...["409 Conflict: twice\n", "text/plain; charset=UTF-8"],
  ]);
  assertEquals("errors" in await new Problem(400, "x").toResponse().json(), false);
});

Deno.test("a connection of the web server: requests in pieces, one behind the other, and their responses", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [own, conn] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  const connection = new WebConnection({ conn, name: "client", idleTicks: 0 });
  assertEquals([connection.state, connection.hostname], ["idle", "127.0.0.1"]);
  const first = connection.receive();
  const head = "POST /a?b=c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
  for (const piece of [head.slice(0, 10), head.slice(10), "he"]) await own.write(bytes(piece));
  const request = await first;
  if (!request) throw new Error("the stream has ended");
  assertEquals([request.method, request.url.pathname, request.url.search], ["POST", "/a", "?b=c"]);
  await own.write(bytes("lloGET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  let body = "";
  for await (const piece of request.body) body += text(piece);
  assertEquals(body, "hello");
  await connection.send(new Response("one"), request, false);
  const second = await connection.receive();
  assertEquals(second?.target, "/next");
  await connection.send(new Response("two", { status: 404 }), second, true);
  conn.close();
  const got = await new Response(own.readable).text();
  assertMatch(
    got,
    /^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*content-length: 3\r\n(?:.+\r\n)*\r\noneHTTP\/1\.1 404 Not Found\r\n/i,
  );
  assertMatch(got, /\r\nconnection: close\r\n(?:.+\r\n)*\r\ntwo$/i);
});

Deno.test("a web server: its line, refused names, --once, and what it calls when it ends", async () => {
  for (const quiet of [false, true]) {
    using console = new Captured();
    let [ended, calls] = [0, 0];
    const handler = () => Promise.resolve(new Response(`hello ${++calls}`));
    const flags = {
      ...{
        host: "127.0.0.1",
        port: 0,
        once: true,
        trace: "",
        pcap: "",
        quiet,
        timeout: 0.2,
        "max-clients": 10,
      } as const,
    };
    const serving = serveWeb(flags, "Web", handler, () => void ended++);
    while (console.log.length === 0) await new Promise((again) => setTimeout(again, 5));
    const [, port] = /^Web listening on 127\.0\.0\.1:(\d+)$/.exec(console.log[0] ?? "") ?? [];
    const ask = async (host: string) => {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      await conn.write(bytes(`GET /b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
      return await new Response(conn.readable).text();
    };
    assertMatch(await ask("evil.example"), /^HTTP\/1\.1 421 [^]*application\/problem\+json[^]*"status":421/);
    // Half a request is answered when its time is up; a connection that says nothing is closed.
    const silent = async (sent: string) => {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      await conn.write(bytes(sent));
      return await new Response(conn.readable).text();
    };
    const [half, nothing] = await Promise.all([silent("GET / HTTP/1.1\r\n"), silent("")]);
    assertMatch(half, /^HTTP\/1\.1 408 [^]*the request was not complete after 0\.2 s/);
    assertEquals([nothing, console.log.splice(quiet ? 1 : 2, 1)], [
      ...["", quiet ? [] : ["127.0.0.1 - 408: the request was not complete after 0.2 s"]],
    ]);
    assertMatch(await ask(`localhost:${port}`), /^HTTP\/1\.1 200 [^]*hello 1$/);
    await serving;
    assertEquals([calls, ended], [1, 1]);
    assertEquals(console.log.slice(1), quiet ? [] : ["127.0.0.1 GET /b 421: no name of loopback: evil.example"]);
  }
});
