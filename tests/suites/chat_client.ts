/**
 * Checks for a chat client that sends a message with `/say`, prints its echo, and leaves (`udp/README.md` describes
 * the protocol): here the suite plays the server.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, noServer, succeeded } from "./_clients.ts";
import { word, words } from "./_random.ts";
import { received as recordReceived, sent as recordSent, step } from "./_record.ts";
import { type Check, type Client, contentOf, fail, randomOf, type Suite } from "./_suite.ts";

/** What the client is told to send, and the name that the server gives it. */
interface Order {
  readonly text: string;
  readonly name: string;
}

const orders = contentOf((random) => {
  const content: Order = { text: words(random, 2), name: word(random) };
  return { content, values: { text: content.text } };
});

/** What the server sends after the `nth` datagram of its kind, counted from 0. */
type Answer = (line: string, nth: number, order: Order) => (string | Uint8Array)[];

/** The answers of a correct server, to a client of this name. */
function usual(line: string, order: Order): string[] {
  const [, command = "", rest = ""] = /^(\/name|\/say|\/who|\/quit)(?: (.*))?$/s.exec(line) ?? [];
  if (command === "/name") return [`* you are ${rest}`];
  if (command === "/say") return [rest.replace(/^(\d+) (.*)$/s, `#$1 ${order.name}: $2`)];
  if (command === "/who") return [`* here: ${order.name}`];
  return command === "/quit" ? ["* bye"] : [`${order.name}: ${line}`];
}

/** Removes the number: a message that is sent again is of the same kind, even if its number differs. */
const kind = (line: string) => line.replace(/^\/say \d+/, "/say");

const isSay = (line: string, { text }: Order) => /^\/say \d+ /.test(line) && line.replace(/^\/say \d+ /, "") === text;

interface Played {
  readonly program: Program;
  /** The datagrams of the client. */
  readonly received: readonly string[];
  readonly order: Order;
}

/** Plays the server for one run of the client; `forge` returns datagrams that an attacker sends from another port. */
async function play(client: Client, answer: Answer, forge: Answer = () => []): Promise<Played> {
  const open = (port: number) => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
  const [socket, other] = [open(client.port ?? 0), open(0)];
  const order = { ...orders.of(client) };
  const received: string[] = [];
  const serving = (async () => {
    for await (const [datagram, from] of socket) {
      recordReceived(datagram);
      const line = new TextDecoder().decode(datagram).replace(/\r?\n$/, "");
      const [, taken] = /^\/name (.+)$/.exec(line) ?? [];
      if (taken !== undefined) order.name = taken;
      const nth = received.filter((before) => kind(before) === kind(line)).length;
      received.push(line);
      const bytes = (data: string | Uint8Array) => typeof data === "string" ? new TextEncoder().encode(data) : data;
      for (const data of forge(line, nth, order)) {
        step("someone else sends from another port:");
        recordSent(bytes(data), "another port");
        await other.send(bytes(data), from);
      }
      for (const data of answer(line, nth, order)) {
        recordSent(bytes(data));
        await socket.send(bytes(data), from);
      }
    }
  })().catch((error) => {
    if (!isClosedLocally(error)) throw error;
  });
  const port = "port" in socket.addr ? socket.addr.port : 0;
  const program = client.start(port);
  try {
    await clientEnd(program, "stop trying after a few seconds", 4);
  } finally {
    await program.stop();
    for (const each of [socket, other]) each.close();
    await serving;
  }
  return { program, received, order };
}

const usually: Answer = (line, _nth, order) => usual(line, order);

const says = ({ received, order }: Played) => received.filter((line) => isSay(line, order));

/** How many of the printed lines are the echo. */
const echoes = ({ program, order }: Played) =>
  program.stdout.split(/\r?\n/).filter((line) => line.trimEnd().endsWith(`${order.name}: ${order.text}`)).length;

function delivered(played: Played, hint: string): void {
  const { program, received, order } = played;
  if (!received.some((line) => isSay(line, order))) {
    const got = received.map((line) => `"${printable(line)}"`).join(", ") || "no datagram";
    fail(`"/say NUMBER ${order.text}"`, got, "send the text that is given as {text} or in TEXT, with /say 1 before it");
  }
  if (echoes(played) === 0) fail(`"${order.name}: ${order.text}" on stdout`, `"${printable(program.tail(3))}"`, hint);
  succeeded(program, hint);
}

const needs = ["a message"];

/** The client receives something else before its echo, and must print the echo nevertheless. */
const ignores = (name: string, why: string, hint: string, before: (string | Uint8Array)[]): Check<Client> => ({
  name,
  why,
  points: 1,
  level: "robust",
  needs,
  async run(client) {
    delivered(
      await play(client, (line, _nth, order) => [...isSay(line, order) ? before : [], ...usual(line, order)]),
      hint,
    );
  },
});

