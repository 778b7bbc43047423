/** More of the pages in a browser. */
import { assertEquals } from "jsr:@std/assert@1";
import { accessibility } from "../support/accessibility.ts";
import { inBrowser, openPage } from "../support/browser.ts";
import { certificate, listening, serve, until } from "../support/helpers.ts";

inBrowser("the listing of a folder: a name misleads nobody, and every link can be followed", async () => {
  const folder = await Deno.makeTempDir();
  const windows = Deno.build.os === "windows"; // which allows none of these characters in a name
  const names = [
    "cod\u202etxt.exe",
    "שלום.txt",
    "שלום שנה",
    ...windows ? [] : ["back\\slash.txt", "line\nend.txt", "<i>.txt"],
  ];
  for (const name of names) await Deno.writeTextFile(`${folder}/${name}`, `this is ${name}`);
  const flags = ["-N=127.0.0.1", `-R=${folder}`, "http/file_server.ts", "--root", folder];
  const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
  await using _ = program;
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.goto(`http://127.0.0.1:${port}/`);
  const shown = await page.locator("tbody td:first-child").allTextContents();
  const expected = names.map((name) => name.replace("\u202e", "\\u{202e}").replace("\n", "\\n"));
  assertEquals(shown.toSorted(), expected.toSorted());
  const links = await page.locator("tbody a").evaluateAll((all) =>
    all.map((each) => String(Reflect.get(each, "href")))
  );
  assertEquals(links.length, names.filter((name) => !name.includes("\\")).length);
  for (const link of links) {
    const response = await fetch(link);
    const text = await response.text();
    assertEquals([link, response.status, names.includes(text.slice("this is ".length))], [link, 200, true]);
  }
  assertEquals(await accessibility(page), []);
  assertEquals(errors, []);
  await Deno.remove(folder, { recursive: true });
});

inBrowser("the users' page: after a delete the focus is on the next user, and it fits on a narrow screen", async () => {
  const { program, port } = await serve("rest/server.ts");
  await using _ = program;
  for (const name of ["Ada Lovelace", "Alan Turing", "Alonzo Church", "עדה"]) {
    const body = JSON.stringify({ name, email: `${encodeURI(name.replace(" ", "."))}@example.com` });
    const headers = { "content-type": "application/json" };
    await (await fetch(`http://127.0.0.1:${port}/users`, { method: "POST", headers, body })).body?.cancel();
  }
  await using opened = await openPage(320);
  const { page, errors } = opened;
  await page.goto(`http://127.0.0.1:${port}/`);
  await until(async () => await page.locator("#users tr").count() === 4, "four users");
  assertEquals(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
  assertEquals(await accessibility(page), []);
  // No word of a name, a method or an action is broken: each cell is as high as the number of its words allows.
  const broken = await page.evaluate(`[...document.querySelectorAll("td:not(:has(button)):not(#users td:nth-child(3))")]
    .filter((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
      return lines > cell.textContent.split(/[ ?&]/).length;
    }).map((cell) => cell.textContent)`);
  assertEquals(broken, []);
  const rows = page.getByRole("table", { name: "Users" }).getByRole("row");
  assertEquals(await rows.count(), 5); // the roles are there on a narrow screen, too
  const focused = () => page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.name");
  const next = [
    ["Alan Turing", "Delete Alonzo Church, Alonzo.Church@example.com"],
    ["עדה", "Delete Alonzo Church, Alonzo.Church@example.com"],
    ["Alonzo Church", "Delete Ada Lovelace, Ada.Lovelace@example.com"],
    ["Ada Lovelace", "q"],
  ];
  for (const [i, [name, focus]] of next.entries()) {
    await page.getByRole("button", { name: `Delete ${name}, ` }).focus();
    await page.keyboard.press("Enter");
    await until(async () => await page.locator("#users tr").count() === 3 - i, "one user less");
    assertEquals(await focused(), focus);
  }
  assertEquals(errors, []);
});

inBrowser("the users' page: only the response to the newest search is shown", async () => {
  const { program, port } = await serve("rest/server.ts");
  await using _ = program;
  for (const name of ["Ada Lovelace", "Alan Turing", "Alonzo Church"]) {
    const body = JSON.stringify({ name, email: `${name.replace(" ", ".")}@example.com` });
    const headers = { "content-type": "application/json" };
    await (await fetch(`http://127.0.0.1:${port}/users`, { method: "POST", headers, body })).body?.cancel();
  }
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.goto(`http://127.0.0.1:${port}/`);
  await until(async () => await page.locator("#users tr").count() === 3, "three users");
  // The first two responses arrive after the third one, in the opposite order.
  await page.evaluate(`
    const { fetch } = window;
    const delays = { "/users?q=a": 600, "/users?q=al": 300 };
    window.fetch = async (path, init) => {
      const response = await fetch(path, init);
      await new Promise((resolve) => setTimeout(resolve, delays[path] ?? 0));
      window.arrived = (window.arrived ?? 0) + 1;
      return response;
    };`);
  await page.locator("[name=q]").pressSequentially("alo");
  await until(async () => await page.evaluate("window.arrived") === 3, "three responses");
  await page.waitForTimeout(100);
  assertEquals(await page.locator("#users td:nth-child(2)").allTextContents(), ["Alonzo Church"]);
  assertEquals(errors, []);
});

inBrowser("the chat over TLS: a page of https: opens wss:, whose policy allows that", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const flags = ["-N=127.0.0.1", `-R=${folder}`, "http/websocket_server.ts", "--cert", cert, "--key", key];
  const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
  await using _ = program;
  await using opened = await openPage(900, ["--ignore-certificate-errors"]);
  const { page: anna, errors, browser } = opened;
  const bert = await browser.newPage();
  for (const page of [anna, bert]) {
    await page.goto(`https://localhost:${port}/`);
    await page.waitForSelector("#status:text('connected')");
  }
  await anna.fill("input[name=text]", "secret");
  await anna.press("input[name=text]", "Enter");
  await bert.waitForSelector("#log p");
  assertEquals(await bert.locator("#log p").allTextContents(), ["secret"]);
  assertEquals(errors, []);
  await Deno.remove(folder, { recursive: true });
});
