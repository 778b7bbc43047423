/**
 * Opens pages in Chromium (Debian's package), without a window.
 *
 * @module
 */
import fs from "node:fs";
import type { Browser, Page } from "npm:playwright-core@1";
import { Program } from "./program.ts";
import { root } from "./tasks.ts";

/** A page in its own browser. `errors` collects the errors of its scripts, and of the requests it sends. */
export interface Opened extends AsyncDisposable {
  readonly page: Page;
  readonly errors: string[];
  readonly browser: Browser;
}

/** Opens an empty page, `width` pixels wide. */
export async function openPage(width: number): Promise<Opened> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir(); // its profile, and whatever Chromium writes and does not remove
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const flags = [
    "--headless",
    "--disable-gpu",
    "--remote-debugging-port=0",
    `--user-data-dir=${folder}/profile`,
    "about:blank",
  ];
  const command = ["chromium", ...Deno.uid() === 0 ? ["--no-sandbox"] : [], ...flags];
  const program = cleanup.use(new Program(command, { env: { TMPDIR: folder } }));
  const [url = ""] = await program.line(/ws:\/\/\S+/, 60);
  // playwright-core reads /proc to see whether it runs in WSL, and Deno allows that only with all permissions.
  const { existsSync } = fs;
  fs.existsSync = (path) => !`${path}`.startsWith("/proc/") && existsSync(path);
  const { chromium } = await import("npm:playwright-core@1");
  fs.existsSync = existsSync;
  const browser = await chromium.connectOverCDP(url);
  cleanup.defer(() => browser.close());
  const page = await browser.newPage({ viewport: { width, height: 640 } });
  const errors: string[] = [];
  page.on("console", (message) => {
    // If a page names no icon (plain text has none), the browser requests this one and reports that it is missing.
    if (message.location().url.endsWith("/favicon.ico")) return;
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") errors.push(`${request.url()}: ${why}`); // aborted: its page was left meanwhile
  });
  const opened = cleanup.move(); // from here on the caller cleans up
  return { page, errors, browser, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Saves a picture of the page for a lab sheet, if SCREENSHOTS is set. `path` begins at the repository. */
export async function keep(page: Page, path: string): Promise<void> {
  if (Deno.env.get("SCREENSHOTS")) {
    await page.screenshot({ fullPage: true, path: `${root}${path}` });
  }
}
