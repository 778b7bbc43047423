/**
 * The path of a request target. Pure functions.
 *
 * @module
 */
import { MessageError } from "./_message.ts";

/**
 * The path of a request target, decoded, as its segments (RFC 3986 §3.3): `/a%20b/` is `["a b", ""]`. The last segment of a
 * folder is empty. The query is dropped.
 *
 * Decodes once: `%252e` is the name `%2e`, not a dot. Rejects what can leave the folder or mislead the file system: `.` and
 * `..`, a slash or backslash in a segment, NUL.
 *
 * @throws {MessageError} 400
 */
export function parseTargetPath(target: string): string[] {
  const path = target.replace(/^https?:\/\/[^/?]*/i, "").replace(/\?.*$/s, "") || "/";
  let segments: string[];
  try {
    segments = path.split("/").slice(1).map(decodeURIComponent);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new MessageError(400, "malformed path: % needs two hexadecimal digits, and the decoded bytes must be UTF-8");
  }
  for (const segment of segments) {
    if (segment === ".." || segment === "." || /[/\\\0]/.test(segment)) {
      throw new MessageError(400, "a path must not contain . or .. segments, a backslash or a NUL byte");
    }
  }
  return segments.filter((segment, i) => segment !== "" || i === segments.length - 1);
}

/** The path of a folder, with the slash at its end. */
export const folderPath = (segments: readonly string[]): string => `/${segments.map(encodeURIComponent).join("/")}/`;

/** Whether a name is hidden: it starts with a dot. `.well-known` is for everyone (RFC 8615). */
export const isHidden = (name: string): boolean => name.startsWith(".") && name !== ".well-known";

/**
 * Whether Windows would open something else than a file of exactly this name: a device (`NUL`, `com1.txt`), a stream of a file
 * (`a.txt::$DATA`), or the name without the dots and spaces at its end.
 */
export const isSpecialOnWindows = (name: string): boolean =>
  // deno-lint-ignore no-control-regex -- Windows does not allow control characters in names
  /[\0-\x1f<>:"|?*]|[. ]$|^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³])[. ]*(\.|$)/i.test(name);
