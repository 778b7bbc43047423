/**
 * Asks a DNS server by hand: builds the query, sends it over UDP, believes only an answer to just this question, and asks
 * again over TCP when the answer was cut short.
 *
 * Look at `mismatch` in `ask.ts`. Anyone can send a datagram with a forged source, so an answer counts only if it comes from
 * the server's address and port to ours, with our id and our question, the letters of its name in the same mixed case. With
 * `--trace` the packets are taken apart, byte by byte.
 *
 * ```sh
 * deno run -N=127.0.0.1 --unstable-net dns/query.ts www.example.com
 * deno run -N --unstable-net dns/query.ts --server 192.0.2.53 example.org MX
 * ```
 *
 * Start `deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts` in another terminal first. Both: `deno task dns:lookup`.
 *
 * RFC 1035 §4, RFC 5452. API: Deno.listenDatagram, Deno.connect.
 *
 * @module
 */
import { Failure, place, printable, run, seconds, text, toggle, traceOption } from "../cli.ts";
import { reverseName } from "./address.ts";
import { ask, type Asked } from "./ask.ts";
import { rcodeName, rcodes } from "./message.ts";
import { absolute, printData, type ResourceRecord, typeName, typeNumber } from "./record.ts";
import { parseServer } from "./server_address.ts";
import { FormatError } from "./wire.ts";

const command = {
  name: "query",
  about: "Asks a DNS server for the records of a name, by hand. An address is looked up in reverse.",
  run: "deno run -N=127.0.0.1 --unstable-net dns/query.ts",
  args: "NAME [TYPE]",
  options: {
    "server": text("127.0.0.1:5300", "the server to ask", "HOST[:PORT]"),
    "tcp": toggle("ask over TCP at once"),
    "short": toggle("print only the data of the answers"),
    "no-recurse": toggle("do not ask the server to ask others"),
    "timeout": seconds(5, "how long to wait for an answer, over all tries"),
    "trace": traceOption,
  },
};

await run(command, async (flags) => {
  const [name, typeWord = reverseName(name ?? "") ? "PTR" : "A", ...more] = flags.args;
  if (name === undefined || more.length > 0) throw new Failure("which name, and which type of record?", 2);
  const type = typeNumber(typeWord);
  if (type === undefined) throw new Failure(`there is no type ${printable(typeWord)}`, 2);
  const server = parseServer("--server", flags.server);
  const manner = { ...flags, recurse: !flags["no-recurse"] };
  const question = { name: toName(reverseName(name) ?? name), type, class: 1 };
  const asked = await ask(server, question, manner);
  if (flags.short) {
    for (const { type, data } of asked.message.answers) console.log(printable(printData(type, data)));
  } else show(asked, place(server));
  const { rcode } = asked.message.flags;
  if (rcode !== rcodes.NOERROR) throw new Failure(`${printable(name)}: ${meaning(rcode)}`);
});

function toName(word: string): string {
  try {
    return absolute(word, ".");
  } catch (error) {
    if (error instanceof FormatError) throw new Failure(printable(error.message), 2);
    throw error;
  }
}

function meaning(rcode: number): string {
  if (rcode === rcodes.NXDOMAIN) return "no such name (NXDOMAIN)";
  if (rcode === rcodes.REFUSED) return "the server does not answer for this name (REFUSED)";
  if (rcode === rcodes.SERVFAIL) return "the server could not find out (SERVFAIL)";
  return `the server says ${rcodeName(rcode)}`;
}

/** A message as `dig` prints it. */
function show({ message, size, time, transport }: Asked, server: string): void {
  const { id, flags, questions, answers, authority, additional, edns } = message;
  const set = (["qr", "aa", "tc", "rd", "ra", "ad", "cd"] as const).filter((name) => flags[name]);
  console.log(`;; ${rcodeName(flags.rcode)}, id ${id}, flags ${set.join(" ")}, opcode ${flags.opcode}`);
  if (edns) console.log(`;; EDNS version ${edns.version}, UDP payload ${edns.size}${edns.dnssecOk ? ", DO" : ""}`);
  for (const { name, type } of questions) console.log(`;; question: ${printable(name)} ${typeName(type)}`);
  const sections: [string, readonly ResourceRecord[]][] = [["answer", answers], ["authority", authority], [
    "additional",
    additional,
  ]];
  for (const [title, records] of sections) {
    if (records.length === 0) continue;
    console.log(`\n;; ${title}`);
    for (const { name, ttl, type, data } of records) {
      console.log(
        printable(
          `${name.padEnd(24)} ${String(ttl).padEnd(7)} IN ${typeName(type).padEnd(6)} ${printData(type, data)}`,
        ),
      );
    }
  }
  console.log(`\n;; ${size} bytes from ${server} over ${transport} in ${time.toFixed(2)} ms`);
}
