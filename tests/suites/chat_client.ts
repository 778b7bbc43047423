/**
 * Checks for a chat client that sends the message "hello" with `/say`, prints its echo, and leaves (`udp/README.md` describes
 * the protocol): here the suite plays the server.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, noServer, succeeded } from "./_clients.ts";
import { type Check, type Client, fail, type Suite } from "./_suite.ts";

/** What the server sends after the `nth` datagram of its kind, counted from 0. */
type Answer = (line: string, nth: number) => (string | Uint8Array)[];

/** The answers of a correct server. */
function usual(line: string): string[] {
  const [, command = "", rest = ""] = /^(\/name|\/say|\/who|\/quit)(?: (.*))?$/s.exec(line) ?? [];
  if (command === "/name") return [`* you are ${rest}`];
  if (command === "/say") return [rest.replace(/^(\d+) (.*)$/s, "#$1 you: $2")];
  if (command === "/who") return ["* here: you"];
  return command === "/quit" ? ["* bye"] : [`you: ${line}`];
}

/** Removes the number: a message that is sent again is of the same kind, even if its number differs. */
const kind = (line: string) => line.replace(/^\/say \d+/, "/say");

const isSay = (line: string) => /^\/say \d+ hello$/.test(line);

interface Played {
  readonly program: Program;
  /** The datagrams of the client. */
  readonly received: readonly string[];
}

/** Plays the server for one run of the client; `forge` returns datagrams that an attacker sends from another port. */
async function play(client: Client, answer: Answer, forge: Answer = () => []): Promise<Played> {
  const open = () => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const [socket, other] = [open(), open()];
  const received: string[] = [];
  const serving = (async () => {
    for await (const [datagram, from] of socket) {
      const line = new TextDecoder().decode(datagram);
      const nth = received.filter((before) => kind(before) === kind(line)).length;
      received.push(line);
      const bytes = (data: string | Uint8Array) => typeof data === "string" ? new TextEncoder().encode(data) : data;
      for (const data of forge(line, nth)) await other.send(bytes(data), from);
      for (const data of answer(line, nth)) await socket.send(bytes(data), from);
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
  return { program, received };
}

/** How many of the printed lines are the echo. */
const echoes = ({ program }: Played) =>
  program.stdout.split("\n").filter((line) => /\byou: hello\s*$/.test(line)).length;

function delivered(played: Played, hint: string): void {
  const { program, received } = played;
  if (!received.some(isSay)) {
    fail(
      '"/say NUMBER hello"',
      received.map((line) => `"${printable(line)}"`).join(", "),
      hint,
    );
  }
  if (echoes(played) === 0) fail('"you: hello" on stdout', `"${printable(program.tail(3))}"`, hint);
  succeeded(program, hint);
}

/** The client receives something else before its echo, and must print the echo nevertheless. */
const ignores = (name: string, why: string, hint: string, before: (string | Uint8Array)[]): Check<Client> => ({
  name,
  why,
  points: 1,
  async run(client) {
    delivered(await play(client, (line) => [...isSay(line) ? before : [], ...usual(line)]), hint);
  },
});

const suite: Suite = {
  role: "client",
  about: 'a UDP chat client that sends "hello" with /say, prints the echo, and leaves',
  checks: [
    {
      name: "a message",
      why: "The message goes to everyone; the echo confirms that the server relayed it.",
      points: 3,
      run: async (client) => delivered(await play(client, usual), "send /say 1 hello, and print the echo"),
    },
    {
      name: "/quit at the end",
      why: "UDP has no connection, so the server cannot see that a client ends: the client must send /quit.",
      points: 1,
      async run(client) {
        const { received } = await play(client, usual);
        if (!received.includes("/quit")) {
          fail("/quit at the end", received.at(-1) ?? "nothing", "send /quit before you exit");
        }
      },
    },
    {
      name: "lost datagrams",
      why: "RFC 8085 §3.3: UDP loses datagrams, so a client that needs an answer must send again.",
      points: 3,
      async run(client) {
        const played = await play(client, (line, nth) => nth === 0 ? [] : usual(line));
        delivered(played, "send a message again if no answer arrives");
        if (new Set(played.received.filter(isSay)).size > 1) {
          fail(
            "the same number again",
            played.received.filter(isSay).join(", "),
            "use the same number when you send the same message again",
          );
        }
      },
    },
    {
      name: "an echo that arrives twice",
      why: "A datagram can arrive twice, and a message that was sent twice gets two echoes: print it once.",
      points: 1,
      async run(client) {
        const played = await play(client, (line) => [...usual(line), ...usual(line)]);
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
      async run(client) {
        const forge: Answer = (line) =>
          isSay(line) ? ["mallory: your password?", usual(line).join("").replace("you", "mallory")] : [];
        const played = await play(client, (line, nth) => isSay(line) && nth === 0 ? [] : usual(line), forge);
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
      async run(client) {
        const played = await play(client, (line, nth) => {
          if (!isSay(line) || nth > 0) return usual(line);
          return ["bob: #1 you: hello", "#99 you: hello"]; // and this time no echo
        });
        delivered(played, "compare the whole start of the line with #NUMBER");
        if (played.received.filter(isSay).length < 2) {
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
      async run(client) {
        const played = await play(client, (line) => [...isSay(line) ? ["bob: good morning"] : [], ...usual(line)]);
        delivered(played, "keep receiving until the echo arrives");
        if (!played.program.stdout.includes("bob: good morning")) {
          fail(
            '"bob: good morning" on stdout',
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
      async run(client) {
        const evil = "bob: \u001b[2J\rroot: hello\u009b1m";
        const played = await play(client, (line) => [...isSay(line) ? [evil] : [], ...usual(line)]);
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
      async run(client) {
        const { program, received } = await play(client, () => []);
        complained(program, "a server that does not answer");
        if (received.length === 0) fail("a datagram", "none", "the client must send the first datagram");
        if (received.length > 20) fail("a few datagrams", `${received.length}`, "wait longer after each try");
      },
    },
    noServer,
  ],
};

export default suite;
