/**
 * Errors for programs to read: problem details (RFC 9457).
 *
 * @module
 */
import { reasonPhrase } from "../http/_reason_phrase.ts";
import type { FieldError } from "./_user.ts";

/** An error that a request is answered with. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly headers: Record<string, string> = {},
    readonly errors?: readonly FieldError[],
  ) {
    super(detail);
  }

  toResponse(): Response {
    const { status, message: detail, errors } = this;
    const body = { type: "about:blank", title: reasonPhrase(status), status, detail, ...errors ? { errors } : {} };
    return new Response(JSON.stringify(body), {
      status,
      headers: { ...this.headers, "content-type": "application/problem+json" },
    });
  }
}
