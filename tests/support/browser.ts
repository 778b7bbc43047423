/**
 * Opens pages in Chromium (Debian's package), without a window.
 *
 * @module
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import { testWith } from "./helpers.ts";
import { has, Program } from "./program.ts";
import { root } from "./tasks.ts";
import type { Browser, Page, Playwright } from "./types/playwright.d.ts";

/** The packages that only these tests need. Were they in deno.lock, the first task of every newcomer would fetch them. */
const packages = ["npm:playwright-core@1.65.1", "npm:axe-core@4.14.1"] as const;
const locked = ["--no-config", "--lock=tests/support/browser.lock", "--frozen"];

/** A test in a browser. It is ignored where there is no Chromium, and where the packages cannot be fetched. */
export function inBrowser(name: string, body: () => Promise<void>): void {
  const missing = chromium ? "playwright-core and axe-core, and none came from the npm registry" : "chromium";
  testWith(fetched, missing, name, body);
}

// Debian has Chromium without its windows in a package of its own, which starts in half of the time.
const browsers = ["chromium-headless-shell", "chromium"];
const installed = await Promise.all(browsers.map((name) => has(name, "--version")));
const chromium = browsers.find((_, i) => installed[i]);
const fetched = chromium !== undefined && (await deno("cache", ...locked, ...packages)).code === 0;

/** Loads one of the packages from where Deno keeps what it has fetched. */
export async function load(name: typeof packages[number]): Promise<unknown> {
  const { stdout } = await deno("info", "--json", ...locked, name);
  const { npmPackages }: { npmPackages: Record<string, { localPath: string }> } = JSON.parse(stdout);
  return createRequire(import.meta.url)(npmPackages[name.slice("npm:".length)]?.localPath ?? name);
}

async function deno(...args: string[]): Promise<{ code: number; stdout: string }> {
  const program = new Program(["deno", ...args], { cwd: root });
  const { code } = await program.end(120);
  return { code, stdout: program.stdout };
}

/** A page in its own browser. `errors` collects the errors of its scripts, and of the requests it sends. */
export interface Opened extends AsyncDisposable {
  readonly page: Page;
  readonly errors: string[];
  readonly browser: Browser;
}

/** Opens an empty page, `width` pixels wide. `more` are options of Chromium. */
export async function openPage(width: number, more: readonly string[] = []): Promise<Opened> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir(); // its profile, and whatever Chromium writes and does not remove
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const flags = [
    "--headless",
    "--disable-gpu",
    "--remote-debugging-port=0",
    `--user-data-dir=${folder}/profile`,
    ...more,
    "about:blank",
  ];
  const command = [chromium ?? "", ...Deno.uid() === 0 ? ["--no-sandbox"] : [], ...flags];
  const program = cleanup.use(new Program(command, { env: { TMPDIR: folder } }));
  const [url = ""] = await program.line(/ws:\/\/\S+/, 60);
  // playwright-core reads /proc to see whether it runs in WSL, and Deno allows that only with all permissions.
  const { existsSync } = fs;
  fs.existsSync = (path) => !`${path}`.startsWith("/proc/") && existsSync(path);
  const playwright = await load("npm:playwright-core@1.65.1") as Playwright;
  fs.existsSync = existsSync;
  const browser = await playwright.chromium.connectOverCDP(url);
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
