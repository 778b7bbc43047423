/**
 * Checks for a pinger over UDP, as in the second lab of Kurose and Ross: it sends ten datagrams and reports the round-trip time of
 * each reply. Here the suite plays the responder, which loses and delays.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, succeeded } from "./_clients.ts";
import type { Random } from "./_random.ts";
import { received, sent, step } from "./_record.ts";
import { type Check, type Client, fail, randomOf, type Suite } from "./_suite.ts";

interface Ping {
  readonly data: Uint8Array;
  /** Its number, counted from 1. */
  readonly number: number;
}

/** The replies to a ping; `last` is the ping before. */
type Answer = (ping: Ping, last: Ping | undefined) => Uint8Array[];

/** Plays the responder for one run of the client. Returns the texts of the pings. */
async function play(client: Client, answer: Answer): Promise<{ program: Program; pings: string[] }> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: client.port ?? 0 });
  const pings: string[] = [];
  const serving = (async () => {
    let last: Ping | undefined;
    for await (const [data, from] of socket) {
      received(data);
      pings.push(new TextDecoder().decode(data));
      const ping = { data, number: pings.length };
      const replies = answer(ping, last);
      if (replies.length === 0) step(`the checker loses reply ${ping.number}`);
      for (const reply of replies) {
        sent(reply);
        await socket.send(reply, from);
      }
      last = ping;
    }
  })().catch((error) => {
    if (!isClosedLocally(error)) throw error;
  });
  const program = client.start("port" in socket.addr ? socket.addr.port : 0);
  try {
    await clientEnd(program, "send ten pings, wait at most a second for each reply, and end", 4);
  } finally {
    await program.stop();
    socket.close();
    await serving;
  }
  return { program, pings };
}

/**
 * Plays with a network that loses so many replies. On a busy machine one more may take longer than a second; a right client
 * reports it as lost, and gets a second try.
 */
async function playFairly(client: Client, losses: number, answer: Parameters<typeof play>[1]) {
  const played = await play(client, answer);
  if (lines(played.program, lost) <= losses) return played;
  step("more replies were reported lost than the checker has lost: once more");
  return await play(client, answer);
}

/** How many lines of what was printed match. */
const lines = ({ stdout }: Program, pattern: RegExp) => stdout.split("\n").filter((line) => pattern.test(line)).length;

const lost = /timed? ?out|timeout|lost reply|no (reply|answer)/i;

/** Fails unless the client sent all pings, and reported so many as lost. */
function reported({ program, pings }: { program: Program; pings: string[] }, losses: number, hint: string): void {
  const wrong = pings.findIndex((text, i) => !new RegExp(`^ping ${i + 1}\\b`, "i").test(text));
  if (wrong >= 0) {
    fail(`"Ping ${wrong + 1} TIME"`, `"${printable(pings[wrong] ?? "")}"`, "number the pings from 1 to 10");
  }
  if (pings.length !== 10) fail("ten pings", `${pings.length}`, "send ten, also when a reply is lost");
  const got = lines(program, lost);
  if (got !== losses) {
    fail(`"timed out" in ${losses} lines of stdout`, `it in ${got}: "${printable(program.tail(4))}"`, hint);
  }
}

const some = (random: Random, most: number) => new Set([random.integer(2, 4), random.integer(5, 7), 9].slice(0, most));
const needs = ["ten replies"];

const checks: Check<Client>[] = [
  {
    name: "ten replies",
    why: "The client sends Ping 1 to Ping 10, one after another, and prints a line with the time for each reply.",
    points: 4,
    async run(client) {
      const played = await playFairly(client, 0, ({ data }) => [data]);
      reported(played, 0, "print a line with the round-trip time for each reply");
      const times = lines(played.program, /\d\s*(ms|s|µs|us|sec\w*)\b/i);
      if (times < 10) {
        const got = `${times}: "${printable(played.program.tail(3))}"`;
        fail("ten lines with a time and its unit, such as 0.21 ms", got, "print the round-trip time of each reply");
      }
      succeeded(played.program);
    },
  },
  {
    name: "a lost reply",
    why: "UDP loses datagrams: after a second without a reply, the client reports it and sends the next ping.",
    points: 3,
    needs,
    async run(client) {
      const losses = some(randomOf(client), 2);
      const played = await playFairly(client, losses.size, ({ data, number }) => losses.has(number) ? [] : [data]);
      reported(played, losses.size, "set a timeout of one second on the socket, catch it, print timed out, and go on");
    },
  },
  {
    name: "the loss in percent",
    why: "At its end a pinger sums up: how many of ten replies were lost.",
    points: 1,
    needs: ["a lost reply"],
    async run(client) {
      const losses = some(randomOf(client), 1);
      const { program } = await playFairly(client, 1, ({ data, number }) => losses.has(number) ? [] : [data]);
      const hint = "print the share of the pings without a reply, such as 10 % loss";
      if (lines(program, /\b10(\.0+)?\s?%/) === 0) fail('"10 %" on stdout', `"${printable(program.tail(3))}"`, hint);
    },
  },
  {
    name: "a late reply",
    why: "A reply that arrives after its second belongs to an earlier ping: it must not count for the next one.",
    points: 2,
    level: "robust",
    needs: ["a lost reply"],
    async run(client) {
      const late = randomOf(client).integer(2, 8);
      const played = await playFairly(client, 2, ({ data, number }, last) => {
        if (number === late) return []; // it comes in the second of the next ping, whose own reply is lost
        return number === late + 1 && last ? [last.data] : [data];
      });
      reported(played, 2, "compare the number in the reply with the ping that you wait for, and go on waiting");
    },
  },
];

const suite: Suite = {
  role: "client",
  about: "a pinger over UDP, with a responder that loses and delays",
  over: "udp",
  leastPatience: 2000,
  given: "{host} and {port} (HOST, PORT): the responder, which sends back what it receives",
  prints:
    "a line for each ping: its round-trip time with a unit, or the words timed out; at the end the loss in percent",
  exits: "0, also when replies are lost",
  limits: "ten pings, each begins with Ping NUMBER; it waits a second for each reply",
  sheet: "udp/README.md#check-yours",
  checks,
};

export default suite;
