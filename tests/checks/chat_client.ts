/**
 * Checks for a chat client, as `udp/README.md` describes the protocol, that sends the one message "hello" with `/say`, prints
 * its echo, and leaves: here the suite plays the server.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { closedHere } from "../../tcp/clients.ts";
import type { Program } from "../program.ts";
import { type Check, type Client, complained, fail, inTime, limits, noServer, type Suite } from "./suite.ts";

/** What the server sends when a datagram comes that is the `nth` of its kind, beginning at 0. */
type Answer = (line: string, nth: number) => (string | Uint8Array)[];

/** What the server of the lab sheet answers. */
function usual(line: string): string[] {
  const [, command = "", rest = ""] = /^(\/name|\/say|\/who|\/quit)(?: (.*))?$/s.exec(line) ?? [];
  if (command === "/name") return [`* you are ${rest}`];
  if (command === "/say") return [rest.replace(/^(\d+) (.*)$/s, "#$1 you: $2")];
  if (command === "/who") return ["* here: you"];
  return command === "/quit" ? ["* bye"] : [`you: ${line}`];
}

/** A message is the same when it is sent again, be it with another number. */
const kind = (line: string) => line.replace(/^\/say \d+/, "/say");

const isSay = (line: string) => /^\/say \d+ hello$/.test(line);

interface Played {
  readonly program: Program;
  /** What came from the client. */
  readonly heard: readonly string[];
}

/** Plays the server for one run of the client; `forge` is what somebody else sends, from another port. */
async function play(client: Client, answer: Answer, forge: Answer = () => []): Promise<Played> {
  const open = () => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const [socket, other] = [open(), open()];
  const heard: string[] = [];
  const serving = (async () => {
    for await (const [datagram, from] of socket) {
      const line = new TextDecoder().decode(datagram);
      const nth = heard.filter((before) => kind(before) === kind(line)).length;
      heard.push(line);
      const bytes = (data: string | Uint8Array) => typeof data === "string" ? new TextEncoder().encode(data) : data;
      for (const data of forge(line, nth)) await other.send(bytes(data), from);
      for (const data of answer(line, nth)) await socket.send(bytes(data), from);
    }
  })().catch((error) => {
    if (!closedHere(error)) throw error;
  });
  const port = "port" in socket.addr ? socket.addr.port : 0;
  const program = client.start(port);
  try {
    const ended = await inTime(program.ended, limits.patience * 4);
    if (!ended) fail("the client to end", `it still runs ${limits.patience * 4 / 1000} s later`, "give up at last");
  } finally {
    await program.stop();
    for (const each of [socket, other]) each.close();
    await serving;
  }
  return { program, heard };
}

/** How many lines of what it printed are the echo. */
const echoes = ({ program }: Played) =>
  program.stdout.split("\n").filter((line) => /\byou: hello\s*$/.test(line)).length;

function delivered(played: Played, hint: string): void {
  const { program, heard } = played;
  if (!heard.some(isSay)) fail('"/say NUMBER hello"', heard.map((line) => `"${printable(line)}"`).join(", "), hint);
  if (echoes(played) === 0) fail('"you: hello" on stdout', `"${printable(program.tail(3))}"`, hint);
  if (program.status?.code !== 0) fail("exit code 0", `${program.status?.code}: ${printable(program.tail(1))}`, hint);
}

