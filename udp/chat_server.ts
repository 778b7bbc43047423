/**
 * A UDP chat server that sends each message to every client, its sender too.
 *
 * Look at what is missing: no accept, no connection, no close. A client is the source address of a datagram. The server
 * removes a client that is silent for `--idle` seconds, because a crashed client looks the same as an idle one. It never
 * resends: a client that needs a confirmation asks for one, as `chat_client.ts` does.
 *
 * This terminal: `deno run -N=127.0.0.1 --unstable-net udp/chat_server.ts`. Two others, each with its own name:
 * `deno run -N=127.0.0.1 --unstable-net udp/chat_client.ts --name anna`. Server and one message: `deno task udp:chat`.
 * RFC 768 (UDP), RFC 8085 (how to use it). API: Deno.listenDatagram.
 *
 * @module
 */
import { bind, flag, formatAddress, integer, onStop, run, seconds, serverOptions } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { type Datagrams, openBatched } from "./_batched_socket.ts";
import { formatReply, nameError, parseRequest, refusals, type Reply } from "./_chat_message.ts";
import { type Member, Room } from "./_room.ts";
import { traced } from "./_trace.ts";

/** Answers one datagram: its sender, and the other members where it concerns them. */
async function answer(chat: Chat, datagram: Uint8Array, from: Deno.NetAddr): Promise<void> {
  const { room, flags } = chat;
  const request = parseRequest(datagram, flags.size);
  let member = room.find(from);
  if (!member) {
    // The client has left already. Our reply was lost, and it sends /quit again.
    if (request.kind === "quit") return await send(chat, { kind: "bye" }, from);
    member = room.join(from);
    if (!member) return await send(chat, refusals.full(room.capacity), from);
    await notify(chat, `${member.name} joined`, member);
  }
  member.lastSeen = Date.now();
  switch (request.kind) {
    case "message":
      return await relay(chat, member, request.text, request.id);
    case "name":
      return await rename(chat, member, request.name);
    case "who":
    case "hello":
      // Cut to about one datagram: a short request must not cause a long response (amplification).
      return await send(chat, { kind: "members", ...room.names(flags.size) }, from);
    case "quit":
      await send(chat, { kind: "bye" }, from);
      return await leave(chat, member, "left");
    case "too long":
      return await send(chat, refusals.tooLong(flags.size), from);
    case "unknown": {
      const text = `unknown command ${request.command}: /name NICK, /who and /quit are known`;
      return await send(chat, { kind: "notice", text }, from);
    }
  }
}

/** Sends a message to every member; one with an `id` only once. Its sender gets the `id` back, however often it arrives. */
async function relay(chat: Chat, sender: Member, text: string, id?: number): Promise<void> {
  const { name, place } = sender;
  const isDuplicate = id !== undefined && id <= sender.lastSequence; // resent, because its echo was lost
  if (!isDuplicate && !chat.flags.quiet) {
    console.log(name === place ? `${name}: ${text}` : `${name} (${place}): ${text}`);
  }
  if (id === undefined) return await broadcast(chat, { kind: "message", name, text });
  sender.lastSequence = Math.max(sender.lastSequence, id);
  await send(chat, { kind: "echo", id, name, text }, sender.addr);
  if (!isDuplicate) await broadcast(chat, { kind: "message", name, text }, sender);
}

/** Gives a member a name, unless another member has it. */
async function rename(chat: Chat, member: Member, name: string): Promise<void> {
  const taken = chat.room.isTaken(name, member) ? `the name ${name} is taken` : undefined;
  const problem = nameError(name, chat.flags["name-length"]) ?? taken;
  if (problem) return await send(chat, refusals.name(problem), member.addr);
  const before = member.name;
  member.name = name;
  member.lastSequence = 0; // a restarted client counts from 1 again
  await send(chat, { kind: "welcome", name }, member.addr);
  if (name !== before) await notify(chat, `${before} is now ${name}`, member);
}

/** Removes a member and tells the others. */
async function leave(chat: Chat, member: Member, why: string): Promise<void> {
  if (!chat.room.leave(member)) return;
  await notify(chat, `${member.name} ${why}`);
  chat.onLeave();
}

