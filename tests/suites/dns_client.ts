/**
 * Checks for a DNS client that asks for the address of a name: here the suite plays the server, over UDP and TCP. Name and
 * address differ in every run, so that a client must look at what it receives.
 *
 * @module
 */
import { parseIpv4 } from "../../tcp/_address.ts";
import { decode, encode, type Message } from "../../dns/_message.ts";
import { canonicalName, FormatError } from "../../dns/_name.ts";
import { typeName, types } from "../../dns/_record_types.ts";
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, succeeded } from "./_clients.ts";
import { hex } from "./_dns_peer.ts";
import { received, sent, step } from "./_record.ts";
import { type Random, word } from "./_random.ts";
import { type Check, type Client, contentOf, fail, quote, type Suite } from "./_suite.ts";

/** What this run asks for. */
interface Lab {
  /** The name that the client is given, without a dot at its end. */
  readonly name: string;
  /** Its address, and one that only forged responses have. */
  readonly right: string;
  readonly forged: string;
  /** A TTL whose four bytes mean another number in the wrong order. */
  readonly ttl: number;
  readonly random: Random;
}

const makeLab = (random: Random): Lab => ({
  name: `www.${word(random)}.example`,
  right: `192.0.2.${random.integer(1, 250)}`,
  forged: `198.51.100.${random.integer(1, 250)}`,
  ttl: random.integer(1, 250) * 256 + random.integer(1, 250),
  random,
});

const labs = contentOf((random) => {
  const content = makeLab(random);
  return { content, values: { name: content.name } };
});
const labOf = labs.of;

/** A response with one address. */
function response(query: Message, lab: Lab, address = lab.right, change: Partial<Message["flags"]> = {}): Message {
  const [question] = query.questions;
  const data = [parseIpv4(address) ?? 0];
  const answers = question ? [{ name: question.name, type: 1, class: 1, ttl: lab.ttl, data }] : [];
  const flags = { ...query.flags, qr: true, aa: true, ...change };
  return { id: query.id, flags, questions: query.questions, answers, authority: [], additional: [] };
}

interface Datagram {
  readonly bytes: Uint8Array;
  /** Whether it is sent from another port. */
  readonly elsewhere?: boolean;
}

interface Script {
  /** The responses to the nth query over UDP. */
  udp(query: Message, n: number): Datagram[];
  /** The response over TCP. */
  tcp?(query: Message): Uint8Array;
}

interface Played {
  readonly program: Program;
  readonly queries: Message[];
  readonly overTcp: number;
}

/** Plays the server for one run of the client, until the client has ended. Fails when a query is malformed. */
async function play(client: Client, script: Script): Promise<Played> {
  const lab = labOf(client);
  const { listener, socket } = openBoth(client.port ?? 0);
  const other = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const queries: Message[] = [];
  let overTcp = 0;
  let malformed: { bytes: Uint8Array; why: string } | undefined;
  const conns = new Set<Deno.Conn>();
  const parse = (bytes: Uint8Array): Message | undefined => {
    try {
      return decode(bytes);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      malformed ??= { bytes: bytes.slice(), why: error.message };
    }
  };
  const ignoreClosed = (error: unknown) => {
    if (!isClosedLocally(error)) throw error;
  };
  const datagrams = (async () => {
    for await (const [packet, from] of socket) {
      received(packet, "UDP");
      const query = parse(packet);
      if (!query) continue;
      queries.push(query);
      for (const { bytes, elsewhere } of script.udp(query, queries.length - 1)) {
        await (elsewhere ? other : socket).send(bytes, from);
        sent(bytes, elsewhere ? "UDP, from another port" : "UDP");
      }
    }
  })().catch(ignoreClosed);
  const serve = async (conn: Deno.Conn) => {
    step("the client connects", "TCP");
    const got = await readFramed(conn);
    received(got, "TCP");
    if (got.length < 2) return; // the client has opened a connection and said nothing
    const query = parse(got.subarray(2));
    const bytes = query && script.tcp?.(query);
    if (!bytes) return;
    await conn.write(Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes.subarray(0, 10)));
    await new Promise((go) => setTimeout(go, 50)); // TCP may cut the message anywhere
    await conn.write(bytes.subarray(10));
    sent(bytes, "TCP");
  };
  const streams = (async () => {
    for await (const conn of listener) {
      overTcp++;
      conns.add(conn);
      serve(conn).catch(() => {}).finally(() => conns.delete(conn) && conn.close()); // the client may be gone
    }
  })().catch(ignoreClosed);
  const program = client.start(listener.addr.port, { name: lab.name });
  try {
    await clientEnd(program, "stop trying after a few seconds, say so in one line, and exit", 4);
  } finally {
    await program.stop();
    for (const each of [listener, socket, other, ...conns]) each.close();
    conns.clear();
    await Promise.all([datagrams, streams]);
  }
  if (malformed) {
    const { bytes, why } = malformed;
    fail(
      `a query for ${lab.name}: 12 bytes of header, then the name, the type and the class`,
      `${hex(bytes)}: ${why}`,
      "write each number with its higher byte first; before each label of the name its length in a byte; after the last " +
        "a zero; over TCP the length of the message in two bytes before it (RFC 1035 §4.1, §4.2.2)",
    );
  }
  return { program, queries, overTcp };
}

