/**
 * The folder where a mail server under check keeps its mails, and what it is asked to keep: another text in every run.
 *
 * @module
 */
import { join } from "node:path";
import { type Random, word, words } from "./_random.ts";
import { contentOf, fail, quote } from "./_suite.ts";

/** What the checks know of the server. */
export interface Mailbox {
  /** The folder; below it each mail is a file of its own, with any name. */
  readonly folder: string;
  readonly random: Random;
}

async function makeMailbox(random: Random, folder: string): Promise<Mailbox> {
  const path = join(folder, "mailbox");
  // A library for Maildirs expects these three in a folder that exists.
  for (const part of ["tmp", "new", "cur"]) await Deno.mkdir(join(path, part), { recursive: true });
  return { folder: path, random };
}

export const mailboxes = contentOf(async (random: Random, folder: string) => {
  const content = await makeMailbox(random, folder);
  return { content, values: { mailbox: content.folder } };
});

/** A mail that nobody has seen before, with an empty line in its text. */
export function newMail(random: Random, more: readonly string[] = []): { mark: string; lines: string[] } {
  const mark = word(random, 12);
  const header = ["From: a@example.com", "To: b@example.com", `Subject: ${words(random, 3)}`, `X-Mark: ${mark}`];
  return { mark, lines: [...header, "", words(random, 6), "", ...more, `The end of ${mark}.`] };
}

/** All mails that the server has kept so far. */
async function keptMails(folder: string): Promise<Uint8Array[]> {
  const mails: Uint8Array[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) mails.push(...await keptMails(path));
    // A server may move a file, from tmp to new for example, while the folder is read.
    if (isFile) mails.push(await Deno.readFile(path).catch(() => new Uint8Array()));
  }
  return mails;
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");

/** The mails with this mark. Waits a second for the first, since a server may write what it has promised a moment later. */
export async function findMails({ folder }: Mailbox, mark: string, wait = true): Promise<string[]> {
  for (let tries = 0;; tries++) {
    const found = (await keptMails(folder)).map(textOf).filter((text) => text.includes(mark));
    if (found.length > 0 || !wait || tries > 10) return found;
    await new Promise((again) => setTimeout(again, 100));
  }
}

/** A line for a report. */
const show = (line: string | undefined) =>
  line === undefined ? "the end of the file" : line === "" ? "an empty line" : quote(new TextEncoder().encode(line));

/** Fails unless the server has kept a mail with these lines. It may have added fields to the header; the text is unchanged. */
export async function expectKept(
  mailbox: Mailbox,
  mark: string,
  lines: readonly string[],
  hint: string,
): Promise<void> {
  const [mail] = await findMails(mailbox, mark);
  if (mail === undefined) {
    const count = (await keptMails(mailbox.folder)).length;
    fail(
      `a file below {mailbox} with the mail (${lines[0]} …)`,
      count === 0 ? "no file there" : `${count} files there, none with "${mark}"`,
      "write each mail, its header and its text, into a file of its own in the folder of the environment variable MAILBOX",
    );
  }
  const got = mail.split("\n");
  const empty = lines.indexOf("");
  let at = 0;
  for (const [i, line] of lines.entries()) {
    // Further fields may stand before each line of the header, and at its end.
    if (i <= empty) { while (got[at] !== line && got[at] !== undefined && got[at] !== "") at++; }
    if (got[at] !== line) fail(`the line ${show(line)}`, show(got[at]), hint);
    at++;
  }
}
