/** The project's DNS server: correct, or wrong in one way. PORT is in the environment; the argument is the way. */
import { decode, encode, type Message } from "../../dns/_message.ts";
import { Responder } from "../../dns/_responder.ts";
import { parseZone } from "../../dns/_zone.ts";

const [way = ""] = Deno.args;
const port = Number(Deno.env.get("PORT"));
const zone = parseZone(Deno.readTextFileSync("dns/example.com.zone"));
const responder = new Responder(new Map([[zone.origin, zone]]), false);

/** Makes a response wrong. */
function tamper(message: Message): Message {
  const { flags, answers, edns: _, ...rest } = message;
  const negative = rest.authority.some(({ type }) => type === 6);
  switch (way) {
    case "not-authoritative":
      return { ...message, flags: { ...flags, aa: false } };
    case "always-no-error":
      return { ...message, flags: { ...flags, rcode: 0 } };
    case "no-soa":
      return negative ? { ...message, authority: [] } : message;
    case "no-edns":
      return { flags, answers, ...rest };
    case "no-glue":
      return { ...message, additional: [] };
    case "lower-case":
      return {
        ...message,
        questions: message.questions.map((question) => ({ ...question, name: question.name.toLowerCase() })),
      };
    case "one-answer":
      return { ...message, answers: answers.slice(0, 1) };
    default:
      return message;
  }
}

function respond(packet: Uint8Array, udp: boolean): Uint8Array | undefined {
  const query = Uint8Array.from(packet);
  if (way === "answers-answers") query[2] = (query[2] ?? 0) & 0x7f; // QR, so that a response looks like a query
  const outcome = responder.respond(query, udp && way !== "never-truncates");
  if (outcome.kind !== "response") return undefined;
  try {
    return encode(tamper(decode(outcome.bytes)));
  } catch {
    return outcome.bytes;
  }
}

const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
const listener = Deno.listen({ hostname: "127.0.0.1", port });
(async () => {
  for await (const conn of listener) serve(conn).catch(() => {});
})();

async function serve(conn: Deno.Conn): Promise<void> {
  let data = new Uint8Array();
  const buffer = new Uint8Array(65537);
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    data = Uint8Array.from([...data, ...buffer.subarray(0, n)]);
    while (data.length >= 2 && data.length >= 2 + ((data[0] ?? 0) << 8 | (data[1] ?? 0))) {
      const end = 2 + ((data[0] ?? 0) << 8 | (data[1] ?? 0));
      const bytes = respond(data.subarray(2, end), false);
      if (bytes) await conn.write(Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes));
      data = data.slice(end);
      if (way === "one-a-connection") return conn.close();
    }
  }
  conn.close();
}

while (true) {
  const [packet, from] = await socket.receive();
  if (way === "dies-on-garbage" && packet.length < 12) Deno.exit(1);
  const bytes = respond(packet, true);
  if (bytes) await socket.send(bytes, from);
}