/** A TCP and a UDP socket on the same port. */
function openBoth(wanted: number): { listener: Deno.TcpListener; socket: Deno.DatagramConn } {
  for (let tries = 0;; tries++) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: wanted });
    try {
      const { port } = listener.addr;
      return { listener, socket: Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port }) };
    } catch (error) {
      listener.close();
      if (!(error instanceof Deno.errors.AddrInUse) || tries > 50) throw error; // another program has this port over UDP
    }
  }
}

/** Reads one message with its length before it; less if the connection ends. */
async function readFramed(conn: Deno.Conn): Promise<Uint8Array> {
  const buffer = new Uint8Array(65537);
  let got = 0;
  while (got < 2 || got < 2 + ((buffer[0] ?? 0) << 8 | (buffer[1] ?? 0))) {
    const n = await conn.read(buffer.subarray(got));
    if (n === null) break;
    got += n;
  }
  return buffer.subarray(0, got);
}

function answered({ program, queries }: Played, { name, right, forged }: Lab, hint: string): void {
  if (queries.length === 0) fail(`a query for ${name}`, "none", "send a datagram to the given host and port");
  if (program.stdout.includes(forged)) fail(`${right} on stdout`, `the forged ${forged}`, hint);
  if (!program.stdout.includes(right)) {
    fail(`${right} on stdout`, quote(new TextEncoder().encode(program.stdout)), hint);
  }
  succeeded(program, hint);
}

const needs = ["asks and prints"];

/** The client receives something after each query, and then the right response. */
const distraction = (
  name: string,
  why: string,
  level: Check<Client>["level"],
  hint: string,
  distract: (query: Message, lab: Lab) => Datagram,
): Check<Client> => ({
  ...{ name, why, level, needs, points: 2 },
  async run(client) {
    const lab = labOf(client);
    const played = await play(client, {
      udp: (query) => [distract(query, lab), { bytes: encode(response(query, lab)) }],
    });
    answered(played, lab, hint);
  },
});

/** The client receives one response, and must print the address in it. */
const prints = (
  name: string,
  why: string,
  points: number,
  level: Check<Client>["level"],
  hint: string,
  answer: (query: Message, lab: Lab) => Uint8Array,
): Check<Client> => ({
  ...{ name, why, points, level, needs },
  async run(client) {
    const lab = labOf(client);
    answered(await play(client, { udp: (query) => [{ bytes: answer(query, lab) }] }), lab, hint);
  },
});

/** The bytes of a record with its owner written out: no pointer to the question. */
function uncompressed(query: Message, lab: Lab): Uint8Array {
  const bytes = encode({ ...response(query, lab), answers: [] });
  const labels = [...query.questions[0]?.name.split(".") ?? []].filter((label) => label);
  const owner = labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  const ttl = [lab.ttl >>> 24, lab.ttl >>> 16 & 255, lab.ttl >>> 8 & 255, lab.ttl & 255];
  const data = lab.right.split(".").map(Number);
  const whole = Uint8Array.of(...bytes, ...owner, 0, 0, 1, 0, 1, ...ttl, 0, 4, ...data);
  whole[7] = 1; // the count of the answers
  return whole;
}

