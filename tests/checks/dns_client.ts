/**
 * Checks for a DNS client that asks for the address of www.example.com: here the suite plays the server, over UDP and TCP.
 *
 * @module
 */
import { parseIpv4 } from "../../dns/address.ts";
import { decode, encode, type Message } from "../../dns/message.ts";
import { printable } from "../../cli.ts";
import { closedHere } from "../../tcp/clients.ts";
import { type Check, type Client, fail, inTime, limits, type Suite } from "./suite.ts";
import type { Program } from "../program.ts";

const right = "192.0.2.123";
const forged = "192.0.2.66";

/** A response to a query, with one address. */
function response(query: Message, address: string, change: Partial<Message["flags"]> = {}): Message {
  const [question] = query.questions;
  const data = [parseIpv4(address) ?? 0];
  const answers = question ? [{ name: question.name, type: 1, class: 1, ttl: 60, data }] : [];
  const flags = { ...query.flags, qr: true, aa: true, ...change };
  return { id: query.id, flags, questions: query.questions, answers, authority: [], additional: [] };
}

interface Game {
  /** The answers to the nth query over UDP; `elsewhere` is sent from another port. */
  udp(query: Message, n: number): { bytes: Uint8Array; elsewhere?: boolean }[];
  /** The answer over TCP. */
  tcp?(query: Message): Uint8Array;
}

/** Plays the server for one run of the client, and returns it when it has ended. */
async function play(client: Client, game: Game): Promise<{ program: Program; queries: number; overTcp: number }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: listener.addr.port });
  const other = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  let [queries, overTcp] = [0, 0];
  const closed = (error: unknown) => {
    if (!closedHere(error)) throw error;
  };
  const datagrams = (async () => {
    for await (const [packet, from] of socket) {
      for (const { bytes, elsewhere } of game.udp(decode(packet), queries++)) {
        await (elsewhere ? other : socket).send(bytes, from);
      }
    }
  })().catch(closed);
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
      const bytes = game.tcp?.(decode(buffer.subarray(2, got)));
      if (bytes) await conn.write(Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes));
      conn.close();
    }
  })().catch(closed);
  const program = client.start(listener.addr.port);
  try {
    const ended = await inTime(program.ended, limits.patience * 4);
    if (!ended) fail("the client to end", `it still runs ${limits.patience * 4 / 1000} s later`, "give up at last");
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
  if (program.status?.code !== 0) fail("exit code 0", `${program.status?.code}`, hint);
}

function gaveUp(program: Program, hint: string): void {
  if (program.status?.code === 0) fail("an exit code other than 0", "0", hint);
  if (/Traceback|^\s+at |panicked/m.test(program.stderr)) {
    fail("one line that says what went wrong", "a stack trace", hint);
  }
}

const plain = (query: Message, address = right) => ({ bytes: encode(response(query, address)) });

/** A client that is sent something forged with each query, and the right answer after it. */
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
      why: "One query, one answer, and its address on stdout.",
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
          fail("a query for www.example.com.", names[0] ?? "none", "ask for that name");
        }
        answered(program, "print the address of the answer");
      },
    },
    forgery(
      "another id",
      "RFC 5452 §4.3: the id ties an answer to its query.",
      "compare the id, and go on waiting",
      (query) => ({
        bytes: encode({ ...response(query, forged), id: query.id ^ 1 }),
      }),
    ),
    forgery(
      "another question",
      "RFC 5452 §4.2: the answer repeats the question; another is not for us.",
      "compare the question",
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
      "RFC 5452 §4.1: an answer comes from where the query went.",
      "compare the address and port",
      (query) => ({
        ...plain(query, forged),
        elsewhere: true,
      }),
    ),
    forgery(
      "not a message",
      "Anything can arrive at an open port.",
      "what cannot be read is no answer: go on waiting",
      (query) => ({
        bytes: encode(response(query, forged)).slice(0, -3),
      }),
    ),
    {
      name: "a lost query",
      why: "UDP loses datagrams: who hears nothing asks again.",
      points: 1,
      async run(client) {
        const { program } = await play(client, { udp: (query, n) => n === 0 ? [] : [plain(query)] });
        answered(program, "send the query again after a while");
      },
    },
    {
      name: "a truncated answer",
      why: "RFC 1035 §4.2.1: TC says to ask again over TCP.",
      points: 2,
      async run(client) {
        const { program, overTcp } = await play(client, {
          udp: (query) => [{ bytes: encode({ ...response(query, forged, { tc: true }), answers: [] }) }],
          tcp: (query) => encode(response(query, right)),
        });
        if (overTcp === 0) fail("the question over TCP", "none", "look at TC");
        answered(program, "take the answer that came over TCP");
      },
    },
    {
      name: "no such name",
      why: "NXDOMAIN is an answer: there is no such name, and no address.",
      points: 1,
      async run(client) {
        const { program } = await play(client, {
          udp: (query) => [{ bytes: encode({ ...response(query, right, { rcode: 3 }), answers: [] }) }],
        });
        gaveUp(program, "say that there is no such name, and exit with 1");
      },
    },
    {
      name: "a silent server",
      why: "A server that says nothing is given up, in one line.",
      points: 1,
      async run(client) {
        gaveUp((await play(client, { udp: () => [] })).program, "give up after a few tries, and exit with 1");
      },
    },
    {
      name: "counts that lie",
      why: "A header may promise 65535 records: reading must end where the message does.",
      points: 1,
      async run(client) {
        const { program } = await play(client, {
          udp: (query) => {
            const bytes = encode(response(query, right));
            bytes.set([0xff, 0xff], 6);
            return [{ bytes }];
          },
        });
        gaveUp(program, "check every offset against the length of the message");
      },
    },
  ],
};

export default suite;
