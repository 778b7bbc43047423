/**
 * Checks for a mail client that sends one mail to b@example.com, without TLS and without a password: here the suite plays the
 * server.
 *
 * @module
 */
import { DataDecoder } from "../../smtp/data.ts";
import { printable } from "../../cli.ts";
import type { Program } from "../program.ts";
import {
  type Check,
  type Client,
  complained,
  fail,
  inTime,
  limits,
  noServer,
  Peer,
  quote,
  type Suite,
} from "./suite.ts";

/** What the server says: by the first word of a command, or at a moment. `undefined`: it closes without a word. */
type Script = Partial<
  Record<"greeting" | "EHLO" | "HELO" | "MAIL" | "RCPT" | "DATA" | "content" | "QUIT", string | undefined>
>;

const usual = {
  greeting: "220 check.example.com ESMTP\r\n",
  EHLO: "250-check.example.com\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
  HELO: "250 check.example.com\r\n",
  MAIL: "250 2.1.0 ok\r\n",
  RCPT: "250 2.1.5 ok\r\n",
  DATA: "354 go on\r\n",
  content: "250 2.0.0 kept\r\n",
  QUIT: "221 2.0.0 bye\r\n",
};

interface Played {
  readonly program: Program;
  readonly commands: readonly string[];
  /** The content, dots undone; undefined when it did not come. */
  readonly content: string | undefined;
}

/** Plays the server for one run of the client. `pieces` is how many bytes of a reply go out at a time. */
async function play(client: Client, changes: Script, pieces = 1000): Promise<Played> {
  const script: Script = { ...usual, ...changes };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const program = client.start(listener.addr.port);
  const commands: string[] = [];
  let content: string | undefined;
  const serve = async () => {
    const conn = await inTime(listener.accept(), limits.patience * 2);
    if (!conn) fail("a connection", "none", "connect to the host and port it is given");
    using peer = new Peer(conn);
    /** Says something; false when it is to close. */
    const say = async (what: keyof Script): Promise<boolean> => {
      const text = script[what];
      if (text === undefined) return false;
      for (let at = 0; at < text.length; at += pieces) {
        await peer.send(text.slice(at, at + pieces));
        if (pieces < 1000) await new Promise((go) => setTimeout(go, 2));
      }
      return true;
    };
    if (!await say("greeting")) return;
    let rest = "";
    while (true) {
      const end = rest.indexOf("\n");
      if (end < 0) {
        const more = await peer.upTo(1);
        if (more.length === 0) return;
        rest += new TextDecoder("latin1").decode(more);
        continue;
      }
      const line = rest.slice(0, end + 1);
      rest = rest.slice(end + 1);
      if (!line.endsWith("\r\n")) fail("a command that ends in CR LF", JSON.stringify(line), "RFC 5321 §2.3.8");
      commands.push(line.trimEnd());
      const verb = (line.split(/[ :\r]/)[0] ?? "").toUpperCase();
      if (verb === "RSET" || verb === "NOOP") {
        await peer.send("250 ok\r\n");
        continue;
      }
      if (!(verb in usual)) fail("a command of RFC 5321", JSON.stringify(line), "EHLO, MAIL, RCPT, DATA, QUIT");
      const known = verb as keyof Script; // it is one of them, as was just seen
      if (verb === "QUIT") return void await say(known).catch(() => {}); // it may not wait for the farewell
      if (!await say(known)) return;
      if (verb !== "DATA" || !script.DATA?.startsWith("354")) continue;
      const decoder = new DataDecoder();
      const parts: Uint8Array<ArrayBuffer>[] = [];
      while (!decoder.done) {
        const more = await peer.upTo(1);
        if (more.length === 0) {
          fail("the end of the mail", "the end of the connection", "end the mail with CR LF . CR LF");
        }
        decoder.push(more, (part) => parts.push(part.slice()));
      }
      if (decoder.fault === "bare") fail("lines that end in CR LF", "a CR or an LF alone", "RFC 5321 §2.3.8");
      if (decoder.fault === "long") fail("lines of 1000 octets at most", "a longer one", "RFC 5321 §4.5.3.1.6");
      content = await new Blob(parts).text();
      if (!await say("content").catch(() => false)) return; // it may not wait for what becomes of its mail
    }
  };
  try {
    await serve();
    const ended = await inTime(program.ended, limits.patience * 2);
    if (!ended) fail("the client to end", `it still runs ${limits.patience * 2 / 1000} s later`, "say so, and exit");
  } finally {
    listener.close();
    await program.stop();
  }
  return { program, commands, content };
}

function delivered({ program, content, commands }: Played, hint: string): void {
  if (content === undefined) fail("a mail", `${quote(new TextEncoder().encode(commands.join(" / ")))}`, hint);
  if (program.status?.code !== 0) fail("exit code 0", `${program.status?.code}: ${printable(program.tail(1))}`, hint);
}

const delivers = (
  name: string,
  why: string,
  points: number,
  script: Script,
  hint: string,
  pieces?: number,
): Check<Client> => ({
  name,
  why,
  points,
  run: async (client) => delivered(await play(client, script, pieces), hint),
});

const complains = (name: string, why: string, script: Script, about: string): Check<Client> => ({
  name,
  why,
  points: 1,
  async run(client) {
    const played = await play(client, script);
    complained(played.program, about);
    if (script.content === undefined && "content" in script) return;
    if (played.content !== undefined && !("content" in script)) {
      fail("no mail to be sent after that", "a mail", `stop at ${about}`);
    }
  },
});