const suite: Suite = {
  role: "client",
  over: "both",
  about: "a DNS client that asks for the address of a name",
  prepare: labs.prepare,
  given: "{host} (HOST), {port} (PORT): the server. {name} (NAME): the name to ask for.",
  prints: "the IPv4 address of the name (type A) on stdout, or one line about what went wrong",
  exits: "0 when it has printed the address; another code without one",
  limits: "It may send a query several times, and gives up within some seconds.",
  sheet: "dns/README.md#the-client",
  checks: [
    {
      name: "asks and prints",
      why: "RFC 1035 §4.1: the client sends a query, receives the response, and prints the address in it. Name and " +
        "address differ in every run.",
      points: 3,
      level: "basic",
      async run(client) {
        const lab = labOf(client);
        const played = await play(client, { udp: (query) => [{ bytes: encode(response(query, lab)) }] });
        answered(played, lab, "print the address from the data of the record in the response");
      },
    },
    {
      name: "the question",
      why: "RFC 1035 §4.1.2: the question has the name that the client is given, the type A (1) and the class IN (1).",
      points: 2,
      level: "basic",
      needs,
      async run(client) {
        const lab = labOf(client);
        const { queries } = await play(client, { udp: (query) => [{ bytes: encode(response(query, lab)) }] });
        for (const { questions: [question] } of queries) {
          const name = canonicalName(question?.name ?? "").replace(/\.$/, "");
          if (name === lab.name && question?.type === types.A && question.class === 1) return;
        }
        const { name = "", type = 0, class: class_ = 0 } = queries[0]?.questions[0] ?? {};
        fail(
          `a question for ${lab.name} A, class 1`,
          `${printable(name)} ${typeName(type)}, class ${class_}`,
          "take the name from the arguments ({name}, or the environment variable NAME); A is 1, IN is 1",
        );
      },
    },
    {
      name: "a silent server",
      why: "If the server never answers, the client prints one line, stops trying, and its exit code is not 0.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        complained((await play(client, { udp: () => [] })).program, "a server that does not answer");
      },
    },
    {
      name: "no such name",
      why:
        "RFC 1035 §4.1.1: NXDOMAIN means that there is no such name: the client says so, and its exit code is not 0.",
      points: 1,
      level: "basic",
      needs: [...needs, "a silent server"],
      async run(client) {
        const lab = labOf(client);
        const { program } = await play(client, {
          udp: (query) => [{ bytes: encode({ ...response(query, lab, lab.right, { rcode: 3 }), answers: [] }) }],
        });
        if (!/NXDOMAIN/i.test(program.stdout + program.stderr)) {
          complained(program, "a name that does not exist (NXDOMAIN)");
        }
      },
    },
    prints(
      "an owner without a pointer",
      "RFC 1035 §4.1.4: a name in a record is a pointer of two bytes, or labels and a zero, or labels and a pointer.",
      2,
      "basic",
      "read the owner of the record label by label; only a byte from 192 (0xc0) begins a pointer of two bytes",
      uncompressed,
    ),
    {
      name: "an alias first",
      why:
        "RFC 1034 §3.6.2: for an alias the answer begins with its CNAME record (5); the address is in the A record " +
        "after it.",
      points: 2,
      level: "basic",
      needs,
      async run(client) {
        const lab = labOf(client);
        const hint = "read all records of the answer, and print the data of those with the type A (1), and of no other";
        const web = `web.${lab.name.slice(4)}.`;
        const played = await play(client, {
          udp: (query) => {
            const { answers, ...rest } = response(query, lab);
            const alias = { name: `${lab.name}.`, type: types.CNAME, class: 1, ttl: lab.ttl, data: [web] };
            return [{
              bytes: encode({ ...rest, answers: [alias, ...answers.map((record) => ({ ...record, name: web }))] }),
            }];
          },
        });
        answered(played, lab, hint);
        const letters = `3.${[..."web"].map((char) => char.charCodeAt(0)).join(".")}`; // how its data begins
        if (played.program.stdout.includes(letters)) fail(`${lab.right} alone`, `${letters}, too`, hint);
      },
    },
    {
      name: "the order of bytes",
      why:
        "RFC 1035 §2.3.2: the higher byte of a number comes first. If the client prints the TTL, it is the right one.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        const lab = labOf(client);
        const { program } = await play(client, { udp: (query) => [{ bytes: encode(response(query, lab)) }] });
        const view = new DataView(new ArrayBuffer(4));
        view.setUint32(0, lab.ttl);
        const wrong = `${view.getUint32(0, true)}`;
        if (program.stdout.includes(wrong)) {
          fail(`a TTL of ${lab.ttl}`, wrong, "read the four bytes with the highest first: >I in Python's struct");
        }
      },
    },
    {
      name: "a new id",
      why: "RFC 5452 §4.3: the id of a query is random: who could guess it could send a forged response first.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const lab = labOf(client);
        const ids = new Set<number>();
        for (let i = 0; i < 3 && ids.size < 2; i++) {
          const { queries } = await play(client, { udp: (query) => [{ bytes: encode(response(query, lab)) }] });
          for (const { id } of queries) ids.add(id);
        }
        const [id = 0] = ids;
        if (ids.size < 2) fail("another id for each run", `${id} three times`, "choose the two bytes at random");
      },
    },
    {
      name: "a lost query",
      why: "UDP loses datagrams: if no response arrives, send the query again.",
      points: 1,
      level: "robust",
      needs: [...needs, "a silent server"],
      async run(client) {
        const lab = labOf(client);
        const played = await play(client, {
          udp: (query, n) => n === 0 ? [] : [{ bytes: encode(response(query, lab)) }],
        });
        answered(played, lab, "send the query again after a second or two, up to three times");
      },
    },
    distraction(
      "another id",
      "RFC 5452 §4.3: a response has the id of its query; ignore a response with another id.",
      "robust",
      "compare the id with that of the query, and keep waiting if it is another",
      (query, lab) => ({ bytes: encode({ ...response(query, lab, lab.forged), id: query.id ^ 1 }) }),
    ),
    distraction(
      "another source",
      "RFC 5452 §4.1: a response comes from the address and the port to which the query was sent.",
      "robust",
      "compare the address and port of the sender (recvfrom returns them) with those of the server, or connect the socket",
      (query, lab) => ({ bytes: encode(response(query, lab, lab.forged)), elsewhere: true }),
    ),
    {
      name: "a truncated response",
      why: "RFC 1035 §4.2.1, RFC 7766 §5: a response with TC set is incomplete: the client asks again over TCP.",
      points: 2,
      level: "robust",
      needs,
      async run(client) {
        const lab = labOf(client);
        const played = await play(client, {
          udp: (query) => [{ bytes: encode({ ...response(query, lab, lab.forged, { tc: true }), answers: [] }) }],
          tcp: (query) => encode(response(query, lab)),
        });
        if (played.overTcp === 0) {
          fail(
            "the same query over TCP",
            "none",
            "if TC (0x0200 in the flags) is set, connect to the same port with TCP",
          );
        }
        answered(played, lab, "send the length in two bytes before the query, and read the response in the same form");
      },
    },
    distraction(
      "another question",
      "RFC 5452 §4.2: a response repeats the question; ignore a response with another question.",
      "strict",
      "compare the question with that of the query, and keep waiting if it is another",
      (query, lab) => {
        const { questions, answers, ...rest } = response(query, lab, lab.forged);
        const name = "www.example.org.";
        return {
          bytes: encode({
            ...rest,
            questions: questions.map((question) => ({ ...question, name })),
            answers: answers.map((record) => ({ ...record, name })),
          }),
        };
      },
    ),
    distraction(
      "not a message",
      "Any datagram can arrive at an open port: ignore one that is not a DNS message.",
      "strict",
      "look at the length and the id first, and keep waiting if they are wrong",
      (query) => ({ bytes: Uint8Array.of(query.id >> 8 ^ 1, query.id & 255, 0x80, 0, 0) }),
    ),
    {
      name: "wrong counts",
      why:
        "A header may count 65535 records where there is one: the client stops at the end of the message, and prints " +
        "the address or one line of error, but no stack trace.",
      points: 1,
      level: "strict",
      needs: [...needs, "a silent server"],
      async run(client) {
        const lab = labOf(client);
        const { program } = await play(client, {
          udp: (query) => {
            const bytes = encode(response(query, lab));
            bytes.set([0xff, 0xff], 6);
            return [{ bytes }];
          },
        });
        if (program.status?.code !== 0 || !program.stdout.includes(lab.right)) {
          complained(program, "a message that ends before its last record");
        }
      },
    },
  ],
};

export default suite;
