/**
 * A UDP chat client: what you type goes to everyone, what others type appears above your line.
 *
 * Look at `ask`: UDP may lose a datagram, or the answer to it, and nobody tells. So whatever wants an answer is sent again
 * until one comes, each time after twice the wait, and it carries a sequence number by which the server knows a message
 * it has relayed already: sent at least once, plus thrown away when seen, makes exactly once.
 *
 * ```sh
 * deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts --name anna
 * deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts --message "anyone here?"
 * ```
 *
 * Start `deno run -N=127.0.0.1 --unstable-net udp/chat_server.ts` in another terminal first. A server and one message at
 * once: `deno task udp:chat`. `/who` lists who is here, `/name` changes your name, `/quit` or Ctrl-C leaves.
 *
 * RFC 8085 §3.1 (when to send again), §3.5 (keeping a path open). API: Deno.listenDatagram.
 *
 * @module
 */
import { bind, clientOptions, explain, Failure, onStop, place, run, seconds, text, within } from "../cli.ts";
import { localAddress } from "./local_address.ts";
import { badName, textOf } from "./message.ts";
import { traced } from "./trace.ts";

const command = {
  name: "chat_client",
  about: "Chats over UDP. Without --message it sends each line of stdin.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts",
  options: {
    ...clientOptions(9999),
    "name": {
      ...text("", "your nickname; without one you are known by your address", "NICK"),
      parse(raw: string) {
        if (badName(raw, 64)) throw new RangeError("a letter, then letters, digits, - _ or .");
        return raw;
      },
    },
    "message": text("", "send this one message, wait for its echo, and leave"),
    "keepalive": seconds(60, "tell the server this often that you are still here"),
  },
};

await run(command, async (flags) => {
  const server: Deno.NetAddr = { transport: "udp", hostname: flags.host, port: flags.port };
  const hostname = localAddress(flags.host);
  const opened = bind({ hostname, port: 0 }, (addr) => Deno.listenDatagram({ ...addr, transport: "udp" }));
  const socket = flags.trace ? traced(opened, flags.trace) : opened;
  const encoder = new TextEncoder();

  /** The answers that are waited for: by what they look like, and what to do with one. */
  const awaited = new Map<RegExp, (line: string) => void>();
  let show = (line: string) => console.log(line);

  const hearing = (async () => {
    let peer: string | undefined;
    while (true) {
      const [datagram, from] = await socket.receive();
      // Anyone can send to this port. The server's address is known when it was given as one; else the first answer
      // tells it, and from then on only what comes from there counts.
      if (from.transport !== "udp" || from.port !== server.port) continue;
      peer ??= /^[\d.]+$|:/.test(flags.host) ? flags.host : from.hostname;
      if (from.hostname !== peer) continue;
      const line = textOf(datagram);
      const waiting = [...awaited].find(([looks]) => looks.test(line));
      if (waiting) waiting[1](line);
      else if (!/^#\d+ |^\* you are /.test(line)) show(line); // those are second answers to what was sent twice
    }
  })();

  /** Sends `line` until a datagram comes that `looks` like its answer. @throws {Failure} when none does in time. */
  async function ask(line: string, looks: RegExp, limit = flags.timeout): Promise<string> {
    const answer = Promise.withResolvers<string>();
    awaited.set(looks, answer.resolve);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const sendAgain = (wait: number) => {
      socket.send(encoder.encode(line), server).catch(answer.reject);
      timer = setTimeout(() => sendAgain(wait * 2), wait);
    };
    sendAgain(500);
    try {
      const none = `no answer from ${place(server)} in ${limit} s: is the server running? (UDP does not tell)`;
      return await Promise.race([within(limit, answer.promise, none), hearing]);
    } catch (error) {
      throw explain(error, server);
    } finally {
      clearTimeout(timer);
      awaited.delete(looks);
    }
  }

  let sequence = 0;
  async function say(message: string): Promise<void> {
    const id = ++sequence;
    const echo = await ask(`/say ${id} ${message}`, new RegExp(`^#${id} |^\\* too long`));
    show(echo.replace(/^#\d+ /, ""));
  }

  let { name } = flags;
  async function enter(limit?: number): Promise<void> {
    const answer = name
      ? await ask(`/name ${name}`, /^\* (you are|the name|a name|the chat is full)/, limit)
      : await ask("/who", /^\* (here:|the chat is full)/, limit);
    if (!/^\* (you are|here:)/.test(answer)) throw new Failure(answer.replace("* ", ""));
  }
  // A server that does not answer the leave will forget this client by itself.
  const leave = () => ask("/quit", /^\* bye$/, 1).catch(() => {});

  await enter(Math.max(flags.wait, flags.timeout));
  onStop(() => leave().then(() => Deno.exit(0)));
  const here = setInterval(() => enter().catch((error) => show(`(${error.message})`)), flags.keepalive * 1000);

  if (flags.message) await say(flags.message);
  else await converse();
  clearInterval(here);
  await leave();

  async function converse(): Promise<void> {
    const [readline, { default: process }] = [await import("node:readline"), await import("node:process")];
    const terminal = Deno.stdin.isTerminal();
    show(await ask("/who", /^\* here:/)); // before there is an interface: it loses the lines nobody waits for
    const input = readline.createInterface({ input: process.stdin, output: terminal ? process.stdout : undefined });
    if (terminal) {
      // What arrives while a line is being typed goes above it: the line is taken off the screen and put back below.
      show = (line) => {
        readline.moveCursor(process.stdout, 0, -input.getCursorPos().rows);
        readline.cursorTo(process.stdout, 0);
        readline.clearScreenDown(process.stdout);
        console.log(line);
        input.prompt(true);
      };
      input.prompt();
    }
    for await (const line of input) {
      if (line === "/quit") break;
      else if (line === "/who") show(await ask(line, /^\* here:/));
      else if (line.startsWith("/name ")) {
        show(await ask(line, /^\* (you are|the name|a name)/));
        name = line.slice(6);
      } else if (line.startsWith("/")) show("(/name NICK, /who and /quit are known)");
      else if (line !== "") await say(line);
      if (terminal) input.prompt();
    }
  }
});
