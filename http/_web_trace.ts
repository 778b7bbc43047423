/**
 * `--trace` and `--pcap` where `fetch` holds the connection. It passes on messages, not the bytes of the wire:
 * names of fields are in lower case, compression and framing are removed. Here each message is written out again.
 *
 * @module
 */
import type { Tracing } from "../cli.ts";
import { isTraced, showMessage } from "../tcp/_trace.ts";
import { concat } from "./_concat.ts";
import { reasonPhrase } from "./_reason_phrase.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const nothing = new Uint8Array();

/** Shows one request and the response to it. */
export class WebTrace {
  readonly isOn: boolean;
  readonly #flags: Tracing;
  readonly #client: string;
  readonly #server: string;
  #method = "";
  /** Whether the content of the response goes in chunks. */
  #isChunked = false;

  /** `isProxy`: the server is a proxy, and the request names the complete URL. */
  constructor(flags: Tracing, client: string, server: string, readonly isProxy = false) {
    this.isOn = isTraced(flags);
    this.#flags = flags;
    [this.#client, this.#server] = [client, server];
  }

  /** The client shows the request that it sends. */
  async sendRequest(request: Request): Promise<void> {
    this.#method = request.method;
    const fields: [string, string][] = [["host", new URL(request.url).host], ...request.headers];
    const content = request.body ? await request.bytes() : undefined;
    this.#show(true, message(startLine(request, this.isProxy), fields, content));
  }

  /** The client shows the head of a response. Its content follows. */
  receiveHead(response: Response): void {
    if (!this.isOn) return;
    this.#isChunked = response.body !== null && this.#method !== "HEAD";
    const fields = this.#isChunked ? [...unframed(response.headers), chunked] : [...response.headers];
    this.#show(false, message(statusLine(response), fields));
  }

  /** The client shows a part of the content. */
  receive(data: Uint8Array): void {
    if (this.isOn && this.#isChunked && data.length > 0) this.#show(false, chunk(data));
  }

  /** The client shows the end of the content. */
  receiveEnd(): void {
    if (this.isOn && this.#isChunked) this.#show(false, chunk(nothing));
  }

  #show(isRequest: boolean, data: Uint8Array): void {
    const [from, to] = isRequest ? [this.#client, this.#server] : [this.#server, this.#client];
    showMessage(this.#flags, { side: "client", transport: "tcp", from, to, data, note: "" });
  }
}

const startLine = ({ method, url }: Request, isProxy: boolean) =>
  `${method} ${
    url.replace(isProxy && url.startsWith("http:") ? "" : /^\w+:\/\/[^/?#]*/, "").replace(/#.*/, "") || "/"
  } HTTP/1.1`;

const statusLine = ({ status, statusText }: Response) => `HTTP/1.1 ${status} ${statusText || reasonPhrase(status)}`;

const chunked: [string, string] = ["transfer-encoding", "chunked"];

/** A chunk, with its length before it (RFC 9112 §7.1); the last one has no bytes. */
const chunk = (data: Uint8Array) => concat([encode(`${data.length.toString(16)}\r\n`), data, encode("\r\n")]);

/** The fields that do not describe the framing of the wire, nor a compression that is removed. */
const unframed = (fields: Iterable<[string, string]>) =>
  [...fields].filter(([name]) => !["content-length", "transfer-encoding", "content-encoding"].includes(name));

/** A message; with content, its length is the one that it has here. */
function message(start: string, fields: Iterable<[string, string]>, content?: Uint8Array): Uint8Array {
  const all = content ? [...unframed(fields), ["content-length", `${content.length}`]] : [...fields];
  const head = [start, ...all.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
  return concat([encode(head), content ?? nothing]);
}
