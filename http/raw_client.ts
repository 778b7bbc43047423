/**
 * An HTTP client with nothing between you and the bytes: it writes a request to a TCP connection and shows what it sent
 * (`>`), what came back (`<`), and the body.
 *
 * Look at `receive`: the body's end is not marked in any one way. It is where Content-Length says, or after the last chunk,
 * or where the connection ends, and a client that does not know which has either too little or waits for ever.
 *
 * ```sh
 * deno run -N=127.0.0.1 http/raw_client.ts /about.txt
 * deno run -N http/raw_client.ts https://example.com/ --follow
 * deno run -N=127.0.0.1 http/raw_client.ts --method POST -H "Content-Type: application/json" --data '{"name": "Ada"}' \
 *   http://127.0.0.1:5000/users
 * ```
 *
 * Start `deno run -N=127.0.0.1 -R=http http/one_request_server.ts` in another terminal first. Both at once:
 * `deno task http:raw`.
 *
 * RFC 9112. API: Deno.connect, Deno.connectTls.
 *
 * @module
 */
import {
  clientOptions,
  count,
  explain,
  Failure,
  place,
  printable,
  progress,
  reach,
  run,
  text,
  texts,
  toggle,
  within,
} from "../cli.ts";
import { readCertificates } from "../tcp/certificates.ts";
import { traced } from "../tcp/trace.ts";
import { writeAll } from "../tcp/write_all.ts";
import { Body, responseFraming } from "./body.ts";
import {
  concat,
  Fields,
  HEAD,
  headLength,
  MessageError,
  parseResponse,
  type ResponseHead,
  writeRequest,
} from "./message.ts";
import { type Output, toFile, toTerminal } from "./output.ts";

const command = {
  name: "raw_client",
  about: "Sends an HTTP request, every byte of it written by hand, and shows the response.",
  run: "deno run -N=127.0.0.1 http/raw_client.ts",
  args: "[URL | /PATH]",
  options: {
    ...clientOptions(8080),
    "method": text("", "the request's method (GET, or POST with --data)", "METHOD"),
    "header": texts("a field of the request, 'Name: value'", "FIELD", "H"),
    "data": text("", "the request's body"),
    "follow": toggle("go on to where a redirect leads, ten times at most"),
    "output": text("", "write the body there", "FILE"),
    "ca": text("", "the certificate that an https server's is signed with, if no public one", "FILE"),
  },
};

/** Where a request goes: the server, and the target as it stands in the request line. */
interface Address {
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number;
  readonly target: string;
}

