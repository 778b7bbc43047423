/** What `deno task watch` shows of every lesson, and the pages that it saves. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { planPair } from "../watch/plan.ts";
import { saved } from "../watch/server.ts";
import { inBrowser, keep, openPage } from "../support/browser.ts";
import { pairs } from "../support/tasks.ts";
import { arrowsOf, isWatched, serveShow, shows, watched } from "../support/watching.ts";

for (const [name] of pairs()) isWatched(name);

inBrowser(
  "watch in a browser: the saved page of every pair draws its messages, without an error, also on a phone",
  async () => {
    await using opened = await openPage(1000);
    const { page, errors } = opened;
    const file = await Deno.makeTempFile({ suffix: ".html" });
    for (const [name] of pairs()) {
      // What the tests above have seen; with --filter they may not have run.
      const show = shows.get(name) ?? await watched(await planPair(name, ""));
      await page.setViewportSize({ width: 1000, height: 640 });
      await Deno.writeTextFile(file, saved(show));
      await page.goto(`file://${file}`);
      await page.waitForSelector(".arrow, .mark");
      await page.locator("#picture").focus();
      await page.keyboard.press("Home");
      await page.waitForSelector("[aria-selected=true]");
      const first = arrowsOf(show.model).find(({ bytes }) => bytes > 0);
      if (first) {
        await page.evaluate(`choose(${first.id})`);
        await page.waitForSelector("#bytes");
        const hasFields = !/^tcp|pinger|syscalls/.test(name); // their messages are text, or numbers of their own
        assertEquals(await page.locator("#fields").count(), hasFields ? 1 : 0, `${name}: ${first.text}`);
      }
      await page.setViewportSize({ width: 360, height: 640 });
      assertEquals(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true, name);
      assertEquals(errors, [], name);
    }
    await Deno.remove(file);
  },
);

inBrowser("watch in a browser: the pictures of the README", async () => {
  await using opened = await openPage(1200);
  const { page, errors } = opened;
  const plan = await planPair("udp:chat", "delay=20ms", "client: drop 1; server: drop 2");
  const chat = await watched({ ...plan, title: "udp:chat over a bad network" });
  assertEquals(arrowsOf(chat.model).filter(({ isLost }) => isLost).length, 2);
  assert(arrowsOf(chat.model).some(({ again }) => again !== undefined));
  const again = () => "";
  const change = () => Promise.resolve("");
  Object.assign(chat, { again, change, network: "loss=20% delay=20ms", transport: "udp" });
  const pictures = [
    { show: chat, path: "tests/watch/watch.png", size: [1200, 880], text: "Anyone here", field: /^text/ },
    { show: shows.get("smtp:send"), path: "tests/watch/smtp.png", size: [1100, 740], text: "250", field: /^text/ },
    { show: shows.get("dns:walk"), path: "tests/watch/walk.png", size: [1800, 760], text: "answer", field: /^data/ },
  ] as const;
  for (const { show, path, size: [width, height], text, field } of pictures) {
    if (!show) continue; // with --filter
    await using server = serveShow(show);
    await page.setViewportSize({ width, height });
    await page.goto(server.url);
    await page.waitForSelector("text=ended with exit code 0");
    if (show === chat) await page.click("#network summary");
    const chosen = arrowsOf(show.model).findLast((arrow) => arrow.text.includes(text));
    await page.evaluate(`scroll.scrollTop = 0; choose(${chosen?.id})`);
    await page.locator("#fields button", { hasText: field }).last().hover();
    await page.waitForSelector("#bytes .lit");
    await keep(page, path);
    await page.goto("about:blank"); // its server waits until its events have no reader
  }
  assertEquals(errors, []);
});
