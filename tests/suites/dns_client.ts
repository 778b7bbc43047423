/**
 * Checks for a DNS client that asks for the address of www.example.com: here the suite plays the server, over UDP and TCP.
 *
 * @module
 */
import { parseIpv4 } from "../../tcp/_address.ts";
import { decode, encode, type Message } from "../../dns/_message.ts";
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, succeeded } from "./_clients.ts";
import { type Check, type Client, fail, type Suite } from "./_suite.ts";

const right = "192.0.2.123";
const forged = "192.0.2.66";

/** A response with one address. */
function response(query: Message, address: string, change: Partial<Message["flags"]> = {}): Message {
  const [question] = query.questions;
  const data = [parseIpv4(address) ?? 0];
  const answers = question ? [{ name: question.name, type: 1, class: 1, ttl: 60, data }] : [];
  const flags = { ...query.flags, qr: true, aa: true, ...change };
  return { id: query.id, flags, questions: query.questions, answers, authority: [], additional: [] };
}

interface Script {
  /** The responses to the nth query over UDP; one with `elsewhere` is sent from another port. */
  udp(query: Message, n: number): { bytes: Uint8Array; elsewhere?: boolean }[];
  /** The response over TCP. */
  tcp?(query: Message): Uint8Array;
}

/** Plays the server for one run of the client, until the client has ended. */
async function play(client: Client, script: Script): Promise<{ program: Program; queries: number; overTcp: number }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: listener.addr.port });
  const other = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  let [queries, overTcp] = [0, 0];
  const ignoreClosed = (error: unknown) => {
    if (!isClosedLocally(error)) throw error;
  };
  const datagrams = (async () => {
    for await (const [packet, from] of socket) {
      for (const { bytes, elsewhere } of script.udp(decode(packet), queries++)) {
        await (elsewhere ? other : socket).send(bytes, from);
      }
    }
  })().catch(ignoreClosed);
  const streams = (async () => {
    for await (const conn of listener) {
      overTcp++;
      const buffer = new Uint8Array(1000);
      let got = 0;
      while (got < 2 || got < 2 + ((buffer[0] ?? 0) << 8 | (buffer[1] ?? 0))) {
        const n = await conn.read(buffer.subarray(got));
        if (n === null) break;
        got += n;
      }
      const bytes = script.tcp?.(decode(buffer.subarray(2, got)));
      if (bytes) await conn.write(Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes));
      conn.close();
    }
  })().catch(ignoreClosed);
  const program = client.start(listener.addr.port);
  try {
    await clientEnd(program, "stop trying after a few seconds", 4);
  } finally {
    await program.stop();
    for (const each of [listener, socket, other]) each.close();
    await Promise.all([datagrams, streams]);
  }
  return { program, queries, overTcp };
}

function answered(program: Program, hint: string): void {
  if (program.stdout.includes(forged)) fail(`${right}`, `the forged ${forged}`, hint);
  if (!program.stdout.includes(right)) fail(`${right} on stdout`, `"${printable(program.tail(3))}"`, hint);
  succeeded(program, hint);
}

const plain = (query: Message, address = right) => ({ bytes: encode(response(query, address)) });

/** The client receives a forged message after each query, and then the right response. */
const forgery = (
  name: string,
  why: string,
  hint: string,
  forge: (query: Message) => { bytes: Uint8Array; elsewhere?: boolean },
): Check<Client> => ({
  name,
  why,
  points: 2,
  async run(client) {
    const { program } = await play(client, { udp: (query) => [forge(query), plain(query)] });
    answered(program, hint);
  },
});

const suite: Suite = {
  role: "client",
  about: "a DNS client that asks for the address of www.example.com",
  checks: [
    {
      name: "asks and prints",
      why: "The client sends one query, receives one response, and prints its address.",
      points: 2,
      async run(client) {
        const names: string[] = [];
        const { program } = await play(client, {
          udp: (query) => {
            names.push(query.questions[0]?.name.toLowerCase() ?? "");
            return [plain(query)];
          },
        });
        if (names[0] !== "www.example.com.") {
          fail("a query for www.example.com.", names[0] ?? "none", "send a query for that name");
        }
        answered(program, "print the address from the response");
      },
    },
    forgery(
      "another id",
      "RFC 5452 §4.3: a response has the id of its query; ignore a response with another id.",
      "compare the id, and keep waiting",
      (query) => ({
        bytes: encode({ ...response(query, forged), id: query.id ^ 1 }),
      }),
    ),
    forgery(
      "another question",
      "RFC 5452 §4.2: a response repeats the question; ignore a response with another question.",
      "compare the question, and keep waiting",
      (query) => {
        const { questions, ...rest } = response(query, forged);
        return {
          bytes: encode({
            ...rest,
            questions: questions.map((question) => ({ ...question, name: "www.example.org." })),
          }),
        };
      },
    ),
    forgery(
      "another source",
      "RFC 5452 §4.1: a response comes from the address to which the query was sent.",
      "compare the address and port of the sender with those of the server",
      (query) => ({
        ...plain(query, forged),
        elsewhere: true,
      }),
    ),
    forgery(
      "not a message",
      "Any datagram can arrive at an open port: ignore one that is not a DNS message.",
      "ignore what cannot be decoded, and keep waiting",
      (query) => ({
        bytes: encode(response(query, forged)).slice(0, -3),
      }),
    ),
    {
      name: "a lost query",
      why: "UDP loses datagrams: if no response arrives, send the query again.",
      points: 1,
      async run(client) {
        const { program } = await play(client, { udp: (query, n) => n === 0 ? [] : [plain(query)] });
        answered(program, "send the query again after a second or two");
      },
    },
    {
      name: "a truncated response",
      why: "RFC 1035 §4.2.1: a response with TC set is incomplete: the client must ask again over TCP.",
      points: 2,
      async run(client) {
        const { program, overTcp } = await play(client, {
          udp: (query) => [{ bytes: encode({ ...response(query, forged, { tc: true }), answers: [] }) }],
          tcp: (query) => encode(response(query, right)),
        });
        if (overTcp === 0) fail("the query over TCP", "none", "if TC is set, ask again over TCP");
        answered(program, "use the response that arrived over TCP");
      },
    },
    {
      name: "no such name",
      why: "NXDOMAIN means that there is no such name: the client must report that.",
      points: 1,
      async run(client) {
        const { program } = await play(client, {
          udp: (query) => [{ bytes: encode({ ...response(query, right, { rcode: 3 }), answers: [] }) }],
        });
        complained(program, "a name that does not exist (NXDOMAIN)");
      },
    },
    {
      name: "a silent server",
      why: "If the server never answers, print one line and stop trying.",
      points: 1,
      async run(client) {
        complained((await play(client, { udp: () => [] })).program, "a server that does not answer");
      },
    },
    {
      name: "wrong counts",
      why: "A header may claim 65535 records: stop reading at the end of the message.",
      points: 1,
      async run(client) {
        const { program } = await play(client, {
          udp: (query) => {
            const bytes = encode(response(query, right));
            bytes.set([0xff, 0xff], 6);
            return [{ bytes }];
          },
        });
        complained(program, "a message that ends before its last record");
      },
    },
  ],
};

export default suite;
