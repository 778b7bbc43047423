/**
 * Parses what the `ping` programs of Linux (iputils, busybox), macOS and Windows print, in any language. No socket here.
 *
 * @module
 */

/** The meaning of one line of a `ping` program. Times in milliseconds; Windows prints no sequence number. */
export type PingLine =
  | {
    readonly kind: "reply";
    readonly from: string;
    readonly time: number;
    readonly ttl?: number;
    readonly sequence?: number;
    readonly duplicate: boolean;
  }
  | { readonly kind: "lost"; readonly sequence?: number }
  | { readonly kind: "error"; readonly text: string; readonly sequence?: number }
  | { readonly kind: "other" };

const address = /(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]+(?:%\w+)?)/;
// "icmp_seq=1 ttl=64 time=0.03 ms"; busybox says "seq=1", macOS "hlim=64" for IPv6; the word for "time" is translated.
const unixReply = /(?:icmp_)?seq=(\d+)(?:\s+(?:ttl|hlim)=(\d+))?\s+\S+?[=<]\s*(\d+(?:[.,]\d+)?)\s*ms/i;
// "bytes=32 time<1ms TTL=128", "Bytes=32 Zeit<1ms TTL=128", "バイト数 =32 時間 <1ms TTL=128"; for IPv6 only "time<1ms".
const windowsReply = /[=<]\s*(\d+)\s*\S{1,3}(?:\s+TTL=(\d+))?\s*$/i;
const unixError = /^From (\S+?):? icmp_seq[= ](\d+) (.*)$/i;
const unixLost = /^(?:no answer yet for|Request timeout for) icmp_seq[= ](\d+)$/i;

/**
 * Returns a parser for the lines of one run, in order. Windows translates its output: between the heading, which ends in a
 * colon, and the next empty line there is one line per request, and a line that is not a reply is a loss or an error.
 *
 * ```ts
 * createLineParser(false)("64 bytes from ::1: icmp_seq=1 ttl=64 time=0.04 ms"); // { kind: "reply", time: 0.04, sequence: 1, … }
 * ```
 */
export function createLineParser(windows: boolean): (line: string) => PingLine {
  return windows ? windowsParser() : parseUnixLine;
}

function parseUnixLine(line: string): PingLine {
  const reply = unixReply.exec(line);
  if (reply) {
    return {
      kind: "reply",
      from: address.exec(line)?.[0].replace(/:$/, "") ?? "",
      time: Number(reply[3]?.replace(",", ".")),
      ttl: reply[2] === undefined ? undefined : Number(reply[2]),
      sequence: Number(reply[1]),
      duplicate: line.includes("(DUP!)"),
    };
  }
  const error = unixError.exec(line);
  if (error) return { kind: "error", text: `${error[3]} (from ${error[1]})`, sequence: Number(error[2]) };
  const lost = unixLost.exec(line);
  return lost ? { kind: "lost", sequence: Number(lost[1]) } : { kind: "other" };
}

function windowsParser(): (line: string) => PingLine {
  let part: "before" | "requests" | "after" = "before"; // the statistics that follow have a heading of the same form
  return (raw) => {
    const line = raw.trim();
    if (part === "before" && /[:：]$/.test(line) && address.test(line)) part = "requests";
    else if (part === "requests" && line === "") part = "after";
    else if (part === "requests") return parseRequestLine(line);
    return { kind: "other" };
  };

  function parseRequestLine(line: string): PingLine {
    const from = address.exec(line)?.[0].replace(/:$/, "");
    const reply = windowsReply.exec(line);
    if (reply && from !== undefined) {
      const ttl = reply[2] === undefined ? undefined : Number(reply[2]);
      return { kind: "reply", from, time: Number(reply[1]), ttl, duplicate: false };
    }
    return from === undefined ? { kind: "lost" } : { kind: "error", text: line };
  }
}
