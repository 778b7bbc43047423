/**
 * A chat room over WebSocket: the connection of a web page that stays open, and on which both sides send when they like.
 *
 * It begins as a request of HTTP. After the response 101 the same TCP connection carries frames: each has a type, a length
 * and, from the client, a mask. `converse` is the chat; `_websocket_frame.ts` and `_websocket_handshake.ts` have the bytes.
 *
 * This terminal: `deno run -N=127.0.0.1 http/websocket_server.ts`. The other, or a browser at http://127.0.0.1:8085/:
 * `deno run -N=127.0.0.1 http/websocket_client.ts --listen 60 Hello`. Both at once: `deno task http:websocket`.
 * RFC 6455. API: Deno.listen, Deno.Conn.
 *
 * @module
 */
import { bind, count, flag, integer, list, onStop, printable, run, serverOptions, within } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { type Client, Clients, maxClients } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { certificateOf, certificateOptions, type StartTls, tlsStarter } from "../tcp/_server_certificate.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { isAllowedHost } from "./_allowed_host.ts";
import { authorityOf } from "./_authority.ts";
import { encodeResponse, Fields, headLength, MessageError, parseRequest, type RequestHead } from "./_message.ts";
import { reasonPhrase } from "./_reason_phrase.ts";
import { Answer, refusal } from "./_websocket_answer.ts";
import { describeClose, WebSocketConnection } from "./_websocket_connection.ts";
import { closeCodes, MAX_HEADER } from "./_websocket_frame.ts";
import { acceptHandshake, asksForWebSocket, HandshakeError } from "./_websocket_handshake.ts";
import { chatPage, chatPolicy, chatScript } from "./_websocket_page.ts";

/** The chat: what one member says goes to all others, until it closes. Returns how many messages it sent. */
async function converse(member: Member, room: Set<Member>, flags: Settings): Promise<number> {
  const { socket } = member;
  let messages = 0;
  for await (const message of socket.messages()) {
    messages++;
    if (flags.echo) await socket.send(message); // awaited: a client that does not read is not read either
    else if (typeof message === "string") {
      for (const other of room) if (other !== member) tell(other, message, flags);
    } else {
      await socket.refuse(closeCodes.unsupportedData, "the chat is for text");
      break;
    }
    member.client.idleTicks = 0;
  }
  return messages;
}

/** Sends to a member, and does not wait for it: one that does not read must not stop the others. */
function tell(member: Member, message: string, flags: Settings): void {
  if (member.socket.unsent > flags["max-unsent"]) return member.drop();
  member.socket.send(message).catch(() => {}); // its connection is broken, and the loop that reads from it says so
}

/** A client after its handshake. */
interface Member {
  readonly client: Client;
  readonly socket: WebSocketConnection;
  /** Closes the connection of a member that does not read. */
  readonly drop: () => void;
  /** Settles when its connection is over. */
  readonly left: PromiseWithResolvers<void>;
}

/** Serves one connection: a page of the chat, or a WebSocket. */
async function serve(client: Client, { room, flags, hostname, startTls }: Server, drop: () => void) {
  const { conn, name } = client;
  conn.setNoDelay(true);
  const stream = startTls ? await startTls(conn) : conn; // wss: is all of this under TLS
  const reader = new BufferedReader(stream, Math.max(65_536, flags["max-frame"] + 2 * MAX_HEADER), 4096);
  let line = "";
  try {
    client.idleTicks = -Infinity; // the limit is for the whole request, however slowly it comes
    const request = await within(flags.timeout, receive(reader), () => {
      throw new Answer(408, `the request was not complete after ${flags.timeout} s`);
    });
    client.idleTicks = 0;
    if (request === undefined) return console.log(`${name} closed the connection without a request`);
    line = `${request.method} ${request.target}`;
    const fields = respond(request, flags, hostname);
    await writeAll(stream, encodeResponse({ status: 101, reason: reasonPhrase(101), fields }));
  } catch (error) {
    const answer = error instanceof MessageError ? refusal(error) : error;
    if (!(answer instanceof Answer)) throw error;
    console.log(`${name} "${printable(line)}" ${answer.status} ${reasonPhrase(answer.status)}${answer.why}`);
    await writeAll(stream, answer.encode(line.startsWith("HEAD ")));
    return await drainAndClose(stream);
  }
  const limits = { ...flags, maxFrame: flags["max-frame"], maxMessage: flags["max-message"] };
  const { localAddr, remoteAddr } = conn;
  const wire = { localAddr, remoteAddr, close: () => conn.close(), write: (data: Uint8Array) => stream.write(data) };
  const socket = new WebSocketConnection(wire, reader, "server", limits, () => client.idleTicks = 0);
  const member = { client, socket, drop, left: Promise.withResolvers<void>() };
  console.log(`${name} has opened a WebSocket`);
  room.add(member);
  try {
    const messages = await converse(member, room, flags);
    console.log(`${name} sent ${count(messages, "message")}, closed ${printable(describeClose(socket.closed))}`);
    await drainAndClose(stream); // the server ends the TCP connection first (RFC 6455 §7.1.1)
  } finally {
    room.delete(member);
    member.left.resolve();
  }
}