const suite: Suite = {
  role: "client",
  about: "a mail client that sends one mail to b@example.com",
  checks: [
    {
      name: "a mail",
      why: "RFC 5321 §3.3: EHLO, MAIL, RCPT, DATA, the mail, QUIT.",
      points: 3,
      async run(client) {
        const played = await play(client, {});
        delivered(played, "send a mail");
        const verbs = played.commands.map((line) => line.split(/[ :]/)[0]?.toUpperCase());
        if (verbs.join() !== "EHLO,MAIL,RCPT,DATA,QUIT") {
          fail("EHLO, MAIL, RCPT, DATA, QUIT", verbs.join(", "), "in this order");
        }
        if (!played.commands.some((line) => /^RCPT TO:<b@example\.com>/i.test(line))) {
          fail("RCPT TO:<b@example.com>", played.commands.join(" / "), "no space after the colon, and angle brackets");
        }
        for (const name of ["From", "Date"]) {
          if (!new RegExp(`^${name}: \\S`, "im").test(played.content ?? "")) {
            fail(`a header field ${name}`, "none", "RFC 5322 §3.6: From and Date are in every mail");
          }
        }
      },
    },
    delivers("a greeting of several lines", "RFC 5321 §4.2.1: a hyphen after the code: more is to come.", 1, {
      greeting: "220-check.example.com\r\n220-welcome\r\n220 ESMTP\r\n",
    }, "read until a line with a space after the code"),
    delivers("replies in single bytes", "RFC 9293 §3.7: TCP may cut a reply anywhere.", 2, {}, "read until CR LF", 1),
    delivers("replies without text", "RFC 5321 §4.2: the text is for people; the code says it all.", 1, {
      MAIL: "250 \r\n",
      RCPT: "250\r\n",
      DATA: "354\r\n",
      content: "250 \r\n",
    }, "look at the code alone"),
    {
      name: "no EHLO",
      why: "RFC 5321 §3.2: a server that does not know EHLO is greeted with HELO.",
      points: 1,
      async run(client) {
        const played = await play(client, { EHLO: "500 what?\r\n" });
        delivered(played, "try HELO after a 5xx to EHLO");
        const parameters = played.commands.find((line) => /^MAIL FROM:<[^>]*> \S/i.test(line));
        if (parameters) fail("MAIL without parameters", parameters, "use only what was offered");
      },
    },
    delivers(
      "no extensions",
      "RFC 5321 §2.2: only what EHLO offers is used.",
      1,
      { EHLO: "250 check.example.com\r\n" },
      "send each command when the one before is answered",
    ),
    delivers(
      "QUIT unanswered",
      "RFC 5321 §4.1.1.10: the mail was taken before: how the farewell goes changes nothing.",
      1,
      { QUIT: undefined },
      "the mail is delivered",
    ),
    complains("not greeted", "RFC 5321 §3.1: 554 instead of a greeting: nobody is served here.", {
      greeting: "554 no service\r\n",
    }, "a 554 instead of the greeting"),
    complains("the sender is refused", "RFC 5321 §4.2.1: 5xx is for good.", {
      MAIL: "550 5.1.8 no\r\n",
      RCPT: "503 5.5.1 no\r\n",
    }, "the refused sender"),
    complains("the recipient is refused", "RFC 5321 §4.2.1: 5xx is for good.", {
      RCPT: "550 5.1.1 nobody\r\n",
      DATA: "554 no\r\n",
    }, "the refused recipient"),
    complains("the recipient is put off", "RFC 5321 §4.2.1: 4xx is for now: the mail was not sent.", {
      RCPT: "450 4.2.1 later\r\n",
      DATA: "554 no\r\n",
    }, "the recipient that was put off"),
    complains("DATA is refused", "RFC 5321 §4.1.1.4: without 354 there is no mail to send.", {
      DATA: "451 4.3.0 not now\r\n",
    }, "the refused DATA"),
    complains("the mail is refused", "RFC 5321 §4.2.5: only the 250 after the dot says that it was taken.", {
      content: "554 5.7.1 spam\r\n",
    }, "the refused mail"),
    {
      name: "QUIT after a refusal",
      why: "RFC 5321 §4.1.1.10: a client does not close before it has said QUIT, whatever it was answered.",
      points: 1,
      async run(client) {
        const { commands } = await play(client, { RCPT: "550 5.1.1 nobody\r\n", DATA: "554 no\r\n" });
        const last = commands.at(-1) ?? "nothing";
        if (last.toUpperCase() !== "QUIT") fail("QUIT as the last command", last, "say QUIT before you give up");
      },
    },
    complains(
      "dismissed",
      "RFC 5321 §3.8: 421 may come at any time.",
      { MAIL: "421 4.3.2 shutting down\r\n" },
      "the 421",
    ),
    complains("closed after EHLO", "A server may close anywhere.", { EHLO: undefined }, "a closed connection"),
    complains("closed after the mail", "RFC 5321 §4.1.1.4: without the 250 nobody knows whether it was taken.", {
      content: undefined,
    }, "a closed connection"),
    complains("another protocol", "RFC 5321 §4.2: what does not start with three digits is no reply.", {
      greeting: "SSH-2.0-OpenSSH_9.2\r\n",
    }, "a greeting that is none"),
    noServer,
  ],
};

export default suite;
