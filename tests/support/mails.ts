/**
 * Mails in a Maildir, for the tests of the inbox.
 *
 * @module
 */

/** A folder with an empty Maildir, which is removed at the end. Its path has a link where there are links, as /tmp has on macOS. */
export async function newMaildir(): Promise<AsyncDisposable & { path: string }> {
  const folder = await Deno.makeTempDir();
  for (const name of ["tmp", "new", "cur"]) await Deno.mkdir(`${folder}/real/${name}`, { recursive: true });
  const hasLinks = Deno.build.os !== "windows";
  if (hasLinks) await Deno.symlink("real", `${folder}/link`);
  const path = `${folder}/${hasLinks ? "link" : "real"}`;
  return { path, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

export type Fields = Record<string, string>;

/** A mail as it lies in a file: header fields, and a body. */
export const mail = (fields: Fields, body = "Hello\n"): string =>
  [...Object.entries(fields).map(([name, value]) => `${name}: ${value}`), "MIME-Version: 1.0", "", body].join("\n")
    .replaceAll("\n", "\r\n");

/** Puts a mail into a Maildir as a mail server does: it is complete when it appears in `new`. */
export async function put(maildir: string, name: string, content: string): Promise<void> {
  await Deno.writeTextFile(`${maildir}/tmp/${name}`, content);
  await Deno.rename(`${maildir}/tmp/${name}`, `${maildir}/new/${name}`);
}

export const fields = (subject: string, more: Fields = {}): Fields => ({
  ...{ From: "Ada <ada@example.com>", To: "alan@example.com", Subject: subject, ...more },
});
