/**
 * Checks for a server of JSON-RPC 2.0 over TCP, with Content-Length frames (`tcp/README.md#calling-functions`).
 *
 * @module
 */
import { Peer, reset } from "./_peer.ts";
import { word, words } from "./_random.ts";
import { step } from "./_record.ts";
import { batchOf, call, frame, isError, isObject, RpcPeer, same } from "./_rpc_peer.ts";
import { type Check, fail, Gone, randomOf, type Server, type Suite } from "./_suite.ts";

const first = "a call";
const many = "several calls on a connection";

/** Two numbers, their sum, and an id. */
function sum(server: Server): { params: [number, number]; id: number; wanted: number } {
  const random = randomOf(server);
  const [a, b] = [random.integer(1, 9999), random.integer(1, 9999)];
  return { params: [a, b], id: random.integer(1, 100_000), wanted: a + b };
}

/** One call of add on a connection. */
async function adds(peer: RpcPeer, server: Server, hint: string): Promise<void> {
  const { params, id, wanted } = sum(server);
  await peer.calls("add", params, id, wanted, hint);
}

/** Another client is still served. */
async function stillServes(server: Server, hint: string): Promise<void> {
  using peer = await RpcPeer.connect(server);
  await adds(peer, server, hint);
}

/** Sends bytes that are no frame: the server may close, or answer with an error, but does not wait for what never comes. */
async function refused(server: Server, bytes: string, hint: string): Promise<void> {
  {
    using peer = await Peer.connect(server);
    await peer.send(bytes);
    await peer.some(hint).catch((error) => {
      if (!(error instanceof Gone)) throw error;
    });
  }
  await stillServes(server, "close this connection, and serve the next client");
}

const pause = (milliseconds: number) => new Promise((go) => setTimeout(go, milliseconds));

const goOn = "answer with an error, and read the next message: the frame says where it begins";

