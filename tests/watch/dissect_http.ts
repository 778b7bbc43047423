/**
 * The fields of an HTTP message: its first line, each field of its head, and its content (RFC 9112).
 *
 * @module
 */
import { headLength, MessageError, parseRequest, parseResponse } from "../../http/_message.ts";
import { type Field, linesOf, textOf } from "./dissect.ts";

const request = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) (HTTP\/\d\.\d)$/;
const response = /^(HTTP\/\d\.\d) (\d{3})(?: (.*))?$/;

/** Whether bytes begin with the first line of a request or a response. */
export function isHttp(data: Uint8Array): boolean {
  const [line] = linesOf(data.subarray(0, 9000));
  return line !== undefined && (request.test(line.text) || response.test(line.text));
}

/** The fields of what one write has sent: a message with its head, or a part of its content. */
export function dissectHttp(data: Uint8Array): Field[] {
  if (!isHttp(data)) return [{ start: 0, end: data.length, text: "content" }];
  const fields: Field[] = [];
  let end = data.length;
  let problem = "";
  try {
    const length = headLength(data);
    if (length < 0) problem = "the head is incomplete";
    else {
      end = length;
      const parse = textOf(data, 0, 5) === "HTTP/" ? parseResponse : parseRequest;
      parse(data.subarray(0, end));
    }
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    problem = error.message;
  }
  for (const line of linesOf(data.subarray(0, end))) {
    if (line.start === 0) fields.push(...firstLine(data.subarray(0, line.end), line.text));
    else if (line.text === "") fields.push({ ...line, text: "end of the head" });
    else fields.push({ ...line, text: line.text });
  }
  if (problem) fields.push({ start: end, end, text: `broken: ${problem}` });
  if (end < data.length) fields.push({ start: end, end: data.length, text: `content ${data.length - end} bytes` });
  return fields;
}

function firstLine(data: Uint8Array, text: string): Field[] {
  const names = request.test(text) ? ["method", "target", "version"] : ["version", "status", "reason"];
  const fields: Field[] = [];
  for (let i = 0, start = 0; i < 3 && start < data.length; i++) {
    const space = data.indexOf(32, start);
    const end = i === 2 || space < 0 ? data.length : space;
    const shown = textOf(data, start, end).replace(/(\\r)?\\n$/, "");
    if (shown !== "") fields.push({ start, end, text: `${names[i]} ${shown}` });
    start = end + 1;
  }
  return fields;
}
