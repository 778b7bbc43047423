/**
 * The evidence of a check as a picture: a diagram for the terminal, a capture for Wireshark, a page for the browser.
 *
 * @module
 */
import { Capture } from "../../tcp/_capture.ts";
import { Diagram } from "../../tcp/_diagram.ts";
import type { Event } from "../../tcp/_trace_event.ts";
import type { Recording } from "../suites/_record.ts";
import type { Suite } from "../suites/_suite.ts";
import { protocolOf } from "../watch/dissect.ts";
import { Model } from "../watch/model.ts";
import { saved } from "../watch/server.ts";

/** The ports that stand for both sides where a check does not say which it has used. */
const UNKNOWN = { server: 1, client: 49_152 };

/** What a step says about a connection, in the words of a trace. */
const notes: readonly [pattern: RegExp, note: string, isChecker: boolean][] = [
  [/^connected with /, "connected", true],
  [/^the checker ends its side/, "FIN", true],
  [/^the program has ended its side/, "FIN", false],
  [/^a reset /, "RST", false],
];

/** The events of a check, as the checker has seen them. `port`: where the server listens, the program or the checker. */
export function events(recording: Recording, { role, over = "tcp" }: Suite, port: number): Event[] {
  const isClient = role === "server"; // the checker is the other side
  const clients = new Map<string, number>();
  return recording.entries.map((entry): Event => {
    const { kind, text, data, who } = entry;
    const transport = /^UDP/.test(who) || over === "udp" ? "udp" : "tcp";
    const own = Number(/port (\d+)$/.exec(who)?.[1] ?? 0);
    if (!clients.has(who)) clients.set(who, UNKNOWN.client + clients.size);
    // A connection of a client has the port that the checker has seen it come from.
    const remote = Number(/^connected with .*:(\d+)$/.exec(text)?.[1] ?? 0);
    if (isClient && own > 0) clients.set(who, own);
    if (!isClient && remote > 0) clients.set(who, remote);
    const [checker, program] = isClient
      ? [clients.get(who) ?? UNKNOWN.client, port || UNKNOWN.server]
      : [own || port || UNKNOWN.server, clients.get(who) ?? UNKNOWN.client];
    const found = kind === "step" ? notes.find(([pattern]) => pattern.test(text)) : undefined;
    // A server is connected to: the first message goes from the client.
    const isFromChecker = found ? (found[1] === "connected" ? isClient : found[2]) : kind === "sent";
    const isNote = kind === "step" && !found;
    const name = (each: number) => isNote ? "" : `127.0.0.1:${each}`;
    const [from, to] = isFromChecker ? [name(checker), name(program)] : [name(program), name(checker)];
    const note = found?.[1] === "connected" && !isClient ? "accepted" : found?.[1] ?? (isNote ? text : "");
    const side = isClient ? "client" : "server";
    const t = Math.round((recording.began + entry.time) * 1000);
    return { t, side, transport, from, to, data, note };
  });
}

/** The check as a diagram of 80 columns. */
export function diagram(list: readonly Event[]): string {
  const drawing = new Diagram();
  return list.flatMap((event) => drawing.draw(event)).join("\n");
}

/** Writes the check as packets; a check without messages has no file. The headers of the packets are made, as with `--pcap`. */
export function capture(file: string, list: readonly Event[]): void {
  if (!list.some(({ data, from }) => data.length > 0 && from !== "")) return;
  Deno.writeFileSync(file, new Uint8Array()); // a capture is appended to, and an earlier run may have left one
  const packets = new Capture(file);
  for (const event of list) packets.add(event);
}

/** The check as a page that opens without a server, as `deno task watch` shows it. */
export function page(title: string, suite: string, list: readonly Event[]): string {
  const model = new Model(protocolOf(suite));
  const isClient = list[0]?.side !== "server";
  const checker = { side: isClient ? "client" : "server", name: "the checker" } as const;
  const program = { side: isClient ? "server" : "client", name: "your program" } as const;
  for (const source of isClient ? [checker, program] : [program, checker]) model.addSource(source);
  for (const event of list) {
    if (event.from === "") model.addMark(checker, event.note, event.t);
    else model.addEvent(checker, event);
  }
  model.finish();
  return saved({ model, title, run: "" });
}
