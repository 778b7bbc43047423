/**
 * JSON-RPC without a process: frames at their limits, messages, methods. `rpc_test.ts` imports it.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { BufferedReader } from "../../tcp/_buffered_reader.ts";
import { encodeFrame, type FrameForm, frameRoom, readFrame } from "../../tcp/_rpc_frames.ts";
import {
  codes,
  formatCall,
  formatResponse,
  type Json,
  type Params,
  parseMessages,
  RpcError,
} from "../../tcp/_rpc_message.ts";
import { methods } from "../../tcp/_rpc_methods.ts";
import { stub } from "../support/stub.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Reads frames until the stream ends or breaks: each as text, then why it broke. `size` bytes arrive at a time. */
async function frames(form: FrameForm, data: string | Uint8Array, limit: number, size = 1000): Promise<string[]> {
  const all = typeof data === "string" ? bytes(data) : data;
  let at = 0;
  const conn = {
    read(buffer: Uint8Array): Promise<number | null> {
      const part = all.subarray(at, at + Math.min(size, buffer.length));
      buffer.set(part);
      at += part.length;
      return Promise.resolve(part.length || null);
    },
  };
  const reader = new BufferedReader(conn, frameRoom(limit), 16);
  const found: string[] = [];
  try {
    for (
      let text = await readFrame(reader, form, limit);
      text !== undefined;
      text = await readFrame(reader, form, limit)
    ) {
      found.push(text);
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    found.push(`! ${error.message}`);
  }
  return found;
}

Deno.test("frames: both forms, in pieces of any size, at the limit and over it", async () => {
  assertEquals(new TextDecoder().decode(encodeFrame("headers", "é!")), "Content-Length: 3\r\n\r\né!");
  assertEquals(new TextDecoder().decode(encodeFrame("lines", "é!")), "é!\n");
  assertEquals(frameRoom(100), 100 + 4096 + 1);
  const head = (length: number | string, text: string) => `Content-Length: ${length}\r\n\r\n${text}`;
  for (const size of [1, 2, 1000]) {
    const read = (form: FrameForm, data: string | Uint8Array, limit = 5) => frames(form, data, limit, size);
    assertEquals(await read("lines", "abcde\n\nx\n"), ["abcde", "", "x"]);
    assertEquals(await read("lines", "a\nabcdef\n"), ["a", "! sent a message of more than 5 bytes"]);
    assertEquals(await read("lines", "abcdef"), ["! sent a message of more than 5 bytes"]);
    assertEquals(await read("lines", "a\nabcde"), ["a", "! closed in the middle of a message"]);
    assertEquals(await read("lines", ""), []);
    assertEquals(await read("headers", head(5, "abcde") + head(0, "") + head(1, "x")), ["abcde", "", "x"]);
    assertEquals(await read("headers", head(6, "abcdef")), ["! sent a message of more than 5 bytes"]);
    assertEquals(await read("headers", head(3, "ab")), ["! closed in the middle of a message"]);
    assertEquals(await read("headers", "Content-Length: 3\r\n\r"), ["! closed in the middle of a message"]);
    assertEquals(await read("headers", ""), []);
    assertEquals(await read("headers", Uint8Array.of(...bytes(head(1, "")), 255)), [
      "! sent a message that is not UTF-8",
    ]);
    assertEquals(await read("headers", "X: y\r\ncontent-length:\t2 \r\nZ: a\r\n\r\nok"), ["ok"]);
    assertEquals(await read("headers", "X: \r\rContent-Length: 9\r\n\r\n"), [
      "! sent headers without one Content-Length",
    ]);
    assertEquals(await read("headers", "\r\nContent-Length: 2\r\n\r\nok"), ["ok"]);
    assertEquals(await read("headers", "\r\n\r\n"), ["! sent headers without one Content-Length"]);
  }
  const none = ["! sent headers without one Content-Length"];
  for (const wrong of [head(-1, ""), head("1x", "a"), head("", ""), "X: 1\r\n\r\n", head("1000000000000000", "")]) {
    assertEquals(await frames("headers", wrong, 5), none, wrong);
  }
  assertEquals(await frames("headers", "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 5), none);
  // 4096 bytes of headers that have no end are waited for; one more is too many.
  const long = (n: number) => `X: ${"x".repeat(n - 3)}`;
  assertEquals(await frames("headers", long(4096), 5), ["! closed in the middle of a message"]);
  assertEquals(await frames("headers", long(4097), 5), ["! sent headers of more than 4096 bytes"]);
});

Deno.test("messages: what is a call, a response, a batch, and what is none", () => {
  const parsed = (value: unknown) => {
    const { batch, messages } = parseMessages(typeof value === "string" ? value : JSON.stringify(value));
    const shown = messages.map((each) => each instanceof RpcError ? each.code : JSON.parse(JSON.stringify(each)));
    return batch ? shown : shown[0];
  };
  assertEquals(Object.values(codes), [-32700, -32600, -32601, -32602, -32603, -32000, -32001, -32800]);
  const v = { jsonrpc: "2.0" };
  for (
    const [value, expected] of [
      [{ ...v, method: "a" }, { method: "a" }],
      [{ ...v, method: "a", id: 1 }, { method: "a", id: 1 }],
      [{ ...v, method: "a", id: "x", params: [1] }, { method: "a", id: "x", params: [1] }],
      [{ ...v, method: "a", id: null, params: { b: 1 } }, { method: "a", id: null, params: { b: 1 } }],
      [{ ...v, id: 1, result: null }, { id: 1, result: null }],
      [{ ...v, id: 0, error: { code: 1, message: "m" } }, { id: 0, error: { code: 1, message: "m" } }],
      [{ ...v, id: 1, error: { code: 1, message: "m", data: 2 } }, {
        id: 1,
        error: { code: 1, message: "m", data: 2 },
      }],
    ] as const
  ) assertEquals(parsed(value), expected);
  for (
    const invalid of [
      ...[null, 1, '"a"', true, [], {}, { method: "a" }, { jsonrpc: 2, method: "a" }, { jsonrpc: "1.0", method: "a" }],
      ...[{ ...v, method: 1, id: 1 }, { ...v, method: "a", id: true }, { ...v, method: "a", id: [] }, { ...v, id: 1 }],
      ...[{ ...v, method: "a", params: 1 }, { ...v, method: "a", params: null }, { ...v, result: 1 }],
      ...[{ ...v, id: 1, result: 1, error: { code: 1, message: "m" } }, {
        ...v,
        id: 1,
        error: { code: "1", message: "m" },
      }],
      ...[{ ...v, id: 1, error: { code: 1 } }, { ...v, id: 1, error: [] }, { ...v, id: 1, method: 1, result: 1 }],
      ...[{ ...v, id: 1, result: 1, error: null }],
    ]
  ) assertEquals(parsed(invalid), codes.invalidRequest, JSON.stringify(invalid));
  assertEquals([parsed("{"), parsed("")], [codes.parseError, codes.parseError]);
  assertEquals(parsed([{ ...v, method: "a" }, 1]), [{ method: "a" }, codes.invalidRequest]);
  assertEquals(formatCall({ method: "a", params: undefined }), { ...v, method: "a" });
  assertEquals(formatCall({ id: null, method: "a", params: [] }), { ...v, id: null, method: "a", params: [] });
  assertEquals(formatResponse(1, null), { ...v, id: 1, result: null });
  assertEquals(formatResponse(1, new RpcError(5, "m")), { ...v, id: 1, error: { code: 5, message: "m" } });
  const withData = { ...v, id: "x", error: { code: 5, message: "m", data: 0 } };
  assertEquals(formatResponse("x", new RpcError(5, "m", 0)), withData);
});

Deno.test("methods: their results, their parameters, progress, and how a call is cancelled", async () => {
  const progress: number[] = [];
  const controller = new AbortController();
  const context = { signal: controller.signal, progress: (percent: number) => void progress.push(percent) };
  const call = async (name: string, params?: Params): Promise<Json | string> => {
    try {
      return await methods.get(name)?.(params, context) ?? null;
    } catch (error) {
      return error instanceof RpcError ? `${error.code} ${error.data}` : `${error}`;
    }
  };
  assertEquals(await call("methods"), ["methods", "echo", "add", "now", "sleep"]);
  assertEquals([await call("echo", [1, "a"]), await call("echo")], [[1, "a"], null]);
  assertEquals([await call("add", [1, 2]), await call("add", { a: 3, b: -4 })], [3, -1]);
  const wrongs: Params[] = [[1], [1, 2, 3], [1, "2"], { a: 1 }, undefined, { a: 1, b: null }];
  for (const wrong of wrongs) {
    assertEquals(await call("add", wrong), "-32602 numbers: a, b");
  }
  const waits: number[] = [];
  {
    using _ = stub(globalThis, "setTimeout", (run: () => void, ms: number) => (waits.push(ms), queueMicrotask(run)));
    assertEquals(await call("sleep", [60]), "slept for 60 s");
    assertEquals(await call("sleep", { seconds: 0 }), "slept for 0 s");
  }
  assertEquals([waits, progress], [
    ...[
      [...Array(10).fill(6000), ...Array(10).fill(0)],
      [1, 1].flatMap(() => [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
    ],
  ]);
  for (const wrong of [60.5, -1]) assertEquals(await call("sleep", [wrong]), "-32602 from 0 to 60 seconds");
  progress.length = 0;
  const sleeping = call("sleep", [60]);
  controller.abort(new Error("cancelled"));
  assertEquals([await sleeping, await call("sleep", [60]), progress], ["Error: cancelled", "Error: cancelled", []]);
  assert(Date.parse(`${await call("now")}`) > 0);
  await assertRejects(() => Promise.reject(new RpcError(1, "x")), RpcError);
});
