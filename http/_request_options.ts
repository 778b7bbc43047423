/**
 * The options of a client that say what its request is.
 *
 * @module
 */
import { Failure, list, printable, seconds, text } from "../cli.ts";
import { readFile } from "../tcp/_read_file.ts";
import { proxyOption } from "./_proxy_option.ts";

/** The options of every HTTP client: `...requestOptions`. */
export const requestOptions = {
  "method": text("", "the request's method (GET, or POST with --data)", "METHOD"),
  "header": list("a field of the request, 'Name: value'", "FIELD", "H"),
  "user": text("", "send this name and password (basic authentication)", "NAME:PASSWORD"),
  "data": text("", "the request's body; @FILE: the bytes of a file, @-: of stdin"),
  "output": text("", "write the body of the response to FILE", "FILE"),
  "proxy": proxyOption,
  "max-time": seconds(0, "how long one whole exchange may take; 0: no limit"),
};

/** What these options say: the method, the fields that the user chose, and the body. */
export interface ChosenRequest {
  readonly method: string;
  readonly fields: [name: string, value: string][];
  /** Empty without `--data`. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Parses the options of a request. @throws {Failure} with code 2 when one is malformed, or a file cannot be read. */
export async function chosenRequest(
  flags: { method: string; header: string[]; user: string; data: string },
): Promise<ChosenRequest> {
  const fields = flags.header.map(parseField);
  if (flags.user) {
    if (fields.some(([name]) => name.toLowerCase() === "authorization")) {
      throw new Failure("--user or --header Authorization, not both", 2);
    }
    fields.push(["Authorization", basicCredentials(flags.user)]);
  }
  return { method: flags.method || (flags.data ? "POST" : "GET"), fields, body: await readData(flags.data) };
}

/** Name and password as the Authorization field has them: in base64, which anyone can read (RFC 7617). */
function basicCredentials(user: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what this test looks for
  if (!user.includes(":") || /[\0-\x1f\x7f]/.test(user)) {
    throw new Failure("--user needs NAME:PASSWORD, without control characters", 2);
  }
  return `Basic ${new TextEncoder().encode(user).toBase64()}`;
}

async function readData(data: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!data.startsWith("@")) return new TextEncoder().encode(data);
  return data === "@-" ? await new Response(Deno.stdin.readable).bytes() : await readFile(data.slice(1));
}

function parseField(line: string): [string, string] {
  const [, name, value = ""] = /^([^:\s]+):[ \t]*(.*)$/s.exec(line) ?? [];
  if (name !== undefined) return [name, value];
  throw new Failure(`--header needs 'Name: value', not ${printable(line)}`, 2);
}
