/**
 * The fields of what one side of an SMTP exchange sends: commands, replies, or the lines of a mail (RFC 5321).
 *
 * @module
 */
import { ReplyError, ReplyParser } from "../../smtp/_reply.ts";
import { type Field, linesOf, type Subject, textOf } from "./dissect.ts";

const verbs = /^(HELO|EHLO|MAIL|RCPT|DATA|RSET|NOOP|QUIT|VRFY|EXPN|HELP|AUTH|STARTTLS|BDAT)\b/i;

/** Whether bytes look like a command, or like a reply with a code. */
export function isSmtp({ data, isFromClient, before }: Subject): boolean {
  const start = textOf(data, 0, 12);
  return isFromClient ? verbs.test(start) || isContent(before) : /^[2-5]\d\d[ -]/.test(start);
}

/** The server asks for the mail with the code 354 (RFC 5321 §4.1.1.4). */
const isContent = (before: Uint8Array) => /(^|\\n)354/.test(textOf(before, 0, before.length));

export function dissectSmtp({ data, isFromClient, before }: Subject): Field[] {
  if (!isFromClient) return replies(data);
  return isContent(before) ? mail(data) : commands(data);
}

function replies(data: Uint8Array): Field[] {
  const fields = [...linesOf(data)].flatMap(({ start, end, text }) => {
    const [, code = "", more = "", enhanced = "", rest = ""] =
      /^([2-5]\d\d)([ -]?)([245]\.\d{1,3}\.\d{1,3}(?= |$))?(.*)$/.exec(text) ?? [];
    if (code === "") return [{ start, end, text: `broken: not a reply: ${text}` }];
    const at = start + 3 + more.length;
    const last = more === "-" ? "more lines follow" : "last line";
    return [
      { start, end: start + 3, text: `code ${code} ${meanings[code[0] ?? ""] ?? ""}` },
      ...more === "" ? [] : [{ start: start + 3, end: start + 4, text: last }],
      ...enhanced === "" ? [] : [{ start: at, end: at + enhanced.length, text: `enhanced code ${enhanced}` }],
      ...rest === "" ? [] : [{ start: at + enhanced.length, end, text: `text ${rest.trimStart()}` }],
    ];
  });
  try {
    new ReplyParser().push(data);
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    fields.push({ start: data.length, end: data.length, text: `broken: ${error.message}` });
  }
  return fields;
}

const meanings: Record<string, string> = {
  "2": "(success)",
  "3": "(go on)",
  "4": "(temporary failure)",
  "5": "(permanent failure)",
};

/** Commands, each on a line; a client with PIPELINING sends several at once (RFC 2920). */
function commands(data: Uint8Array): Field[] {
  return [...linesOf(data)].flatMap(({ start, end, text }) => {
    const space = data.subarray(start, end).indexOf(32);
    const at = space < 0 ? end : start + space;
    const [verb = "", ...rest] = text.split(" ");
    const argument = rest.join(" ");
    return [
      { start, end: at, text: `command ${verb}` },
      ...argument === "" ? [] : [{ start: at + 1, end, text: `argument ${argument}` }],
    ];
  });
}

/** A mail: the lines of its header, then its body up to the dot (RFC 5322 §2.1, RFC 5321 §4.5.2). */
function mail(data: Uint8Array): Field[] {
  const fields: Field[] = [];
  let isHeader = true;
  let body: { start: number; end: number } | undefined;
  for (const { start, end, text } of linesOf(data)) {
    if (text === "." && end === data.length) {
      if (body) fields.push({ ...body, text: `body ${body.end - body.start} bytes` });
      body = undefined;
      fields.push({ start, end, text: "end of the mail" });
    } else if (!isHeader) body = { start: body?.start ?? start, end };
    else if (text === "") {
      isHeader = false;
      fields.push({ start, end, text: "end of the header" });
    } else fields.push({ start, end, text });
  }
  if (body) fields.push({ ...body, text: `body ${body.end - body.start} bytes, more follow` });
  return fields;
}