await run(command, async (flags) => {
  let address = parseAddress(flags.args[0] ?? "/", flags);
  let method = flags.method || (flags.data ? "POST" : "GET");
  let fields = flags.header.map(parseHeader);
  let data = new TextEncoder().encode(flags.data);
  const caCerts = flags.ca ? await readCertificates(flags.ca) : undefined;

  for (let redirects = 0;; redirects++) {
    let response: ResponseHead;
    try {
      response = await exchange();
    } catch (error) {
      if (error instanceof MessageError) throw new Failure(`${place(address)} broke the protocol: ${error.message}`);
      throw explain(error, address);
    }
    const location = response.fields.get("location");
    if (!flags.follow || response.status < 300 || response.status > 399 || location === undefined) return;
    if (redirects === 10) throw new Failure("ten redirects, and no end");
    const next = new URL(location, urlOf(address));
    if (next.origin !== urlOf(address).origin) { // another server is not told this one's secrets
      fields = fields.filter(([name]) => !/^(authorization|cookie|host)$/i.test(name));
    }
    address = parseAddress(next.href, flags);
    // 307 and 308 repeat the request as it was; the older ones came to mean: go there with GET (RFC 9110 §15.4).
    if (response.status < 307 && method !== "HEAD") {
      [method, data] = ["GET", new Uint8Array()];
      fields = fields.filter(([name]) => !/^content-/i.test(name));
    }
    console.log();
  }

  /** One request and its response, on a connection of its own. */
  async function exchange(): Promise<ResponseHead> {
    const { tls, hostname, port, target } = address;
    const connected = await reach(
      { ...flags, host: hostname, port },
      (signal): Promise<Deno.TcpConn | Deno.TlsConn> =>
        tls ? Deno.connectTls({ hostname, port, caCerts }) : Deno.connect({ hostname, port, signal }),
    );
    using conn = flags.trace ? traced(connected, flags.trace) : connected;
    const defaults: [string, string][] = [
      ["Host", place(address).replace(tls ? /:443$/ : /:80$/, "")],
      ["User-Agent", "socketlab"],
      ["Accept", "*/*"],
      ["Connection", "close"],
    ];
    if (data.length > 0) {
      defaults.push(["Content-Type", "application/x-www-form-urlencoded"], ["Content-Length", `${data.length}`]);
    }
    const own = (name: string) => fields.some(([given]) => given.toLowerCase() === name.toLowerCase());
    const request = head({ method, target, fields: [...defaults.filter(([name]) => !own(name)), ...fields] });
    const lines = new TextDecoder().decode(request).trimEnd().split("\r\n");
    for (const line of [...lines, ""]) console.log(`> ${printable(line)}`.trimEnd());
    await writeAll(conn, concat(request, data));
    return await receive(conn);
  }

  async function receive(conn: Deno.TcpConn | Deno.TlsConn): Promise<ResponseHead> {
    const from = place(address);
    const buffer = new Uint8Array(HEAD.section + HEAD.line);
    let got = 0;
    const more = async (into: Uint8Array) =>
      await within(flags.timeout, conn.read(into), `${from} sent nothing for ${flags.timeout} s`);
    let response: ResponseHead;
    while (true) {
      const length = headLength(buffer.subarray(0, got));
      if (length < 0) {
        const n = await more(buffer.subarray(got));
        if (n === null) {
          throw new Failure(`${from} closed the connection ${got > 0 ? "inside of" : "without"} a response`);
        }
        got += n;
        continue;
      }
      response = parseResponse(buffer.subarray(0, length));
      console.log(`< HTTP/1.${response.minor} ${response.status} ${printable(response.reason)}`.trimEnd());
      for (const [name, value] of response.fields) console.log(`< ${name}: ${printable(value)}`);
      console.log("<");
      buffer.copyWithin(0, length, got);
      got -= length;
      if (response.status >= 200 || response.status === 101) break; // before it any number of 1xx (RFC 9110 §15.2)
    }

    const framing = responseFraming(response, method);
    const body = new Body(framing);
    const output: Output = flags.output ? await toFile(flags.output) : toTerminal();
    const bar = progress(flags.output, framing.kind === "length" ? framing.length : Infinity);
    try {
      const take = (bytes: Uint8Array) => {
        body.push(bytes, (part) => output.write(part));
        bar(body.size);
      };
      take(buffer.subarray(0, got));
      while (!body.done) {
        const n = await more(buffer);
        if (n === null) body.end();
        else take(buffer.subarray(0, n));
      }
    } catch (error) {
      output.abandon();
      throw error;
    }
    output.finish();
    for (const [name, value] of body.trailers) console.log(`< ${name}: ${printable(value)} (trailer)`);
    const promised = {
      none: "none, as this response has none",
      length: `${count(body.size, "byte")}, as Content-Length promised`,
      chunked: `${count(body.size, "byte")} in chunks, up to the last one`,
      close: `${count(body.size, "byte")}, up to the end of the connection; nothing says whether that is all`,
    };
    console.log(`body: ${promised[framing.kind]}`);
    return response;
  }
});

/** A request's head. @throws {Failure} with code 2 on what would be no request. */
function head(request: { method: string; target: string; fields: [string, string][] }): Uint8Array<ArrayBuffer> {
  try {
    return writeRequest({ ...request, fields: new Fields(request.fields) });
  } catch (error) {
    if (error instanceof MessageError) throw new Failure(error.message, 2);
    throw error;
  }
}

function parseHeader(line: string): [string, string] {
  const [, name, value] = /^([^:\s]+):[ \t]*(.*)$/s.exec(line) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new Failure(`-H wants 'Name: value', not ${printable(line)}`, 2);
}

/** A path is sent just as it was given, dots and all; a URL goes through the URL standard's parser. */
function parseAddress(given: string, flags: { host: string; port: number }): Address {
  if (given.startsWith("/")) return { tls: false, hostname: flags.host, port: flags.port, target: given };
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new Failure(`a URL starts with http:// or https:// and a host, a path with /: ${printable(given)}`, 2);
  }
  const tls = url.protocol === "https:";
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  return { tls, hostname, port: Number(url.port || (tls ? 443 : 80)), target: url.pathname + url.search };
}

function urlOf(address: Address): URL {
  return new URL(address.target, `${address.tls ? "https" : "http"}://${place(address)}`);
}
