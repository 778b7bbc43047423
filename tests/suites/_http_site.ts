/**
 * The folder that an HTTP server under check has to serve: its files differ in every run, so that no response can be known
 * before.
 *
 * @module
 */
import { join } from "node:path";
import { type Random, word, words } from "./_random.ts";

/** A file of the folder. */
export interface SiteFile {
  /** The path in a request, percent-encoded. */
  readonly target: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The media type that its name stands for. */
  readonly type: string;
}

/** What the folder has. */
export interface Site {
  /** `index.html`, which `/` stands for. */
  readonly page: SiteFile;
  /** A text of ASCII characters. */
  readonly text: SiteFile;
  /** A text with characters of two, three and four bytes. */
  readonly utf8: SiteFile;
  /** Bytes that are no text in any encoding. */
  readonly picture: SiteFile;
  /** Five megabytes of ASCII characters: more than the buffers of a connection hold. */
  readonly big: SiteFile;
  /** A file in a folder with a space in its name. */
  readonly space: SiteFile;
  /** A file with letters beyond ASCII in its name. */
  readonly letters: SiteFile;
  /** The path of the folder itself. */
  readonly folder: string;
  /** A file beside the folder, which no request may reach: its path from the folder, its absolute path, and its text. */
  readonly secret: { readonly path: string; readonly absolute: string; readonly text: string };
}

const encode = (text: string) => new TextEncoder().encode(text);

/** A hundred parts of ASCII characters, each with its number. */
function fiveMegabytes(random: Random): Uint8Array<ArrayBuffer> {
  const part = random.bytes(50_000).map((byte) => 97 + byte % 26);
  const whole = new Uint8Array(100 * part.length);
  for (let i = 0; i < 100; i++) {
    whole.set(part, i * part.length);
    whole.set(encode(`part ${i} `), i * part.length);
  }
  return whole;
}

/** Makes the folder `root` in `folder`, and `root2` beside it. */
export async function makeSite(random: Random, folder: string): Promise<Site> {
  const root = join(folder, "root");
  const beside = join(folder, "root2");
  const file = async (name: string, bytes: Uint8Array<ArrayBuffer>, type: string): Promise<SiteFile> => {
    const path = join(root, ...name.split("/"));
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeFile(path, bytes);
    return { target: `/${name.split("/").map(encodeURIComponent).join("/")}`, bytes, type };
  };
  const secretName = `${word(random)}.txt`;
  const secret = {
    path: `../root2/${secretName}`,
    absolute: join(beside, secretName),
    text: `secret ${words(random, 5)}`,
  };
  await Deno.mkdir(beside, { recursive: true });
  await Deno.writeTextFile(secret.absolute, secret.text);
  const title = words(random, 3);
  const html = `<!DOCTYPE html>\n<title>${title}</title>\n<h1>${title}</h1>\n<p>${words(random, 20)}</p>\n`;
  const index = await file("index.html", encode(html), "text/html");
  return {
    folder: root,
    secret,
    page: { ...index, target: "/" },
    text: await file(`${word(random)}.txt`, encode(`${words(random, 30)}\n${words(random, 10)}\n`), "text/plain"),
    utf8: await file(`${word(random)}.txt`, encode(`Grüße, 世界 👋: ${words(random, 10)} ñ\n`), "text/plain"),
    picture: await file(
      `${word(random)}.png`,
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...random.bytes(20_000), 0xff, 0xfe),
      "image/png",
    ),
    big: await file(`${word(random)}.txt`, fiveMegabytes(random), "text/plain"),
    space: await file(`${word(random)} ${word(random)}/${word(random)} 1.txt`, encode(words(random, 12)), "text/plain"),
    letters: await file(`grüße-${word(random)}-世界.txt`, encode(words(random, 12)), "text/plain"),
  };
}
