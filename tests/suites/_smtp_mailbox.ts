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
  await Deno.mkdir(path);
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

/** Fails unless the server has kept a mail with exactly these lines, perhaps after fields of its own. */
export async function expectKept(
  mailbox: Mailbox,
  mark: string,
  lines: readonly string[],
  hint: string,
): Promise<void> {
  const found = await findMails(mailbox, mark);
  const wanted = lines.join("\n");
  if (found.some((text) => text.includes(wanted))) return;
  const [mail] = found;
  if (mail === undefined) {
    const count = (await keptMails(mailbox.folder)).length;
    fail(
      `a file below {mailbox} with the mail (${lines[0]} …)`,
      count === 0 ? "no file there" : `${count} files there, none with "${mark}"`,
      "write each mail, its header and its text, into a file of its own in the folder of the environment variable MAILBOX",
    );
  }
  // Where the mail differs: the first line that does not follow the one before it.
  const got = mail.split("\n");
  let at = Math.max(0, got.indexOf(lines[0] ?? ""));
  for (const line of lines) {
    if (got[at] === line) {
      at++;
      continue;
    }
    const encode = (text: string) => quote(new TextEncoder().encode(text));
    fail(
      `the line ${line === "" ? "without text" : encode(line)}`,
      got[at] === undefined ? "the end of the file" : got[at] === "" ? "an empty line" : encode(got[at] ?? ""),
      hint,
    );
  }
}
