/**
 * Checks for a mail client that sends one mail to b@example.com, without TLS and without a password: here the suite plays the
 * server.
 *
 * @module
 */
import { DataDecoder } from "../../smtp/_data.ts";
import type { Program } from "../support/program.ts";
import { complained, noServer, playServer, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import { type Check, type Client, fail, quote, type Suite } from "./_suite.ts";

/** The server's reply to each command, its greeting, and its reply to the mail. `undefined`: it closes the connection instead. */
type Script = Partial<
  Record<"greeting" | "EHLO" | "HELO" | "MAIL" | "RCPT" | "DATA" | "content" | "QUIT", string | undefined>
>;

const usualScript = {
  greeting: "220 check.example.com ESMTP\r\n",
  EHLO: "250-check.example.com\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
  HELO: "250 check.example.com\r\n",
  MAIL: "250 2.1.0 ok\r\n",
  RCPT: "250 2.1.5 ok\r\n",
  DATA: "354 send the mail\r\n",
  content: "250 2.0.0 accepted\r\n",
  QUIT: "221 2.0.0 bye\r\n",
};

interface Played {
  readonly program: Program;
  readonly commands: readonly string[];
  /** The mail, without the added dots; undefined if none arrived. */
  readonly content: string | undefined;
}

/** Plays the server for one run of the client. `pieces` is how many bytes of a reply are sent at a time. */
async function play(client: Client, changes: Script, pieces = 1000): Promise<Played> {
  const script: Script = { ...usualScript, ...changes };
  const commands: string[] = [];
  const hint = "send QUIT, close the connection, and exit";
  const { program, result: content } = await playServer(client, hint, async (peer) => {
    const content = await serve(peer, script, pieces, commands);
    peer.close();
    return content;
  });
  return { program, commands, content };
}

/** Serves one client, up to QUIT or the end of the connection. Notes its commands, and returns its mail. */
async function serve(peer: Peer, script: Script, pieces: number, commands: string[]): Promise<string | undefined> {
  let content: string | undefined;
  if (!await reply(peer, script.greeting, pieces)) return content;
  for (let line = await readLine(peer); line !== ""; line = await readLine(peer)) {
    if (!line.endsWith("\r\n")) {
      fail("a command that ends in CR LF", JSON.stringify(line), "end every command with CR LF (RFC 5321 §2.3.8)");
    }
    commands.push(line.trimEnd());
    const verb = (line.split(/[ :\r]/)[0] ?? "").toUpperCase();
    if (verb === "RSET" || verb === "NOOP") {
      await peer.send("250 ok\r\n");
      continue;
    }
    if (!isCommand(verb)) {
      fail("a command of RFC 5321", JSON.stringify(line), "send only EHLO, HELO, MAIL, RCPT, DATA, QUIT");
    }
    if (verb === "QUIT") {
      await reply(peer, script.QUIT, pieces).catch(() => {}); // the client may not wait for this reply
      return content;
    }
    if (!await reply(peer, script[verb], pieces)) return content;
    if (verb !== "DATA" || !script.DATA?.startsWith("354")) continue;
    content = await readMail(peer);
    // A client may not wait for this reply either: that is for the checks to find out.
    if (!await reply(peer, script.content, pieces).catch(() => false)) return content;
  }
  return content;
}

const isCommand = (verb: string): verb is "EHLO" | "HELO" | "MAIL" | "RCPT" | "DATA" | "QUIT" =>
  ["EHLO", "HELO", "MAIL", "RCPT", "DATA", "QUIT"].includes(verb);

/** Sends a reply; returns false if the server must close the connection instead. */
async function reply(peer: Peer, text: string | undefined, pieces: number): Promise<boolean> {
  if (text === undefined) return false;
  for (let at = 0; at < text.length; at += pieces) {
    await peer.send(text.slice(at, at + pieces));
    if (pieces < 1000) await new Promise((go) => setTimeout(go, 2));
  }
  return true;
}

/** Reads a line with its end; "" at the end of the connection, even in the middle of a line. */
async function readLine(peer: Peer): Promise<string> {
  let line = "";
  while (!line.endsWith("\n")) {
    const more = await peer.upTo(1); // byte by byte, because what follows may be the mail
    if (more.length === 0) return "";
    line += new TextDecoder("latin1").decode(more);
  }
  return line;
}

/** Reads the mail up to its end, and removes the added dots. */
async function readMail(peer: Peer): Promise<string> {
  const decoder = new DataDecoder();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  while (!decoder.done) {
    const more = await peer.upTo(1);
    if (more.length === 0) fail("the end of the mail", "the end of the connection", "end the mail with CR LF . CR LF");
    decoder.push(more, (part) => parts.push(part.slice()));
  }
  if (decoder.fault === "bare") {
    fail("lines that end in CR LF", "a CR or an LF alone", "end every line with CR LF (RFC 5321 §2.3.8)");
  }
  if (decoder.fault === "long") {
    fail("lines of 1000 octets at most", "a longer one", "break lines before 998 characters (RFC 5321 §4.5.3.1.6)");
  }
  return await new Blob(parts).text();
}

function delivered({ program, content, commands }: Played, hint: string): void {
  if (content === undefined) fail("a mail", `${quote(new TextEncoder().encode(commands.join(" / ")))}`, hint);
  succeeded(program, hint);
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
          fail("EHLO, MAIL, RCPT, DATA, QUIT", verbs.join(", "), "send these commands in this order");
        }
        if (!played.commands.some((line) => /^RCPT TO:<b@example\.com>/i.test(line))) {
          fail(
            "RCPT TO:<b@example.com>",
            played.commands.join(" / "),
            "put the address in angle brackets, without a space after the colon",
          );
        }
        for (const name of ["From", "Date"]) {
          if (!new RegExp(`^${name}: \\S`, "im").test(played.content ?? "")) {
            fail(`a header field ${name}`, "none", "add From and Date to every mail (RFC 5322 §3.6)");
          }
        }
      },
    },
    delivers(
      "a greeting of several lines",
      "RFC 5321 §4.2.1: a hyphen after the code means that more lines follow.",
      1,
      {
        greeting: "220-check.example.com\r\n220-welcome\r\n220 ESMTP\r\n",
      },
      "read until a line with a space after the code",
    ),
    delivers("replies in single bytes", "RFC 9293 §3.7: TCP may cut a reply anywhere.", 2, {}, "read until CR LF", 1),
    delivers("replies without text", "RFC 5321 §4.2: a reply may have no text: only the code matters.", 1, {
      MAIL: "250 \r\n",
      RCPT: "250\r\n",
      DATA: "354\r\n",
      content: "250 \r\n",
    }, "decide by the code only"),
    {
      name: "no EHLO",
      why: "RFC 5321 §3.2: if the server does not know EHLO, the client must try HELO.",
      points: 1,
      async run(client) {
        const played = await play(client, { EHLO: "500 what?\r\n" });
        delivered(played, "try HELO after a 5xx to EHLO");
        const parameters = played.commands.find((line) => /^MAIL FROM:<[^>]*> \S/i.test(line));
        if (parameters) fail("MAIL without parameters", parameters, "use only the extensions that the server offers");
      },
    },
    delivers(
      "no extensions",
      "RFC 5321 §2.2: the client may use only the extensions that EHLO offers.",
      1,
      { EHLO: "250 check.example.com\r\n" },
      "without PIPELINING, wait for each reply before the next command",
    ),
    delivers(
      "QUIT unanswered",
      "RFC 5321 §4.1.1.10: the server has already accepted the mail, so a missing reply to QUIT is not an error.",
      1,
      { QUIT: undefined },
      "exit with code 0: the mail was accepted",
    ),
    complains("554 instead of a greeting", "RFC 5321 §3.1: a server that greets with 554 serves nobody.", {
      greeting: "554 no service\r\n",
    }, "a 554 instead of the greeting"),
    complains("the sender is refused", "RFC 5321 §4.2.1: 5xx is a permanent error: do not try again.", {
      MAIL: "550 5.1.8 no\r\n",
      RCPT: "503 5.5.1 no\r\n",
    }, "a refused sender"),
    complains("the recipient is refused", "RFC 5321 §4.2.1: 5xx is a permanent error: do not try again.", {
      RCPT: "550 5.1.1 nobody\r\n",
      DATA: "554 no\r\n",
    }, "a refused recipient"),
    complains(
      "the recipient is refused temporarily",
      "RFC 5321 §4.2.1: 4xx is a temporary error: the mail was not sent, try again later.",
      {
        RCPT: "450 4.2.1 later\r\n",
        DATA: "554 no\r\n",
      },
      "a recipient that is refused temporarily",
    ),
    complains("DATA is refused", "RFC 5321 §4.1.1.4: without the reply 354 the client must not send the mail.", {
      DATA: "451 4.3.0 not now\r\n",
    }, "a refused DATA"),
    complains("the mail is refused", "RFC 5321 §4.2.5: the mail is accepted only by the 250 after the dot.", {
      content: "554 5.7.1 spam\r\n",
    }, "a refused mail"),
    {
      name: "QUIT after a refusal",
      why: "RFC 5321 §4.1.1.10: a client must send QUIT before it closes, even after a refusal.",
      points: 1,
      async run(client) {
        const { commands } = await play(client, { RCPT: "550 5.1.1 nobody\r\n", DATA: "554 no\r\n" });
        const last = commands.at(-1) ?? "nothing";
        if (last.toUpperCase() !== "QUIT") {
          fail("QUIT as the last command", last, "send QUIT before you close the connection");
        }
      },
    },
    complains(
      "421 after MAIL",
      "RFC 5321 §3.8: a server may end the connection with 421 at any time.",
      { MAIL: "421 4.3.2 shutting down\r\n" },
      "the reply 421",
    ),
    complains(
      "closed after EHLO",
      "A server may close the connection at any time.",
      { EHLO: undefined },
      "a closed connection",
    ),
    complains(
      "closed after the mail",
      "RFC 5321 §4.1.1.4: without the 250 the client must not assume that the mail was accepted.",
      {
        content: undefined,
      },
      "a closed connection",
    ),
    complains("another protocol", "RFC 5321 §4.2: a line that does not start with three digits is not an SMTP reply.", {
      greeting: "SSH-2.0-OpenSSH_9.2\r\n",
    }, "a greeting that is not SMTP"),
    noServer,
  ],
};

export default suite;
