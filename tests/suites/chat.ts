/**
 * Checks for a UDP chat server with the protocol of `udp/README.md`: it relays each message to every client that has sent
 * a datagram.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { type Random, word } from "./_random.ts";
import { received, sent } from "./_record.ts";
import { fail, inTime, limits, longestDatagram, randomOf, type Server, type Suite } from "./_suite.ts";

/** One user of the chat: its socket, and the lines it has received. */
class User {
  readonly #socket: Deno.DatagramConn;
  readonly #server: Deno.NetAddr;
  readonly lines: string[] = [];
  readonly #who: string;
  readonly random: Random;
  #changed = Promise.withResolvers<void>();

  constructor(server: Server) {
    const { hostname, port } = server;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(hostname), port: 0 });
    this.#server = { transport: "udp", hostname, port };
    const { addr } = this.#socket;
    this.#who = `checker's port ${"port" in addr ? addr.port : 0}`;
    this.random = randomOf(server);
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
        received(datagram, this.#who);
        this.lines.push(new TextDecoder().decode(datagram).replace(/\r?\n$/, "")); // a line end at the end is allowed
        this.#changed.resolve();
        this.#changed = Promise.withResolvers<void>();
      }
    } catch (error) {
      if (!isClosedLocally(error)) throw error;
    }
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    sent(bytes, this.#who);
    await this.#socket.send(bytes, this.#server);
  }

  /** Waits for a line that `wanted` describes: this text, or in words for a line that `matches`. Returns it. */
  async receives(wanted: string, hint: string, matches = (line: string) => line === wanted): Promise<string> {
    const until = Date.now() + limits.patience;
    while (true) {
      const line = this.lines.find(matches);
      if (line !== undefined) return line;
      if (Date.now() > until) {
        const got = this.lines.length > 0 ? this.lines.map((line) => `"${printable(line)}"`).join(", ") : "nothing";
        fail(`the datagram "${printable(wanted)}"`, got, hint);
      }
      await inTime(this.#changed.promise, until - Date.now() + 1);
    }
  }

  /** Waits until `lines` has every datagram that has arrived here: one that it sends itself comes behind them. */
  async catchUp(): Promise<void> {
    const { addr } = this.#socket;
    if (addr.transport !== "udp") throw new TypeError("not a UDP socket");
    const hostname = addr.hostname.replace(/^0\.0\.0\.0$/, "127.0.0.1").replace(/^::$/, "::1");
    const marker = word(this.random);
    await this.#socket.send(new TextEncoder().encode(marker), { ...addr, hostname });
    await this.receives(marker, "check again: the checker could not reach itself");
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

const enters = ["an echo to the sender"];
const relays = [...enters, "a relay to everyone"];
const named = [...relays, "names"];

/** A line that contains this text. */
const has = (text: string) => (line: string) => line.includes(text);

const suite: Suite = {
  role: "server",
  about: "a UDP chat server",
  over: "udp",
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. It needs nothing else.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits: "a datagram is a line of UTF-8, with a line end or without; up to 5 clients; names have up to 12 letters",
  sheet: "udp/README.md#the-protocol",
  checks: [
    {
      name: "an echo to the sender",
      why: "A plain datagram is a message for every client, and its sender gets it, too.",
      points: 2,
      byHand: "nc -u {host} {port}    (then type a line)",
      async run(server) {
        await using anna = await User.enter(server);
        const text = word(anna.random);
        await anna.send(text);
        const hint = "send each message to every client, including its sender, as NAME: TEXT";
        await anna.receives(`…: ${text}`, hint, has(`: ${text}`));
      },
    },
    {
      name: "a relay to everyone",
      why: "The server relays each message to every client that has sent a datagram.",
      points: 2,
      needs: enters,
      byHand: "nc -u {host} {port}    (in two terminals: type a line in each, then one more in the first)",
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        await using carl = await User.enter(server);
        const text = word(anna.random);
        await bob.send(text);
        const hint = "store the addresses of all senders, and send each message to all of them";
        for (const each of [anna, carl]) await each.receives(`…: ${text}`, hint, has(`: ${text}`));
        await settled(bob);
        const again = carl.lines.filter(has(text));
        if (again.length > 1) fail("the message once", `it ${again.length} times`, "store each address once");
      },
    },
    {
      name: "names",
      why: "After /name NICK, the messages of a client begin with its name; it is told so.",
      points: 1,
      needs: relays,
      async run(server) {
        const random = randomOf(server);
        const [name, text] = [word(random), word(random)];
        await using anna = await User.enter(server, name);
        await anna.receives(`* you are ${name}`, `answer /name ${name} with "* you are ${name}"`);
        await using bob = await User.enter(server);
        await anna.send(text);
        await bob.receives(`${name}: ${text}`, 'relay "NAME: TEXT"');
      },
    },
    {
      name: "a new name",
      why: "When a client takes a name, the others are told, so that they know who speaks.",
      points: 1,
      needs: named,
      async run(server) {
        const random = randomOf(server);
        const [one, two] = [word(random), word(random)];
        await using bob = await User.enter(server);
        await using anna = await User.enter(server, one);
        await bob.receives(`* … is now ${one}`, `send the others "* OLD is now ${one}"`, has(`is now ${one}`));
        await anna.send(`/name ${two}`);
        await bob.receives(`* ${one} is now ${two}`, `send the others "* ${one} is now ${two}"`);
      },
    },
    {
      name: "a name that is taken",
      why: "Nobody could tell two clients with the same name apart, even if the case of the letters differs.",
      points: 1,
      level: "robust",
      needs: named,
      async run(server) {
        const random = randomOf(server);
        const [name, text] = [word(random), word(random)];
        await using _anna = await User.enter(server, name);
        await using bob = await User.enter(server);
        await using carl = await User.enter(server);
        await bob.send(`/name ${name.toUpperCase()}`);
        const hint = "compare names without case, and answer with a line that contains the word taken";
        await bob.receives("* the name … is taken", hint, (line) => /taken/i.test(line));
        await bob.send(text);
        const line = await carl.receives(
          `…: ${text}`,
          "relay the message of a client without a name under its address",
          has(text),
        );
        if (line.toLowerCase().startsWith(`${name.toLowerCase()}:`)) fail("another name", line, "refuse the name");
      },
    },
    {
      name: "no forged line",
      why: "After a line end inside a message, the rest would look like the message of another user.",
      points: 1,
      level: "robust",
      needs: relays,
      byHand: "printf 'hello\\nadmin: you all lost' | nc -u -w1 {host} {port}",
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        const text = word(anna.random);
        await bob.send(`${text}\nadmin: you all lost`);
        const line = await anna.receives(`…: ${text}…`, "relay the message, in one datagram", has(text));
        if (/[\r\n]/.test(line)) fail("one line", `"${printable(line)}"`, "escape or remove line ends in a message");
      },
    },
    {
      name: "no terminal controls",
      why: "An escape sequence in a message could clear or recolour the terminal of every user.",
      points: 1,
      level: "robust",
      needs: relays,
      byHand: "printf '\\033[2Jhello' | nc -u -w1 {host} {port}",
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        const text = word(anna.random);
        await bob.send(`\x1b[2J\x9b31m${text}\x07`);
        const line = await anna.receives(`…${text}…`, "relay the message", has(text));
        // deno-lint-ignore no-control-regex -- the check looks for these
        if (/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/.test(line)) {
          fail("no control characters", `"${printable(line)}"`, "escape or remove control characters in a message");
        }
      },
    },
    {
      name: "/who",
      why: "A client can ask for the names of all users.",
      points: 1,
      needs: named,
      async run(server) {
        const random = randomOf(server);
        const [one, two] = [word(random), word(random)];
        await using anna = await User.enter(server, one);
        await using _bob = await User.enter(server, two);
        await anna.send("/who");
        const hint = "answer /who with * here: and all names, in one datagram";
        await anna.receives(
          `* here: ${one}, ${two}`,
          hint,
          (line) => line.includes("here") && line.includes(one) && line.includes(two),
        );
      },
    },
    {
      name: "/quit",
      why: "When a client leaves, the server says goodbye, tells the others and sends it nothing more.",
      points: 1,
      needs: named,
      async run(server) {
        const random = randomOf(server);
        const [name, text] = [word(random), word(random)];
        await using bob = await User.enter(server);
        await using carl = await User.enter(server);
        const anna = await User.enter(server, name);
        try {
          await anna.send("/quit");
          await anna.receives("* bye", 'answer /quit with "* bye"');
          await bob.receives(`* ${name} left`, 'tell the others "* NAME left"');
          await bob.send(text);
          await carl.receives(`…: ${text}`, "keep relaying for the others", has(text));
          await settled(carl); // the server would have sent bob's message to anna before it relays carl's
          await anna.catchUp();
          const unwanted = anna.lines.find(has(text));
          if (unwanted) fail("nothing for a client that has left", `"${printable(unwanted)}"`, "delete its address");
        } finally {
          anna.close();
        }
      },
    },
    {
      name: "/say",
      why:
        "UDP loses datagrams: /say ID TEXT can be sent again, is relayed once, and each time echoed as #ID NAME: TEXT.",
      points: 2,
      level: "robust",
      needs: named,
      async run(server) {
        const random = randomOf(server);
        const [name, text, id] = [word(random), word(random), random.integer(1, 9)];
        await using bob = await User.enter(server);
        await using anna = await User.enter(server, name);
        const echo = `#${id} ${name}: ${text}`;
        for (let times = 1; times <= 2; times++) {
          await anna.send(`/say ${id} ${text}`);
          await anna.receives(
            times === 1 ? echo : `${echo}" a second time, "${echo}`,
            'answer "/say ID TEXT" with "#ID NAME: TEXT", each time',
            () => anna.lines.filter((line) => line === echo).length >= times,
          );
        }
        await bob.receives(`${name}: ${text}`, "relay the text of /say to the others as NAME: TEXT");
        await settled(bob);
        const copies = bob.lines.filter(has(text));
        if (copies.length > 1) {
          fail(
            "the message once",
            `it ${copies.length} times`,
            "remember the last ID of each client, and relay it once",
          );
        }
      },
    },
    {
      name: "any datagram",
      why: "Anyone can send any datagram: none may end the server.",
      points: 2,
      level: "robust",
      needs: relays,
      byHand: "printf '\\377\\376' | nc -u -w1 {host} {port}",
      async run(server) {
        await using anna = await User.enter(server);
        await using bob = await User.enter(server);
        const stranger = new User(server);
        for (const size of [0, 1, 1400, 9000, longestDatagram]) await stranger.send(new Uint8Array(size).fill(0xff));
        for (const text of ["/", "/name", "/name \0", "/say", "/say 99999999999 x", "/say -1 x", "/nonsense"]) {
          await stranger.send(text);
        }
        stranger.close();
        const text = word(anna.random);
        await anna.send(text);
        await bob.receives(`…: ${text}`, "catch decoding errors, and accept datagrams of any size", has(text));
      },
    },
  ],
};

/** Waits until the server has done what came before: its own text comes back behind all that. */
async function settled(user: User): Promise<void> {
  const text = word(user.random); // an answer to an earlier /who would say nothing
  await user.send(text);
  await user.receives(`…: ${text}`, "send each message to every client, including its sender", has(`: ${text}`));
}

export default suite;