interface Chat {
  readonly socket: Datagrams;
  readonly room: Room;
  readonly flags: { size: number; idle: number; "name-length": number; quiet: boolean };
  readonly onLeave: () => void;
}

const encoder = new TextEncoder();

const { timeout: _, ...options } = serverOptions(9999, "");
const command = {
  name: "chat_server",
  about: "Relays each chat message that arrives over UDP to every client, the sender too.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/chat_server.ts",
  examples: [
    "deno task chat-server",
    "deno task chat-server --idle 30 --quiet",
    "deno task chat-server --port 0 --trace",
  ],
  options: {
    ...options,
    "idle": seconds(300, "remove a client that is silent for this long; 0: never"),
    "max-clients": integer(256, "clients at the same time; more are refused", 1, 100_000),
    "size": integer(1024, "the longest datagram, in bytes; a longer one is refused", 64, 8192),
    "name-length": integer(20, "the longest nickname", 1, 64),
    "quiet": flag("do not print the messages"),
    "fast": flag("receive and send many datagrams at a time, by Linux' own system calls; needs --allow-ffi"),
  },
};

await run(command, async (flags) => {
  const stopped = Promise.withResolvers<void>();
  const listen = (addr: { hostname: string; port: number }) => Deno.listenDatagram({ ...addr, transport: "udp" });
  const socket = flags.fast
    ? await bind(flags, (addr) => openBatched(addr, flags))
    : traced(bind(flags, listen), flags, "server");
  onStop(stopped.resolve);
  const onLeave = () => flags.once && stopped.resolve();
  const chat: Chat = { socket, room: new Room(flags["max-clients"]), flags, onLeave };
  if (socket.addr.transport === "udp") announce("Chat server", socket.addr);

  const idleTimer = flags.idle > 0
    ? setInterval(() => removeSilent(chat), Math.min(flags.idle * 250, 5000))
    : undefined;
  await Promise.race([stopped.promise, serve(chat)]);
  clearInterval(idleTimer);
  await notify(chat, "the server is stopping");
  socket.close(); // with --fast, it sends what is still to be sent
});

/** Receives datagrams, one after another, and answers each. */
async function serve(chat: Chat): Promise<void> {
  const buffer = new Uint8Array(65_535); // room for any datagram: Windows fails with an error when one does not fit
  while (true) {
    try {
      const [datagram, from] = await chat.socket.receive(buffer);
      if (from.transport === "udp" && !isOwnPort(chat.socket, from)) await answer(chat, datagram, from);
    } catch (error) {
      // On Windows `receive` reports that an earlier datagram was refused (ICMP port unreachable): go on.
      if (codeOf(error) !== "ECONNRESET") throw error;
    }
  }
}

/** A datagram with this server's own address as its forged source would be answered, and its answer answered, for ever. */
function isOwnPort({ addr }: Datagrams, from: Deno.NetAddr): boolean {
  return addr.transport === "udp" && addr.port === from.port;
}

async function removeSilent(chat: Chat): Promise<void> {
  const { idle } = chat.flags;
  const since = Date.now() - idle * 1000;
  for (const member of chat.room.members()) {
    if (member.lastSeen > since) continue;
    await send(chat, { kind: "notice", text: `silent for ${idle} s: you have left the chat` }, member.addr);
    await leave(chat, member, `was silent for ${idle} s and has left`);
  }
}

async function send(chat: Chat, reply: Reply, to: Deno.NetAddr): Promise<void> {
  await chat.socket.send(encoder.encode(formatReply(reply)), to).catch((error) => logSendError(error, to));
}

async function broadcast(chat: Chat, reply: Reply, except?: Member): Promise<void> {
  const datagram = encoder.encode(formatReply(reply));
  for (const member of chat.room.members()) {
    if (member === except) continue;
    try {
      await chat.socket.send(datagram, member.addr);
    } catch (error) {
      logSendError(error, member.addr); // and go on: the other members must still get their datagram
    }
  }
}

/** Prints a notice and sends it to the members. */
async function notify(chat: Chat, text: string, except?: Member): Promise<void> {
  console.log(`* ${text}`);
  await broadcast(chat, { kind: "notice", text }, except);
}

function logSendError(error: unknown, to: Deno.NetAddr): void {
  console.error(`to ${formatAddress(to)}: ${error instanceof Error ? error.message : error}`);
}