/** A client that hears something else before its echo, and is to be told the same in the end. */
const hears = (name: string, why: string, hint: string, before: (string | Uint8Array)[]): Check<Client> => ({
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
      why: "The message goes to everyone, and its echo says that it did.",
      points: 3,
      run: async (client) => delivered(await play(client, usual), "send /say 1 hello, and print what comes back"),
    },
    {
      name: "it leaves",
      why: "There is no connection whose end the server could see: who goes has to say so.",
      points: 1,
      async run(client) {
        const { heard } = await play(client, usual);
        if (!heard.includes("/quit")) fail("/quit at the end", heard.at(-1) ?? "nothing", "say /quit before you exit");
      },
    },
    {
      name: "lost datagrams",
      why: "RFC 8085 §3.3: UDP loses datagrams, and whoever needs an answer sends again.",
      points: 3,
      async run(client) {
        const played = await play(client, (line, nth) => nth === 0 ? [] : usual(line));
        delivered(played, "send again what got no answer");
        if (new Set(played.heard.filter(isSay)).size > 1) {
          fail("the same number again", played.heard.filter(isSay).join(", "), "it is by the number that it is known");
        }
      },
    },
    {
      name: "an echo that comes twice",
      why: "A datagram can come twice, and what was sent twice is answered twice.",
      points: 1,
      async run(client) {
        const played = await play(client, (line) => [...usual(line), ...usual(line)]);
        delivered(played, "a second echo is nothing to stumble over");
        if (echoes(played) > 1) fail("the message once", `${echoes(played)} times`, "forget what was answered already");
      },
    },
    {
      name: "a forged echo",
      why: "Anyone can send to an open port: what counts is what comes from the server.",
      points: 2,
      async run(client) {
        const forge: Answer = (line) =>
          isSay(line) ? ["mallory: your password?", usual(line).join("").replace("you", "mallory")] : [];
        const played = await play(client, (line, nth) => isSay(line) && nth === 0 ? [] : usual(line), forge);
        delivered(played, "compare the address and port that a datagram came from");
        if (played.program.stdout.includes("mallory")) {
          fail("nothing from elsewhere", "a line of mallory's", "compare the address and port");
        }
      },
    },
    {
      name: "another's words",
      why: "The echo is known by its number at the start: what others say is no echo, whatever it is.",
      points: 2,
      async run(client) {
        const played = await play(client, (line, nth) => {
          if (!isSay(line) || nth > 0) return usual(line);
          return ["bob: #1 you: hello", "#99 you: hello"]; // and no echo, this time
        });
        delivered(played, "compare the whole start of the line with #NUMBER");
        if (played.heard.filter(isSay).length < 2) {
          fail("the message again", "a client that took another's words for its echo", "look for #NUMBER at the start");
        }
      },
    },
    {
      name: "what others say is shown",
      why: "A chat is more than one's own voice.",
      points: 1,
      async run(client) {
        const played = await play(client, (line) => [...isSay(line) ? ["bob: good morning"] : [], ...usual(line)]);
        delivered(played, "go on until the echo has come");
        if (!played.program.stdout.includes("bob: good morning")) {
          fail('"bob: good morning" on stdout', `"${printable(played.program.tail(3))}"`, "print what is no answer");
        }
      },
    },
    {
      name: "no terminal controls",
      why: "What is printed as it came can clear the screen, or forge what others have said.",
      points: 1,
      async run(client) {
        const evil = "bob: \u001b[2J\rroot: hello\u009b1m";
        const played = await play(client, (line) => [...isSay(line) ? [evil] : [], ...usual(line)]);
        delivered(played, "go on until the echo has come");
        // deno-lint-ignore no-control-regex -- they are what must not be there
        if (/[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)/.test(played.program.stdout)) {
          fail("controls escaped", printable(played.program.stdout), "replace control characters before you print");
        }
      },
    },
    hears(
      "any datagram",
      "A datagram can be empty, or of bytes that are no text.",
      "decode with replacement, and go on",
      [new Uint8Array(), Uint8Array.of(0xff, 0xfe, 0x80), "#", "#1", "* ", new Uint8Array(1200).fill(0x41)],
    ),
    {
      name: "a silent server",
      why: "RFC 8085 §3.1.1: who hears nothing waits longer each time, and gives up in the end.",
      points: 2,
      async run(client) {
        const { program, heard } = await play(client, () => []);
        complained(program, "a server that says nothing");
        if (heard.length === 0) fail("a datagram", "none", "send first: nobody else will");
        if (heard.length > 20) fail("a few datagrams", `${heard.length}`, "wait between them, each time for longer");
      },
    },
    noServer,
  ],
};

export default suite;
