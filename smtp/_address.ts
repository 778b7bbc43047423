/**
 * The addresses of an envelope (RFC 5321 §4.1.2).
 *
 * @module
 */

const atext = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\u{10ffff}-]";
const local = `(?:${atext}+(?:\\.${atext}+)*|"(?:[^"\\\\\\r\\n]|\\\\[ -~])*")`;
const label = "[A-Za-z0-9\\u0080-\\u{10ffff}](?:[A-Za-z0-9\\u0080-\\u{10ffff}-]*[A-Za-z0-9\\u0080-\\u{10ffff}])?";
const domain = `(?:${label}(?:\\.${label})*\\.?|\\[[0-9A-Za-z:.-]+\\])`;
const mailbox = new RegExp(`^${local}@${domain}$`, "u");
/** What other servers take, too: any text around the `@`, such as `a..b@c` or `a@under_score.example`. */
const lenientMailbox = /^(?:"[^"]*"|[^\s<>"@]+)@[^\s<>"@]+$/;
const control = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Whether a text is a mailbox, `local-part@domain`, and no longer than SMTP allows (RFC 5321 §4.5.3.1). */
export function isMailbox(text: string, lenient = false): boolean {
  if (control.test(text) || !(lenient ? lenientMailbox : mailbox).test(text)) return false;
  const bytes = (part: string) => new TextEncoder().encode(part).length;
  const at = text.lastIndexOf("@");
  return bytes(text.slice(0, at)) <= 64 && bytes(text.slice(at + 1)) <= 255;
}

/** Whether an address needs a server with SMTPUTF8 (RFC 6531). */
export const needsUtf8 = (text: string): boolean => /[^\0-\x7f]/.test(text);

// Each character fits in one way only: with two ways, a long line of spaces would keep the server busy for seconds.
const brackets = /^<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>(?= |$)/s;

/**
 * Parses the argument of MAIL FROM or RCPT TO: a path in angle brackets, then parameters. Ignores a source route in front of
 * the mailbox (RFC 5321 appendix C). Returns `undefined` if the argument is malformed. `lenient` takes what other servers
 * take, too: spaces in front, no brackets, and malformed mailboxes.
 */
export function parsePath(
  text: string,
  lenient = false,
): { mailbox: string; parameters: Map<string, string> } | undefined {
  const argument = lenient ? text.trimStart() : text;
  const [whole, path] = brackets.exec(argument) ?? (lenient ? /^([^<> ]+)(?= |$)/.exec(argument) : null) ?? [];
  if (whole === undefined || path === undefined) return undefined;
  const mailbox = path.replace(/^@[^:]*:/, "");
  if (mailbox !== "" && !isMailbox(mailbox, lenient) && !/^postmaster$/i.test(mailbox)) return undefined;
  const parameters = new Map<string, string>();
  for (const parameter of argument.slice(whole.length).split(" ").filter((part) => part !== "")) {
    const [, name, value = ""] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10ffff}]+))?$/u.exec(parameter) ??
      [];
    if (name === undefined || parameters.has(name.toUpperCase())) return undefined;
    parameters.set(name.toUpperCase(), value);
  }
  return { mailbox, parameters };
}
