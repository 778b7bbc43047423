/**
 * Shows a Maildir in a browser, with search, and offers its mails to tests as JSON. New mail appears by itself.
 *
 * Look at the policies for a mail's HTML: anyone can send a mail, so its HTML is shown in a sandboxed frame without scripts,
 * forms or remote content. Loading a remote picture would tell the sender that the mail was read.
 *
 * First `deno task smtp-server --maildir mail`, then `deno run -N=127.0.0.1 -R=mail -W=mail smtp/inbox.ts` or
 * `deno task smtp-inbox`, and open http://127.0.0.1:8025/. Without `-W` nothing can be deleted. Send a mail with
 * `deno task smtp-send --to you@example.com --text Hello`. RFC 5322 and 2045 (mails). API: Deno.watchFs.
 *
 * @module
 */
import { run, serverOptions, text } from "../cli.ts";
import { maxClients } from "../tcp/_clients.ts";
import type { WebFlags } from "../http/_web_server.ts";
import { Inbox } from "./_inbox_server.ts";

/** Shows the mails of a Maildir until Ctrl-C. `_inbox_server.ts` says what each request gets. */
async function showMaildir(flags: WebFlags & { maildir: string }): Promise<void> {
  const inbox = await Inbox.open(flags.maildir);
  if (inbox.isReadOnly) console.log(`read only: to delete mails and to mark them as read, add -W=${flags.maildir}`);
  await inbox.serve(flags);
}

const command = {
  name: "inbox",
  about: "Shows a Maildir in a browser, and offers its mails to tests as JSON (/openapi.json).",
  run: "deno run -N=127.0.0.1 -R=mail -W=mail smtp/inbox.ts",
  examples: [
    "deno task smtp-inbox",
    "deno task smtp-inbox --maildir mail --port 8026",
  ],
  options: {
    ...serverOptions(8025, "close a client that is silent for this long; 0: never"),
    "maildir": text("mail", "the Maildir", "DIR"),
    "max-clients": maxClients(1000),
  },
};

await run(command, showMaildir);
