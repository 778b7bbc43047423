/**
 * A UDP chat client: what you type is sent to everyone, and what the others type appears above your line.
 *
 * Look at `ask`: UDP can lose a request or its reply without notice. So `ask` sends the request again until a reply
 * arrives, and doubles the wait each time. Each message has a sequence number, by which the server recognises a message
 * that arrives again: so it relays each message exactly once.
 *
 * First terminal: `deno run -N=127.0.0.1 --unstable-net udp/chat_server.ts`. This one:
 * `deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts --name anna`. Server and one message: `deno task udp:chat`.
 * RFC 8085 §3.1 (when to send again), §3.5 (keepalives). API: Deno.listenDatagram.
 *
 * @module
 */
import { clientOptions, Failure, flag, formatAddress, onStop, printable, run, seconds, text, within } from "../cli.ts";
import { codeOf, explain } from "../tcp/_socket_errors.ts";
import { answers, formatReply, formatRequest, nameError, parseReply } from "./_chat_message.ts";
import type { Reply, Request } from "./_chat_message.ts";
import { canonical, localAddress } from "./_local_address.ts";
import { traced } from "./_trace.ts";

/** Sends a request until its reply arrives. @throws {Failure} when no reply arrives in `limit` seconds (0: no limit). */
async function ask(session: Session, request: Request, limit: number): Promise<Reply> {
  const { socket, server, pending, received } = session;
  const datagram = new TextEncoder().encode(formatRequest(request));
  const reply = new Promise<Reply>((resolve) => pending.set(request, resolve));
  try {
    let left = limit || Infinity;
    for (let wait = 0.5; left > 0; left -= wait, wait *= 2) {
      await socket.send(datagram, server).catch(ignoreReset);
      const arrived = await within(Math.min(wait, left), reply, () => undefined);
      if (arrived) return arrived;
    }
  } finally {
    pending.delete(request);
  }
  const none = `no answer from ${formatAddress(server)} in ${limit} s`;
  if (session.received > received) {
    throw new Failure(`${none}, only datagrams of other kinds: is it a chat server? (--plain talks to any)`);
  }
  throw new Failure(`${none}: is the server running? (UDP does not report a missing one)`);
}

/** Receives datagrams: gives each reply to the request that waits for it, and shows the messages of others. */
async function receive(session: Session): Promise<never> {
  const { socket, server, pending } = session;
  const buffer = new Uint8Array(65_535);
  // Anyone can send to this port. If the server was given as an address, only that one counts; if it was given as a name,
  // the source of the first reply.
  let source = canonical(server.hostname);
  while (true) {
    const [datagram, from] = await socket.receive(buffer).catch(ignoreReset) ?? [];
    if (!datagram || from?.transport !== "udp" || from.port !== server.port) continue;
    source ??= canonical(from.hostname);
    if (canonical(from.hostname) !== source) continue;
    session.received++;
    session.answered.resolve();
    if (session.isPlain) {
      session.show(printable(datagram));
      continue;
    }
    const reply = parseReply(datagram);
    const [, resolve] = [...pending].find(([request]) => answers(reply, request)) ?? [];
    if (resolve) resolve(reply);
    // An echo or a welcome that nobody waits for is the second reply to a request that was sent twice.
    else if (reply.kind !== "echo" && reply.kind !== "welcome") session.show(formatReply(reply));
  }
}

/** On Windows `send` and `receive` report that an earlier datagram was refused. That one is lost; the next may arrive. */
function ignoreReset(error: unknown): undefined {
  if (codeOf(error) !== "ECONNRESET") throw error;
}

/** Sends a message and shows its echo. Returns why the server refused it, if it did. */
async function say(session: Session, message: string): Promise<string | undefined> {
  const request: Request = { kind: "message", text: message, id: ++session.sequence };
  const reply = await ask(session, request, session.timeout);
  if (reply.kind === "refused") return reply.text;
  if (reply.kind === "echo") session.show(formatReply({ ...reply, kind: "message" }));
}

/**
 * Talks to a server that knows nothing of this chat: each text is a datagram as it is, what comes is shown, and nothing is
 * sent again. @throws {Failure} when nothing comes back in time
 */
async function talk(session: Session, message: string): Promise<void> {
  const { socket, server, timeout, answered } = session;
  const send = (text: string) => socket.send(new TextEncoder().encode(text), server).catch(ignoreReset);
  if (message) await send(message);
  else {
    const { createInterface } = await import("node:readline");
    for await (const line of createInterface({ input: (await import("node:process")).stdin })) await send(line);
  }
  await within(
    timeout,
    answered.promise,
    `no answer from ${formatAddress(server)} in ${timeout} s: a datagram was lost, or no server is there`,
  );
  if (!message) await new Promise((over) => setTimeout(over, 500)); // more answers may be on the way
}

/** Joins the chat under the session's name. With the same name again it tells the server that this client is still here. */
async function join(session: Session, limit: number): Promise<void> {
  const { name } = session;
  const reply = await ask(session, name ? { kind: "name", name } : { kind: "who" }, limit);
  if (reply.kind === "refused") throw new Failure(reply.text);
}