const suite: Suite = {
  role: "client",
  about: "a UDP chat client that sends a text with /say, prints its echo, and leaves",
  over: "udp",
  leastPatience: 3000,
  given: "{host} and {port} (HOST, PORT): the server. {text} (TEXT): the message.",
  prints: "the echo as NAME: TEXT in a line of its own, and the lines of others",
  exits: "0 after the echo; another code and one line about it when the server does not answer",
  limits: "it may send /name and /who before; it ends by itself, at most four times --timeout after its start",
  sheet: "udp/README.md#the-protocol",
  prepare: orders.prepare,
  checks: [
    {
      name: "a message",
      why: "The message goes to everyone; the echo confirms that the server relayed it.",
      points: 3,
      run: async (client) =>
        delivered(await play(client, usually), "send /say 1 TEXT, and print the echo without its #1"),
    },
    {
      name: "/quit at the end",
      why: "UDP has no connection, so the server cannot see that a client ends: the client must send /quit.",
      points: 1,
      needs,
      async run(client) {
        const { received } = await play(client, usually);
        if (!received.includes("/quit")) {
          fail("/quit at the end", received.at(-1) ?? "nothing", "send /quit before you exit");
        }
      },
    },
    {
      name: "lost datagrams",
      why: "RFC 8085 §3.3: UDP loses datagrams, so a client that needs an answer must send again.",
      points: 3,
      needs,
      async run(client) {
        const played = await play(client, (line, nth, order) => nth === 0 ? [] : usual(line, order));
        delivered(played, "send a message again if no answer arrives");
        if (new Set(says(played)).size > 1) {
          fail(
            "the same number again",
            says(played).join(", "),
            "use the same number when you send the same message again",
          );
        }
      },
    },
    {
      name: "an echo that arrives twice",
      why: "A datagram can arrive twice, and a message that was sent twice gets two echoes: print it once.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const played = await play(client, (line, _nth, order) => [...usual(line, order), ...usual(line, order)]);
        delivered(played, "ignore a second echo of the same message");
        if (echoes(played) > 1) {
          fail(
            "the message once",
            `${echoes(played)} times`,
            "after the first echo of a number, ignore further echoes of it",
          );
        }
      },
    },
    {
      name: "a forged echo",
      why: "Anyone can send to an open port: accept only datagrams from the server's address.",
      points: 2,
      level: "robust",
      needs: [...needs, "lost datagrams"],
      async run(client) {
        const forge: Answer = (line, _nth, order) =>
          isSay(line, order) ? ["mallory: your password?", usual(line, { ...order, name: "mallory" }).join("")] : [];
        const answer: Answer = (line, nth, order) => isSay(line, order) && nth === 0 ? [] : usual(line, order);
        const played = await play(client, answer, forge);
        delivered(played, "compare the address and port of the sender with those of the server");
        if (played.program.stdout.includes("mallory")) {
          fail("only lines from the server", "a line of mallory's", "compare the address and port of the sender");
        }
      },
    },
    {
      name: "a line that resembles the echo",
      why: "The echo starts with #NUMBER: a line from another user is never an echo, whatever it contains.",
      points: 2,
      level: "robust",
      needs: [...needs, "lost datagrams"],
      async run(client) {
        const played = await play(client, (line, nth, order) => {
          if (!isSay(line, order) || nth > 0) return usual(line, order);
          const said = `${order.name}: ${order.text}`;
          return [`bob: #1 ${said}`, `#99 ${said}`]; // and this time no echo
        });
        delivered(played, "compare the whole start of the line with #NUMBER");
        if (says(played).length < 2) {
          fail(
            "the message again",
            "a client that took another user's line for its echo",
            "look for #NUMBER at the start",
          );
        }
      },
    },
    {
      name: "messages from others",
      why: "The client must also print what others say.",
      points: 1,
      needs,
      async run(client) {
        const other = `bob: ${words(randomOf(client), 2)}`;
        const played = await play(client, (line, _nth, order) => [
          ...isSay(line, order) ? [other] : [],
          ...usual(line, order),
        ]);
        delivered(played, "keep receiving until the echo arrives");
        if (!played.program.stdout.includes(other)) {
          fail(
            `"${other}" on stdout`,
            `"${printable(played.program.tail(3))}"`,
            "print every line that is not an answer to a command",
          );
        }
      },
    },
    {
      name: "no terminal controls",
      why: "Text that is printed unchanged can clear the screen, or forge the lines of others.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const evil = "bob: \u001b[2J\rroot: hello\u009b1m";
        const played = await play(client, (line, _nth, order) => [
          ...isSay(line, order) ? [evil] : [],
          ...usual(line, order),
        ]);
        delivered(played, "keep receiving until the echo arrives");
        // deno-lint-ignore no-control-regex -- the check looks for these
        if (/[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)/.test(played.program.stdout)) {
          fail("controls escaped", printable(played.program.stdout), "replace control characters before you print");
        }
      },
    },
    ignores(
      "any datagram",
      "A datagram can be empty, or contain bytes that are not text.",
      "decode with errors='replace', and keep receiving",
      [new Uint8Array(), Uint8Array.of(0xff, 0xfe, 0x80), "#", "#1", "* ", new Uint8Array(1200).fill(0x41)],
    ),
    {
      name: "a silent server",
      why: "RFC 8085 §3.1.1: a client without an answer waits longer before each new try, and finally gives up.",
      points: 2,
      level: "robust",
      needs,
      async run(client) {
        const { program, received } = await play(client, () => []);
        complained(program, "a server that does not answer");
        if (received.length === 0) fail("a datagram", "none", "the client must send the first datagram");
        if (received.length > 20) fail("a few datagrams", `${received.length}`, "wait longer after each try");
      },
    },
    { ...noServer, needs: [...needs, "a silent server"], level: "robust" },
  ],
};

export default suite;
