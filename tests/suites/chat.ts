/**
 * Checks for a UDP chat server with the protocol of `udp/README.md`: it relays each message to every client that has sent
 * a datagram.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { fail, inTime, limits, type Server, type Suite } from "./_suite.ts";

/** One user of the chat: its socket, and the lines it has received. */
class User {
  readonly #socket: Deno.DatagramConn;
  readonly #server: Deno.NetAddr;
  readonly lines: string[] = [];
  #changed = Promise.withResolvers<void>();

  constructor({ hostname, port }: Server) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(hostname), port: 0 });
    this.#server = { transport: "udp", hostname, port };
    this.#receive();
  }

  /** A user that the server has answered: so the server is running, and knows this user. */
  static async enter(server: Server, name?: string): Promise<User> {
    const user = new User(server);
    const until = Date.now() + limits.patience;
    while (user.lines.length === 0) {
      await user.send(name ? `/name ${name}` : "/who");
      await inTime(user.#changed.promise, 250);
      if (Date.now() > until && !server.starting?.()) {
        user.close();
        fail(`an answer to /${name ? "name" : "who"}`, "nothing", "reply to the address that recvfrom returns");
      }
    }
    return user;
  }

  async #receive(): Promise<void> {
    try {
      for await (const [datagram] of this.#socket) {
        this.lines.push(new TextDecoder().decode(datagram));
        this.#changed.resolve();
        this.#changed = Promise.withResolvers<void>();
      }
    } catch (error) {
      if (!isClosedLocally(error)) throw error;
    }
  }

  async send(data: string | Uint8Array): Promise<void> {
    await this.#socket.send(typeof data === "string" ? new TextEncoder().encode(data) : data, this.#server);
  }

  /** Waits for a line that matches `pattern`, and returns it. */
  async receives(pattern: RegExp, hint: string): Promise<string> {
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

  /** Waits until `lines` has every datagram that has arrived here: one that it sends itself comes behind them. */
  async catchUp(): Promise<void> {
    const { addr } = this.#socket;
    if (addr.transport !== "udp") throw new TypeError("not a UDP socket");
    const hostname = addr.hostname.replace(/^0\.0\.0\.0$/, "127.0.0.1").replace(/^::$/, "::1");
    const marker = word();
    await this.#socket.send(new TextEncoder().encode(marker), { ...addr, hostname });
    await this.receives(new RegExp(marker), "check again: the checker could not reach itself");
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
/** A name that no other check uses. */
const nick = (name: string) => `${name}${Date.now() % 1e6}x${unique++}`;
const word = () => `w${crypto.randomUUID().slice(0, 8)}`;

const suite: Suite = {
  role: "server",
  about: "a UDP chat server",
  checks: [
    {
      name: "an echo to the sender",
      why: "A plain datagram is a message for every client, and its sender gets it, too.",
      points: 2,
      async run(server) {
        await using anna = await User.enter(server);
        const text = word();
        await anna.send(text);
        await anna.receives(new RegExp(text), "send each message to every client, including its sender");
      },
    },
    {
      name: "a relay to everyone",
      why: "The server relays each message to every client that has sent a datagram.",
      points: 2,
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        await using carl = await User.enter(server);
        const text = word();
        await bob.send(text);
        for (const each of [anna, carl]) await each.receives(new RegExp(text), "store the addresses of all senders");
      },
    },
    {
      name: "names",
      why: "After /name NICK, the messages of a client begin with its name.",
      points: 1,
      async run(server) {
        const name = nick("anna");
        await using anna = await User.enter(server, name);
        await using bob = await User.enter(server);
        const text = word();
        await anna.send(text);
        await bob.receives(new RegExp(`^${name}: ${text}$`), 'relay "NAME: TEXT"');
      },
    },
    {
      name: "a name that is taken",
      why: "Nobody could tell two clients with the same name apart, even if the case of the letters differs.",
      points: 1,
      async run(server) {
        const name = nick("anna");
        await using _anna = await User.enter(server, name);
        await using bob = await User.enter(server);
        await using carl = await User.enter(server);
        await bob.send(`/name ${name.toUpperCase()}`);
        await bob.receives(/taken/i, "compare names without case, and reply that the name is taken");
        const text = word();
        await bob.send(text);
        const line = await carl.receives(
          new RegExp(text),
          "relay the message of a client without a name under its address",
        );
        if (line.toLowerCase().startsWith(`${name.toLowerCase()}:`)) fail("another name", line, "refuse the name");
      },
    },
    {
      name: "no forged line",
      why: "After a line end inside a message, the rest would look like the message of another user.",
      points: 1,
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        const text = word();
        await bob.send(`${text}\nadmin: you all lost`);
        const line = await anna.receives(new RegExp(text), "relay the message");
        if (/[\r\n]./.test(line)) fail("one line", `"${printable(line)}"`, "escape or remove line ends in a message");
      },
    },
    {
      name: "no terminal controls",
      why: "An escape sequence in a message could clear or recolour the terminal of every user.",
      points: 1,
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        const text = word();
        await bob.send(`\x1b[2J\x9b31m${text}\x07`);
        const line = await anna.receives(new RegExp(text), "relay the message");
        // deno-lint-ignore no-control-regex -- the check looks for these
        if (/[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(line)) {
          fail("no control characters", `"${printable(line)}"`, "escape or remove control characters in a message");
        }
      },
    },
    {
      name: "/who",
      why: "A client can ask for the names of all users.",
      points: 1,
      async run(server) {
        const [one, two] = [nick("anna"), nick("bob")];
        await using anna = await User.enter(server, one);
        await using _bob = await User.enter(server, two);
        await anna.send("/who");
        await anna.receives(new RegExp(`${one}.*${two}|${two}.*${one}`), "answer /who with all names in one datagram");
      },
    },
    {
      name: "/quit",
      why: "When a client leaves, the server tells the others and sends it nothing more.",
      points: 1,
      async run(server) {
        const name = nick("anna");
        await using bob = await User.enter(server);
        await using carl = await User.enter(server);
        const anna = await User.enter(server, name);
        await anna.send("/quit");
        await bob.receives(new RegExp(`${name}.*left`), 'tell the others "* NAME left"');
        const text = word();
        await bob.send(text);
        await carl.receives(new RegExp(text), "keep relaying for the others");
        // The server would have sent the message to anna before it answers this.
        await carl.send("/who");
        await carl.receives(/here/, "answer /who with the names");
        await anna.catchUp();
        const unwanted = anna.lines.find((line) => line.includes(text));
        anna.close();
        if (unwanted) fail("nothing for a client that has left", `"${unwanted}"`, "delete its address");
      },
    },
    {
      name: "any datagram",
      why: "Anyone can send any datagram: none may end the server.",
      points: 2,
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        const stranger = new User(server);
        for (const size of [0, 1, 1400, 9000, 60_000]) await stranger.send(new Uint8Array(size).fill(0xff));
        for (const text of ["/", "/name", "/name \0", "/say", "/say 99999999999 x", "/say -1 x", "/nonsense"]) {
          await stranger.send(text);
        }
        stranger.close();
        const text = word();
        await anna.send(text);
        await bob.receives(new RegExp(text), "catch decoding errors, and accept datagrams of any size");
      },
    },
  ],
};

export default suite;