/** Leaves the chat. If no reply arrives, the server removes this client after its idle time. */
async function leave(session: Session): Promise<void> {
  await ask(session, { kind: "quit" }, 1).catch(() => {});
}

interface Session {
  readonly socket: Deno.DatagramConn;
  readonly server: Deno.NetAddr;
  readonly timeout: number;
  /** The requests that have no reply yet, and what takes it. */
  readonly pending: Map<Request, (reply: Reply) => void>;
  name: string;
  /** Whether the server speaks no protocol of this chat (--plain). */
  readonly isPlain: boolean;
  /** Settles when the first datagram of the server has arrived. */
  readonly answered: PromiseWithResolvers<void>;
  /** How many datagrams of the server have arrived. */
  received: number;
  /** The number of the last message. */
  sequence: number;
  show: (line: string) => void;
}

const command = {
  name: "chat_client",
  about: "Chats over UDP. Without --message it sends each line of stdin.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts",
  examples: [
    "deno task chat-client --name anna",
    "deno task chat-client --name ben --message Hello --trace",
    "deno task chat-client --plain --port 12000 --message hello",
  ],
  options: {
    ...clientOptions(9999),
    "name": {
      ...text("", "your nickname; without one you are known by your address", "NICK"),
      parse(raw: string) {
        if (nameError(raw, 64)) throw new RangeError("a letter, then letters, digits, - _ or .");
        return raw;
      },
    },
    "message": text("", "send this one message, wait for its echo, and leave"),
    "plain": flag("send each text as it is, to any UDP server, and show what comes"),
    "keepalive": seconds(60, "tell the server this often that you are still here; 0: never"),
  },
};

await run(command, async (flags) => {
  const { host, port, timeout } = flags;
  const session: Session = {
    socket: traced(openSocket(localAddress(host)), flags),
    server: { transport: "udp", hostname: host, port },
    ...{ timeout, pending: new Map(), name: flags.name, received: 0, sequence: 0 },
    ...{ isPlain: flags.plain, answered: Promise.withResolvers<void>() },
    show: (line) => console.log(line),
  };
  await Promise.race([flags.plain ? talk(session, flags.message) : chat(session, flags), receive(session)]);
});

/** Joins, sends one message or what is typed, and leaves. */
async function chat(session: Session, flags: { message: string; wait: number; keepalive: number }): Promise<void> {
  const { timeout } = session;
  await join(session, timeout && Math.max(flags.wait, timeout));
  onStop(() => leave(session).then(() => Deno.exit()));
  const stillHere = () => join(session, timeout).catch((error) => session.show(`(${error.message})`));
  if (flags.keepalive > 0) setInterval(stillHere, flags.keepalive * 1000);
  const refusal = flags.message ? await say(session, flags.message) : await converse(session);
  await leave(session);
  if (refusal) throw new Failure(`the server refused the message: ${refusal}`);
}

/** Opens the socket to send from. When it fails, its own address is to blame, not the server's. */
function openSocket(hostname: string): Deno.DatagramConn {
  try {
    return Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  } catch (error) {
    throw explain(error, { hostname, port: 0 });
  }
}

/** Sends each line of stdin. Returns why the server refused a message, unless there is a person who has read it. */
async function converse(session: Session): Promise<string | undefined> {
  const [readline, { default: process }] = [await import("node:readline"), await import("node:process")];
  const isTerminal = Deno.stdin.isTerminal();
  const askAndShow = async (request: Request) => {
    const reply = await ask(session, request, session.timeout);
    session.show(formatReply(reply));
    return reply;
  };
  await askAndShow({ kind: "who" }); // before `createInterface`, which drops lines that arrive while no loop reads them
  const input = readline.createInterface({ input: process.stdin, output: isTerminal ? process.stdout : undefined });
  if (isTerminal) {
    // What arrives while a line is being typed goes above it: the line is erased and written again below.
    session.show = (line) => {
      readline.moveCursor(process.stdout, 0, -input.getCursorPos().rows);
      readline.cursorTo(process.stdout, 0);
      readline.clearScreenDown(process.stdout);
      console.log(line);
      input.prompt(true);
    };
    input.prompt();
  }
  let refusal: string | undefined;
  for await (const line of input) {
    if (line === "/quit") break;
    if (line === "/who") await askAndShow({ kind: "who" });
    else if (line.startsWith("/name ")) {
      const name = line.slice(6);
      // Kept to be repeated: the name that was typed, for the reply may say any other.
      if ((await askAndShow({ kind: "name", name })).kind === "welcome") session.name = name;
    } else if (line.startsWith("/")) session.show("(the commands are /name NICK, /who and /quit)");
    else if (line !== "") {
      const refused = await say(session, line);
      if (refused) session.show(`* ${refused}`);
      refusal = refused ?? refusal;
    }
    if (isTerminal) input.prompt();
  }
  return isTerminal ? undefined : refusal;
}
