/**
 * Checks for a UDP chat server as `udp/README.md` describes it: it relays what it receives to everyone it has heard of.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { closedHere } from "../../tcp/clients.ts";
import { localAddress } from "../../udp/local_address.ts";
import { fail, inTime, limits, type Server, type Suite } from "./suite.ts";

/** One chatter: a socket of its own, and the lines that have come. */
class Chatter {
  readonly #socket: Deno.DatagramConn;
  readonly #server: Deno.NetAddr;
  readonly lines: string[] = [];
  #changed = Promise.withResolvers<void>();

  constructor({ hostname, port }: Server) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(hostname), port: 0 });
    this.#server = { transport: "udp", hostname, port };
    this.#hear();
  }

  /** A chatter that the server has answered: it is up, and knows this one. */
  static async enter(server: Server, name?: string): Promise<Chatter> {
    const chatter = new Chatter(server);
    const until = Date.now() + limits.patience;
    while (chatter.lines.length === 0) {
      await chatter.send(name ? `/name ${name}` : "/who");
      await inTime(chatter.#changed.promise, 250);
      if (Date.now() > until && !server.starting?.()) {
        chatter.close();
        fail(`an answer to /${name ? "name" : "who"}`, "nothing", "send something back to the address of recvfrom");
      }
    }
    return chatter;
  }

  async #hear(): Promise<void> {
    try {
      for await (const [datagram] of this.#socket) {
        this.lines.push(new TextDecoder().decode(datagram));
        this.#changed.resolve();
        this.#changed = Promise.withResolvers<void>();
      }
    } catch (error) {
      if (!closedHere(error)) throw error;
    }
  }

  async send(data: string | Uint8Array): Promise<void> {
    await this.#socket.send(typeof data === "string" ? new TextEncoder().encode(data) : data, this.#server);
  }

  /** The line in which `pattern` is found, once it has come. */
  async hears(pattern: RegExp, hint: string): Promise<string> {
    const until = Date.now() + limits.patience;
    while (true) {
      const line = this.lines.find((line) => pattern.test(line));
      if (line !== undefined) return line;
      if (Date.now() > until) {
        const got = this.lines.length > 0 ? this.lines.map((line) => `"${printable(line)}"`).join(", ") : "nothing";
        fail(`a datagram that matches ${pattern}`, got, hint);
      }
      await inTime(this.#changed.promise, until - Date.now() + 1);
    }
  }

  close(): void {
    this.#socket.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.send("/quit");
    await inTime(this.#changed.promise, 100);
    this.close();
  }
}

let unique = 0;
/** A name that no check before has used. */
const nick = (name: string) => `${name}${Date.now() % 1e6}x${unique++}`;
const word = () => `w${crypto.randomUUID().slice(0, 8)}`;

const suite: Suite = {
  role: "server",
  about: "a UDP chat server",
  checks: [
    {
      name: "alone you are echoed",
      why: "A plain datagram is a message, and everyone gets it: the sender too.",
      points: 2,
      async run(server) {
        await using anna = await Chatter.enter(server);
        const said = word();
        await anna.send(said);
        await anna.hears(new RegExp(said), "send each message to every client, its sender too");
      },
    },
    {
      name: "everyone gets it",
      why: "The server relays to every client from which a datagram has come.",
      points: 2,
      async run(server) {
        await using anna = await Chatter.enter(server);
        await using bob = await Chatter.enter(server);
        await using carl = await Chatter.enter(server);
        const said = word();
        await bob.send(said);
        for (const each of [anna, carl]) await each.hears(new RegExp(said), "keep the addresses of all senders");
      },
    },
    {
      name: "names",
      why: "After /name NICK a client's messages begin with its name.",
      points: 1,
      async run(server) {
        const name = nick("anna");
        await using anna = await Chatter.enter(server, name);
        await using bob = await Chatter.enter(server);
        const said = word();
        await anna.send(said);
        await bob.hears(new RegExp(`^${name}: ${said}$`), 'relay "NAME: TEXT"');
      },
    },
    {
      name: "a name that is taken",
      why: "Two clients of one name could not be told apart, in whatever case it is written.",
      points: 1,
      async run(server) {
        const name = nick("anna");
        await using _anna = await Chatter.enter(server, name);
        await using bob = await Chatter.enter(server);
        await using carl = await Chatter.enter(server);
        await bob.send(`/name ${name.toUpperCase()}`);
        await bob.hears(/taken/i, "compare names without case, and say that the name is taken");
        const said = word();
        await bob.send(said);
        const line = await carl.hears(new RegExp(said), "a client without a name is known by its address");
        if (line.toLowerCase().startsWith(`${name.toLowerCase()}:`)) fail("another name", line, "refuse the name");
      },
    },
    {
      name: "no line in another's name",
      why: "A line end inside a message would begin a line that looks like another's.",
      points: 1,
      async run(server) {
        await using anna = await Chatter.enter(server);
        await using bob = await Chatter.enter(server);
        const said = word();
        await bob.send(`${said}\nadmin: you all lost`);
        const line = await anna.hears(new RegExp(said), "relay the message");
        if (/[\r\n]./.test(line)) fail("one line", `"${printable(line)}"`, "escape or remove line ends in a message");
      },
    },
    {
      name: "no terminal controls",
      why: "An escape sequence in a message would move the cursor or the colours of everyone's terminal.",
      points: 1,
      async run(server) {
        await using anna = await Chatter.enter(server);
        await using bob = await Chatter.enter(server);
        const said = word();
        await bob.send(`\x1b[2J\x9b31m${said}\x07`);
        const line = await anna.hears(new RegExp(said), "relay the message");
        // deno-lint-ignore no-control-regex -- just those are looked for
        if (/[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(line)) {
          fail("no control characters", `"${printable(line)}"`, "escape or remove control characters in a message");
        }
      },
    },
    {
      name: "/who",
      why: "A client can ask who is here.",
      points: 1,
      async run(server) {
        const [one, two] = [nick("anna"), nick("bob")];
        await using anna = await Chatter.enter(server, one);
        await using _bob = await Chatter.enter(server, two);
        await anna.send("/who");
        await anna.hears(new RegExp(`${one}.*${two}|${two}.*${one}`), "answer /who with all names in one datagram");
      },
    },
    {
      name: "/quit",
      why: "Who leaves is gone: the others are told, and it gets no more.",
      points: 1,
      async run(server) {
        const name = nick("anna");
        await using bob = await Chatter.enter(server);
        await using carl = await Chatter.enter(server);
        const anna = await Chatter.enter(server, name);
        await anna.send("/quit");
        await bob.hears(new RegExp(`${name}.*left`), 'tell the others "* NAME left"');
        const said = word();
        await bob.send(said);
        await carl.hears(new RegExp(said), "go on relaying for the others");
        // Whatever was sent to anna was sent before carl's answer to this could be.
        await carl.send("/who");
        await carl.hears(/here/, "answer /who");
        const late = anna.lines.find((line) => line.includes(said));
        anna.close();
        if (late) fail("nothing for a client that has left", `"${late}"`, "forget its address");
      },
    },
    {
      name: "any datagram",
      why: "Anyone can send anything: no datagram ends the server.",
      points: 2,
      async run(server) {
        await using anna = await Chatter.enter(server);
        await using bob = await Chatter.enter(server);
        const stranger = new Chatter(server);
        for (const size of [0, 1, 1400, 9000, 60_000]) await stranger.send(new Uint8Array(size).fill(0xff));
        for (const text of ["/", "/name", "/name \0", "/say", "/say 99999999999 x", "/say -1 x", "/nonsense"]) {
          await stranger.send(text);
        }
        stranger.close();
        const said = word();
        await anna.send(said);
        await bob.hears(new RegExp(said), "catch decoding errors, and set a limit to what one datagram may hold");
      },
    },
  ],
};

export default suite;
