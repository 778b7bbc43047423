/**
 * A UDP chat server: every message goes to every client, its sender too.
 *
 * Look at what is not here: no accept, no connection, no end of a connection. A client is an address from which a datagram
 * has come; whoever has said nothing for `--idle` seconds is forgotten, because a client that crashed looks just the
 * same as one that is thinking. Nothing is resent either: who wants to be sure that a message arrived must ask, as
 * `chat_client.ts` does.
 *
 * ```sh
 * deno run -N=127.0.0.1 --unstable-net udp/chat_server.ts
 * ```
 *
 * Then, in two more terminals: `deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts --name anna`, and another name in
 * the second; or `nc -u 127.0.0.1 9999`. Server and one message at once: `deno task udp:chat`.
 *
 * RFC 768 (UDP), RFC 8085 (how to use it). API: Deno.listenDatagram.
 *
 * @module
 */
import { announce, bind, onStop, place, run, seconds, serverOptions, toggle, whole } from "../cli.ts";
import { badName, parseRequest, type Request } from "./message.ts";
import { traced } from "./trace.ts";

const { timeout: _, ...options } = serverOptions(9999, "");
const command = {
  name: "chat_server",
  about: "Relays each chat message that comes over UDP to every client, the sender too.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/chat_server.ts",
  options: {
    ...options,
    "idle": seconds(300, "forget a client that is silent for this long"),
    "max-clients": whole(256, "clients at one time; more are told that it is full", 1, 100_000),
    "size": whole(1024, "the longest datagram, in bytes; a longer one is refused", 64, 8192),
    "name-length": whole(20, "the longest nickname", 1, 64),
    "quiet": toggle("do not print the messages"),
  },
};

/** What the server remembers of a client: all of it is bounded, because anyone can make the server remember them. */
interface Member {
  readonly addr: Deno.NetAddr;
  readonly place: string;
  name: string;
  seen: number;
  /** The highest sequence number relayed: a message that comes again was resent, because its echo got lost. */
  id: number;
}

await run(command, async (flags) => {
  const opened = bind(
    { hostname: flags.host, port: flags.port },
    (addr) => Deno.listenDatagram({ ...addr, transport: "udp" }),
  );
  const socket = flags.trace ? traced(opened, flags.trace) : opened;

  const encoder = new TextEncoder();
  const members = new Map<string, Member>();
  const over = Promise.withResolvers<void>();

  /** A datagram that cannot be sent is a datagram lost, which UDP allows at any time; the rest still get theirs. */
  const lost = (error: unknown, to: Deno.NetAddr) =>
    console.error(`to ${place(to)}: ${error instanceof Error ? error.message : error}`);

  async function send(line: string, to: Deno.NetAddr): Promise<void> {
    await socket.send(encoder.encode(line), to).catch((error) => lost(error, to));
  }

  async function relay(line: string, except?: Member): Promise<void> {
    const datagram = encoder.encode(line);
    for (const member of members.values()) {
      if (member === except) continue;
      try {
        await socket.send(datagram, member.addr);
      } catch (error) {
        lost(error, member.addr);
      }
    }
  }

  async function notice(text: string, except?: Member): Promise<void> {
    console.log(`* ${text}`);
    await relay(`* ${text}`, except);
  }

  async function leave(member: Member, why: string): Promise<void> {
    members.delete(member.place);
    await notice(`${member.name} ${why}`);
    if (flags.once) over.resolve();
  }

  async function rename(member: Member, name: string): Promise<void> {
    const same = name.toLowerCase();
    const taken = [...members.values()].some((other) => other !== member && other.name.toLowerCase() === same);
    const wrong = badName(name, flags["name-length"]) ?? (taken ? `the name ${name} is taken` : undefined);
    if (wrong) return await send(`* ${wrong}`, member.addr);
    const before = member.name;
    member.name = name;
    member.id = 0; // a client that starts anew counts anew
    await send(`* you are ${name}`, member.addr);
    if (name !== before) await notice(`${before} is now ${name}`, member);
  }

  /** The names of those here, cut to about one datagram's size: a short question must not buy a long answer. */
  function who(): string {
    const names: string[] = [];
    let length = 0;
    for (const { name } of members.values()) {
      if ((length += name.length + 2) > flags.size) break;
      names.push(name);
    }
    const more = members.size - names.length;
    return `* here: ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  }

  /** Someone who is not here yet: remembered from this datagram on, if there is room. */
  async function enter(addr: Deno.NetAddr, request: Request): Promise<Member | undefined> {
    const from = place(addr);
    if (request.kind === "quit") await send("* bye", addr); // it has left, but the answer was lost and it asks again
    else if (members.size >= flags["max-clients"]) {
      await send(`* the chat is full (${flags["max-clients"]} clients): try again later`, addr);
    } else {
      const member = { addr, place: from, name: from, seen: 0, id: 0 };
      members.set(from, member);
      await notice(`${from} joined`, member);
      return member;
    }
  }

  function answer(member: Member, request: Request): Promise<void> {
    switch (request.kind) {
      case "message":
        return message(member, request.text, request.id);
      case "name":
        return rename(member, request.name);
      case "who":
      case "hello":
        return send(who(), member.addr);
      case "quit":
        return send("* bye", member.addr).then(() => leave(member, "left"));
      case "unknown":
        return send(`* unknown command ${request.command}: /name NICK, /who and /quit are known`, member.addr);
    }
  }

  function message(member: Member, text: string, id?: number): Promise<void> {
    const line = `${member.name}: ${text}`;
    const again = id !== undefined && id <= member.id;
    if (!again && !flags.quiet) {
      console.log(member.name === member.place ? line : `${member.name} (${member.place}): ${text}`);
    }
    if (id === undefined) return relay(line);
    member.id = Math.max(member.id, id);
    const echo = send(`#${id} ${line}`, member.addr);
    return again ? echo : echo.then(() => relay(line, member));
  }

  const sweeper = setInterval(async () => {
    const since = Date.now() - flags.idle * 1000;
    for (const member of [...members.values()]) {
      if (member.seen > since) continue;
      await send(`* silent for ${flags.idle} s: you have left the chat`, member.addr);
      await leave(member, `was silent for ${flags.idle} s and has left`);
    }
  }, Math.min(flags.idle * 250, 5000));

  onStop(() => over.resolve()); // before anyone can know that there is something to stop
  if (socket.addr.transport === "udp") announce("Chat server", socket.addr);

  const receiving = (async () => {
    const buffer = new Uint8Array(flags.size + 1); // one more, to notice a datagram that is too long
    while (true) {
      try {
        const [datagram, addr] = await socket.receive(buffer);
        if (addr.transport !== "udp") continue;
        const request = parseRequest(datagram);
        const member = members.get(place(addr)) ?? await enter(addr, request);
        if (!member) continue;
        member.seen = Date.now();
        if (datagram.length > flags.size) await send(`* too long: at most ${flags.size} bytes`, addr);
        else await answer(member, request);
      } catch (error) {
        // Windows reports here that an earlier datagram was refused (ICMP port unreachable): that is not our end.
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      }
    }
  })();

  await Promise.race([over.promise, receiving]);
  clearInterval(sweeper);
  await notice("the server is stopping");
});