const checks: Check<Server>[] = [
  {
    name: first,
    why:
      "JSON-RPC §4, §5: add with two numbers returns their sum, in a frame with Content-Length, with jsonrpc 2.0 and the id of the call.",
    points: 3,
    level: "basic",
    async run(server) {
      using peer = await RpcPeer.connect(server);
      await adds(peer, server, 'answer {"jsonrpc": "2.0", "id": ID, "result": SUM} in a frame of its own');
    },
  },
  {
    name: many,
    why: "A connection carries many calls, until the client closes it.",
    points: 2,
    level: "basic",
    needs: [first],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      for (let i = 0; i < 5; i++) await adds(peer, server, "read the next frame when a call is answered");
    },
  },
  {
    name: "one client after another",
    why: "After a client has left, the next is served.",
    points: 1,
    level: "basic",
    needs: [first],
    async run(server) {
      for (let i = 0; i < 3; i++) await stillServes(server, "call accept again when a client has left");
    },
  },
  {
    name: "an id that is a text",
    why: "JSON-RPC §4: an id is a number or a text; the response has it as it came.",
    points: 1,
    level: "basic",
    needs: [many],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const { params, wanted } = sum(server);
      await peer.calls("add", params, word(randomOf(server)), wanted, "return the id unchanged");
      await peer.calls("add", params, `${randomOf(server).integer(1, 99)}`, wanted, "return the id unchanged");
    },
  },
  {
    name: "parameters by name",
    why: 'JSON-RPC §4.2: parameters are an array in order, or an object: add({"b": 2, "a": 1}).',
    points: 1,
    level: "basic",
    needs: [first],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const { params: [a, b], id, wanted } = sum(server);
      await peer.calls("add", { b, a }, id, wanted, "look whether params is an array or an object");
    },
  },
  {
    name: "a length in bytes",
    why: "Content-Length counts bytes. In UTF-8 a letter beyond ASCII has two to four; echo returns its parameters.",
    points: 2,
    level: "basic",
    needs: [many],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const params = [`Grüße, 世界 👋 ${words(randomOf(server), 2)}`];
      const hint = "read so many bytes, then decode them; count the bytes of your answer, not its characters";
      await peer.calls("echo", params, 1, params, hint);
      await adds(peer, server, hint);
    },
  },
  {
    name: "no such method",
    why: "JSON-RPC §5.1: a method that does not exist gets the error -32601, with the id of the call.",
    points: 2,
    level: "basic",
    needs: [many],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const { id } = sum(server);
      await peer.send(call(word(randomOf(server)), [], id));
      await peer.error(
        -32601,
        id,
        'answer "error": {"code": -32601, "message": "Method not found"} with the id of the call',
      );
      await adds(peer, server, goOn);
    },
  },
  {
    name: "a notification",
    why: "JSON-RPC §4.1: a call without an id is a notification: it gets no response, not even an error.",
    points: 2,
    level: "basic",
    needs: [many],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      for (const notification of [call("add", [1, 2]), call(word(randomOf(server)), [])]) {
        await peer.send(notification);
        await pause(100); // in one piece with the next frame it would be for another check
      }
      const hint = "send nothing back when a call has no id, also when it fails";
      const { params, wanted } = sum(server);
      await peer.send(call("add", params, 1));
      const message = await peer.message(hint);
      // Whatever comes first must be the answer to the call that has an id.
      if (!isObject(message) || message.id !== 1) fail("no response to a notification", JSON.stringify(message), hint);
      same(message, 1, wanted, hint);
    },
  },
  {
    name: "a frame in single bytes",
    why: "TCP is a stream: one recv may return half of a header, or half of a letter.",
    points: 2,
    level: "robust",
    needs: [many, "a length in bytes"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const params = [`ü ${word(randomOf(server))} 世`];
      const hint = "collect bytes until the empty line is there, then until the body is as long as Content-Length says";
      try {
        for (const byte of frame(call("echo", params, 7))) {
          await peer.peer.send(Uint8Array.of(byte));
          await pause(1);
        }
      } catch (error) {
        if (error instanceof Gone) fail("the server to wait for the rest of the frame", "a closed connection", hint);
        throw error;
      }
      same(await peer.response(hint), 7, params, hint);
    },
  },
  {
    name: "two frames at once",
    why: "TCP is a stream: one recv may return two messages, and the beginning of a third.",
    points: 2,
    level: "robust",
    needs: ["a frame in single bytes"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const calls = [sum(server), sum(server), sum(server)].map((each, i) => ({ ...each, id: i + 1 }));
      const frames = calls.flatMap(({ params, id }) => [...frame(call("add", params, id))]);
      await peer.peer.send(Uint8Array.from(frames.slice(0, -9)));
      await pause(50);
      await peer.peer.send(Uint8Array.from(frames.slice(-9)));
      const hint = "keep the bytes behind the body of a frame: they belong to the next one";
      for (let i = 0; i < calls.length; i++) {
        const response = await peer.response(hint);
        const found = calls.find(({ id }) => id === response.id);
        if (!found) fail("the ids 1, 2 and 3", `${response.id}`, hint);
        same(response, found.id, found.wanted, hint);
      }
    },
  },
  {
    name: "a long message",
    why: "A message of 300,000 bytes comes in many pieces, and the answer leaves in many.",
    points: 2,
    level: "robust",
    needs: ["a frame in single bytes"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const params = Array.from({ length: 300 }, () => word(randomOf(server), 1000));
      const hint = "call recv until the whole body is there, and use sendall";
      await peer.calls("echo", params, 1, params, hint);
    },
  },
  {
    name: "malformed JSON",
    why:
      "JSON-RPC §5.1: what is not JSON gets the error -32700 with the id null. The frame was whole, so the connection goes on.",
    points: 2,
    level: "robust",
    needs: [many],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      await peer.peer.send('Content-Length: 27\r\n\r\n{"jsonrpc": "2.0", "method"');
      await peer.error(-32700, null, goOn);
      await adds(peer, server, goOn);
    },
  },
  {
    name: "an invalid request",
    why: "JSON-RPC §5.1: JSON that is no call gets the error -32600 with the id null.",
    points: 1,
    level: "robust",
    needs: ["malformed JSON"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      for (const message of [{ jsonrpc: "2.0", method: 1 }, 7, "add"]) {
        await peer.send(message);
        await peer.error(-32600, null, 'answer "error": {"code": -32600, …} and "id": null when method is not a text');
      }
      await adds(peer, server, goOn);
    },
  },
  {
    name: "wrong parameters",
    why: "JSON-RPC §5.1: parameters that a method cannot use get the error -32602, and do not end the server.",
    points: 1,
    level: "robust",
    needs: ["no such method"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      for (const params of [[], [1], [word(randomOf(server)), 2], { a: 1 }, [1, null]]) {
        const { id } = sum(server);
        await peer.send(call("add", params, id));
        await peer.error(-32602, id, "check the number and the types of the parameters before you use them");
      }
    },
  },
  {
    name: "a batch",
    why: "JSON-RPC §6: an array of calls gets one array of responses, in any order, and none for a notification.",
    points: 2,
    level: "robust",
    needs: [many, "a notification", "no such method"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const [one, two] = [sum(server), sum(server)];
      await peer.send([
        call("add", one.params, 1),
        call("echo", ["x"]),
        call("add", two.params, "two"),
        call("nothing", [], 3),
      ]);
      const hint = "answer an array with one array: a response for each call that has an id";
      const responses = batchOf(await peer.message(hint), hint);
      if (responses.size !== 3) fail("three responses", `${responses.size}`, hint);
      same(responses.get(1) ?? {}, 1, one.wanted, hint);
      same(responses.get("two") ?? {}, "two", two.wanted, hint);
      isError(responses.get(3) ?? {}, -32601, 3, hint);
    },
  },
  {
    name: "a slow call",
    why:
      "The id is there so that answers may come in any order: while sleep runs for a second, other calls are answered.",
    points: 2,
    level: "robust",
    needs: ["two frames at once"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const { params, wanted } = sum(server);
      await peer.send(call("sleep", [1], "slow"));
      await pause(100);
      const hint = "run each call in a thread or task of its own, and go on reading; a lock keeps two answers apart";
      await peer.send(call("add", params, "quick"));
      const quick = await peer.response(hint);
      if (quick.id === "slow") fail("the result of add, while sleep runs", "the result of sleep first", hint);
      same(quick, "quick", wanted, hint);
      const slow = await peer.response("answer sleep when its time is over");
      if (slow.id !== "slow" || !("result" in slow)) fail("the result of sleep", JSON.stringify(slow), hint);
    },
  },
  {
    name: "a silent client at the same time",
    why: "While one client has sent half of a frame, others are served.",
    points: 1,
    level: "robust",
    needs: ["one client after another"],
    async run(server) {
      using silent = await Peer.connect(server);
      await silent.send("Content-Length: 50\r\n\r\n{");
      step("another client calls");
      await stillServes(server, "give each client its own thread or task");
    },
  },
  {
    name: "a client that resets",
    why: "A client that resets its connection (RST) must not end the server.",
    points: 1,
    level: "robust",
    needs: ["one client after another"],
    async run(server) {
      for (let i = 0; i < 3; i++) await reset(server, frame(call("add", [1, 2], 1)));
      await stillServes(server, "catch the errors of a connection, and serve the next client");
    },
  },
  {
    name: "an empty batch",
    why: "JSON-RPC §6: an empty array is an invalid request: one error -32600 with the id null, not an array.",
    points: 1,
    level: "strict",
    needs: ["a batch", "an invalid request"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      await peer.send([]);
      await peer.error(-32600, null, "an empty array gets one error, as an object");
    },
  },
  {
    name: "a batch of notifications",
    why: "JSON-RPC §6: if no call of a batch has an id, nothing is sent back, not even an empty array.",
    points: 1,
    level: "strict",
    needs: ["a batch"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      await peer.send([call("add", [1, 2]), call("echo", ["x"])]);
      await pause(100);
      const { params, id, wanted } = sum(server);
      await peer.send(call("add", params, id));
      const hint = "send nothing when there is no response";
      const message = await peer.message(hint);
      if (Array.isArray(message)) fail("no array", JSON.stringify(message), hint);
      await peer.send(call("add", params, id));
      same(await peer.response(hint), id, wanted, hint);
    },
  },
  {
    name: "a batch with what is no call",
    why: "JSON-RPC §6: each element that is no call gets an error -32600 with the id null; the others are answered.",
    points: 1,
    level: "strict",
    needs: ["a batch", "an invalid request"],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const { params, wanted } = sum(server);
      await peer.send([1, call("add", params, 5)]);
      const hint = "check each element of a batch by itself";
      const responses = batchOf(await peer.message(hint), hint);
      isError(responses.get(null) ?? {}, -32600, null, hint);
      same(responses.get(5) ?? {}, 5, wanted, hint);
    },
  },
  {
    name: "other fields in the header",
    why: "The header may have other fields, such as Content-Type, and names of fields are compared without case.",
    points: 1,
    level: "strict",
    needs: [many],
    async run(server) {
      using peer = await RpcPeer.connect(server);
      const { params, id, wanted } = sum(server);
      const text = JSON.stringify(call("add", params, id));
      await peer.peer.send(
        `Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
      );
      const hint = "read lines up to the empty one, and look for content-length among them, in lower case";
      same(await peer.response(hint), id, wanted, hint);
    },
  },
  {
    name: "no frame",
    why:
      "Without a length, nobody knows where the next message begins: the server closes the connection, and serves others.",
    points: 1,
    level: "strict",
    needs: ["one client after another"],
    async run(server) {
      await refused(
        server,
        'Content-Type: x\r\n\r\n{"jsonrpc":"2.0"}',
        "close the connection when Content-Length is missing",
      );
      await refused(server, "Content-Length: many\r\n\r\n", "close the connection when Content-Length is no number");
    },
  },
  {
    name: "a length beyond all bounds",
    why:
      "A length costs nothing to write: a server that reserves so much memory, or waits for so many bytes, can be ended by anyone.",
    points: 1,
    level: "strict",
    needs: ["no frame"],
    run: (server) =>
      refused(
        server,
        "Content-Length: 99999999999999\r\n\r\n{",
        "set a limit, 16 MiB for example, and close the connection beyond it",
      ),
  },
];

const suite: Suite = {
  role: "server",
  about: "a server of JSON-RPC 2.0 over TCP, with Content-Length frames",
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. It needs nothing else.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits:
    "its methods are add (two numbers, a and b), echo (returns its parameters as they are) and sleep (seconds; any result). " +
    "The specification is jsonrpc.org/specification; its sections are named. Notifications from the server are ignored. " +
    "Messages have up to 320,000 bytes",
  sheet: "tcp/README.md#calling-functions",
  checks,
};

export default suite;
