/**
 * Debian's Chromium, without a window, for the pages.
 *
 * @module
 */
import fs from "node:fs";
import type { Browser, Page } from "npm:playwright-core@1";
import { Program } from "./program.ts";

/** A page of a browser of its own, and what went wrong on it: errors of scripts, and of what it loads. */
export interface Opened extends AsyncDisposable {
  readonly page: Page;
  readonly errors: string[];
  readonly browser: Browser;
}

/** Opens an empty page, `width` pixels wide. */
export async function openPage(width: number): Promise<Opened> {
  const profile = await Deno.makeTempDir();
  const flags = [
    "--headless",
    "--disable-gpu",
    "--remote-debugging-port=0",
    `--user-data-dir=${profile}`,
    "about:blank",
  ];
  const program = new Program(["chromium", ...Deno.uid() === 0 ? ["--no-sandbox"] : [], ...flags]);
  const [url = ""] = await program.line(/ws:\/\/\S+/, 60);
  // playwright-core looks into /proc to see whether it runs on Windows, and Deno lets nobody read there who may not do all.
  const { existsSync } = fs;
  fs.existsSync = (path) => !`${path}`.startsWith("/proc/") && existsSync(path);
  const { chromium } = await import("npm:playwright-core@1");
  fs.existsSync = existsSync;
  const browser = await chromium.connectOverCDP(url);
  const page = await browser.newPage({ viewport: { width, height: 640 } });
  const errors: string[] = [];
  page.on("console", (message) => {
    // A browser asks for the icon of a page that names none, as that of a plain text, and reports that it is not there.
    if (message.location().url.endsWith("/favicon.ico")) return;
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("requestfailed", (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`));
  return {
    page,
    errors,
    browser,
    async [Symbol.asyncDispose]() {
      await browser.close();
      await program.stop();
      await Deno.remove(profile, { recursive: true });
    },
  };
}

/** Keeps a picture of the page for the README, when SCREENSHOTS is set. */
export async function keep(page: Page, path: string): Promise<void> {
  if (Deno.env.get("SCREENSHOTS")) {
    await page.screenshot({ fullPage: true, path: new URL(`../${path}`, import.meta.url).pathname });
  }
}