/** Reads until the empty line that ends the head of a request. */
async function receive(reader: BufferedReader): Promise<RequestHead | undefined> {
  while (await reader.fill()) {
    const length = headLength(reader.unread);
    if (length < 0) continue;
    const request = parseRequest(reader.unread.subarray(0, length));
    reader.consume(length); // what is behind it are frames
    return request;
  }
  if (reader.unread.length === 0) return undefined;
  throw new MessageError(400, "the client closed the connection before the end of the request head");
}

/** Returns the fields of the response that opens a WebSocket. Throws any other response. */
function respond(request: RequestHead, flags: Settings, hostname: string): Fields {
  const { method } = request;
  const path = request.target.replace(/^https?:\/\/[^/?]*/i, "").replace(/\?.*/, "") || "/";
  if (!isAllowedHost(authorityOf(request), hostname)) {
    throw new Answer(421, "open it by the name localhost or the address 127.0.0.1");
  }
  if (path === "/chat" || (flags.echo && path === "/" && asksForWebSocket(request))) {
    try {
      return acceptHandshake(request, flags["allow-origin"]);
    } catch (error) {
      throw error instanceof HandshakeError ? refusal(error) : error;
    }
  }
  const found = pages[path];
  if (!found) throw new Answer(404, "the chat is at /, its WebSocket at /chat");
  if (method !== "GET" && method !== "HEAD") throw new Answer(405, "a page is for GET", [["Allow", "GET, HEAD"]]);
  const [type, text, policy] = found;
  throw new Answer(200, text, [["Content-Security-Policy", policy], ["Cache-Control", "no-cache"]], type);
}

const pages: Readonly<Record<string, [type: string, text: string, policy: string]>> = {
  "/": ["text/html; charset=UTF-8", chatPage, chatPolicy],
  "/page.js": ["text/javascript; charset=UTF-8", chatScript, "default-src 'none'"],
};

/** What all connections share. */
interface Server {
  readonly room: Set<Member>;
  readonly flags: Settings;
  /** The address that it listens on. */
  readonly hostname: string;
  /** Does the server's part of a TLS handshake, if there is a certificate. */
  readonly startTls: StartTls | undefined;
}

interface Settings {
  readonly "echo": boolean;
  readonly "timeout": number;
  readonly "allow-origin": string[];
  readonly "max-frame": number;
  readonly "max-message": number;
  readonly "max-unsent": number;
  readonly "trace": "" | "text" | "json" | "diagram";
  readonly "pcap": string;
}

const command = {
  name: "websocket_server",
  about: "A chat room over WebSocket, with a page for the browser at /.",
  run: "deno run -N=127.0.0.1 http/websocket_server.ts",
  examples: [
    "deno task websocket-server",
    "deno task websocket-server --echo --port 9001 --trace",
  ],
  groups: { "TLS": ["cert", "key", "self-signed"] },
  options: {
    ...serverOptions(8085, "ping a client that is silent for half of it; then close; 0: never"),
    "echo": flag("send each message back to its sender, also at /"),
    "allow-origin": list("pages of this origin may connect too; *: all", "ORIGIN"),
    "exit-after": integer(0, "as --once, but after this many clients; 0: never", 0, 1_000_000),
    "max-frame": integer(1 << 20, "the longest frame, in bytes", 125, 1 << 28),
    "max-message": integer(1 << 20, "the longest message, in bytes", 125, 1 << 28),
    "max-unsent": integer(1 << 20, "drop a client with more unread bytes than this", 1, 1 << 28),
    "max-clients": maxClients(1000),
    ...certificateOptions,
  },
};

await run(command, async (flags) => {
  const room = new Set<Member>();
  const pair = await certificateOf(flags, "websocket-client --ca");
  const startTls = pair && await tlsStarter(pair);
  const clients = new Clients(flags, {
    onIdle: async (client) => {
      const member = memberOf(client);
      await member?.socket.close(closeCodes.policy, "no answer to a ping");
      // If the server ended the connection before the client has, what the client still sends would be answered with a reset,
      // and a reset can overtake the close frame.
      await member?.left.promise;
    },
    onInterrupt: () => {
      for (const { socket } of room) socket.close(closeCodes.goingAway, "the server stops").catch(() => {});
    },
  });
  const memberOf = (client: Client) => [...room].find((member) => member.client === client);
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  const server = { room, flags, hostname: listener.addr.hostname, startTls };
  announce(pair ? "WebSocket server with TLS" : "WebSocket server", listener.addr);
  const pings = flags.timeout > 0 ? setInterval(() => pingSilent(room), flags.timeout * 250) : undefined;

  let served = 0;
  for await (const conn of clients.accept(listener)) {
    if (++served === flags["exit-after"]) clients.stop();
    clients.serve(conn, (client) => {
      const drop = () => {
        console.log(`${client.name} does not read: dropped`);
        clients.close(client);
      };
      return serve(client, server, drop);
    });
  }
  await clients.finished();
  clearInterval(pings);
});

/** A peer may be gone without a word. Its system, or the program itself, does not answer a ping then. */
function pingSilent(room: Set<Member>): void {
  for (const { client, socket } of room) {
    if (client.idleTicks >= 2 && socket.unsent === 0) socket.ping().catch(() => {}); // its reader says what is wrong
  }
}
