/** The pages in a browser: what a person sees, clicks and types. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { accessibility } from "./support/accessibility.ts";
import { inBrowser, keep, openPage } from "./support/browser.ts";
import { freePort } from "./support/free_port.ts";
import { serve, until } from "./support/helpers.ts";
import { Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

inBrowser("the listing of a folder: its links work, and it fits on a phone", async () => {
  const { program, port } = await serve("http/file_server.ts", "--root", "http");
  await using _ = program;
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.setViewportSize({ width: 900, height: 1400 }); // without a scroll bar, which would cut off the picture
  await page.goto(`http://127.0.0.1:${port}/`);
  assertEquals(await accessibility(page), []);
  await keep(page, "http/listing.png");
  assertEquals(await page.title(), "/");
  const names = await page.locator("tbody a").allTextContents();
  assertEquals(names[0], "site/");
  assertEquals(names.slice(1), [...names.slice(1)].sort((a, b) => a.localeCompare(b, "en")));
  await page.click("text=site/");
  assertEquals(await page.textContent("h1"), "It works"); // its index.html
  await page.click("text=notes/");
  assertEquals(await page.locator("tbody a").allTextContents(), ["../", "first.txt", "second.txt"]);
  await page.click("text=second.txt");
  assertMatch(await page.textContent("body") ?? "", /Notes of the second lesson/);
  await page.goBack({ waitUntil: "commit" });
  await page.click("h1 >> text=site");
  assertEquals(await page.textContent("h1"), "It works");
  await page.goto(`http://127.0.0.1:${port}/site/notes/`);
  await page.setViewportSize({ width: 360, height: 640 });
  const fits = await page.evaluate("document.documentElement.scrollWidth <= innerWidth");
  assertEquals(fits, true);
  assertEquals(await page.locator("td.date").first().isVisible(), false);
  assertEquals(errors, []);
});

inBrowser("the users' page: a form adds, a button deletes, errors are shown, and a name is never HTML", async () => {
  const { program, port } = await serve("rest/server.ts");
  await using _ = program;
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.goto(`http://127.0.0.1:${port}/`);
  const add = async (name: string, email: string) => {
    await page.fill("[name=name]", name);
    await page.fill("[name=email]", email);
    await page.click("#add button");
  };
  await add("Ada Lovelace", "ada@example.com");
  await page.waitForSelector("text=201 Created: /users/1");
  await add("Alan Turing", "alan@example.com");
  await page.waitForSelector("text=201 Created: /users/2");
  await page.waitForSelector("#users tr:nth-child(2)");
  assertEquals(await accessibility(page), []);
  await keep(page, "rest/page.png");
  await add("Somebody", "ADA@example.com");
  await page.waitForSelector("text=409 Conflict: another user has this email");
  await add("Somebody", "nobody");
  await page.waitForSelector("text=422 Unprocessable Entity: email is not an email address");
  await add('<img src=x onerror="document.title=1">', "markup@example.com");
  await page.waitForSelector("#users tr:nth-child(3)");
  assertEquals(
    await page.locator("#users tr:nth-child(3) td:nth-child(2)").textContent(),
    '<img src=x onerror="document.title=1">',
  );
  await page.fill("[name=q]", "turing");
  await until(async () => await page.locator("#users tr").count() === 1, "one user");
  await page.getByRole("button", { name: "Delete Alan Turing, alan@example.com" }).click();
  await page.waitForSelector("text=204 No Content: user 2 was deleted");
  await page.fill("[name=q]", "");
  await until(async () => await page.locator("#users tr").count() === 2, "two users");
  assertEquals(await page.title(), "Users API");
  // The browser itself reports the two responses with an error.
  assert(errors.every((error) => /status of (409|422) /.test(error)) && errors.length === 2, errors.join("\n"));
});

inBrowser("the chat: two pages talk, a message is text, and one of another origin may not connect", async () => {
  const { program, port } = await serve("http/websocket_server.ts");
  await using _ = program;
  await using opened = await openPage(900);
  const { page: anna, errors, browser } = opened;
  const bert = await browser.newPage();
  for (const page of [anna, bert]) {
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.waitForSelector("#status:text('connected')");
  }
  assertEquals(await accessibility(anna), []);
  const text = "<img src=x onerror=alert(1)> grüß 👋";
  await anna.fill("input[name=text]", text);
  await anna.press("input[name=text]", "Enter");
  await bert.waitForSelector("#log p");
  assertEquals(await bert.locator("#log p").allTextContents(), [text]);
  assertEquals(await anna.locator("#log p").allTextContents(), [`you: ${text}`]);
  await anna.setViewportSize({ width: 360, height: 640 });
  assertEquals(await anna.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
  assertEquals(errors, []);
  await program.stop();
  await bert.waitForSelector("#status:text('closed')");

  const second = await serve("http/websocket_server.ts");
  await using _second = second.program;
  const foreign = await browser.newPage();
  const connect = `new Promise((done) => {
    const socket = new WebSocket("ws://127.0.0.1:${second.port}/chat");
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  })`;
  await foreign.goto("data:text/html,a page of another origin");
  assertEquals(await foreign.evaluate(connect), "refused");
});

inBrowser("the game: keys move the player, the newest window plays, and Leave ends the client", async () => {
  const { program: server, port } = await serve("udp/game_server.ts");
  await using _ = server;
  const at = freePort();
  const flags = ["-N=127.0.0.1", "--unstable-net", "udp/game_client.ts", "--port", `${port}`, "--page", `${at}`];
  await using client = new Program(["deno", "run", ...flags, "--name", "anna"], { cwd: root });
  await client.line(/^Open http:\/\/127\.0\.0\.1:\d+\/ to play/);
  await using opened = await openPage(900);
  const { page, errors, browser } = opened;
  await page.goto(`http://127.0.0.1:${at}/`);
  await page.waitForSelector("#status:text('ms to the server')");
  assertEquals(await page.locator("#scores li").allTextContents(), ["you, anna: 0 (0 won)"]);
  assertEquals(await accessibility(page), []);
  const field = `document.querySelector("#field").toDataURL()`;
  const moves = async (act: () => Promise<void>) => {
    const before = await page.evaluate(field);
    await act();
    await until(async () => await page.evaluate(field) !== before, "the player has moved");
  };
  const stands = async () => {
    await page.click("text=Stop");
    await until(async () => {
      const before = await page.evaluate(field);
      await page.waitForTimeout(200);
      return await page.evaluate(field) === before;
    }, "the player stands");
  };
  await stands();
  // Where it begins is chosen at random: one of two ways is free.
  await moves(async () => {
    await page.press("body", "ArrowLeft");
    await page.waitForTimeout(200);
    await page.press("body", "d");
  });
  await stands();
  await moves(async () => {
    await page.click("[aria-label=up]");
    await page.waitForTimeout(200);
    await page.click("[aria-label=down]");
  });
  await page.setViewportSize({ width: 360, height: 640 });
  assertEquals(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);

  const second = await browser.newPage();
  await second.goto(`http://127.0.0.1:${at}/`);
  await page.waitForSelector("#status:text('another window plays')");
  await second.waitForSelector("#status:text('ms to the server')");
  const foreign = await browser.newPage();
  await foreign.goto("data:text/html,a page of another origin");
  const connect = `new Promise((done) => {
    const socket = new WebSocket("ws://127.0.0.1:${at}/game");
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  })`;
  assertEquals(await foreign.evaluate(connect), "refused");
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: at });
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"));
  assertMatch(await new Response(conn.readable).text(), /^HTTP\/1\.1 421 /);

  await second.click("text=Leave");
  assertEquals([(await client.end()).code, client.stderr], [0, ""]);
  await server.line(/^anna left$/);
  assertEquals(errors, []);
});
