/**
 * What went wrong, for programs to read: problem details (RFC 9457).
 *
 * @module
 */
import { STATUS_TEXT } from "jsr:@std/http@1/status";
import type { FieldError } from "./user.ts";

/** An error that is the answer to a request. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly headers: Record<string, string> = {},
    readonly errors?: readonly FieldError[],
  ) {
    super(detail);
  }

  /** The response that tells it. */
  response(): Response {
    const { status, message: detail, errors } = this;
    const body = { type: "about:blank", title: STATUS_TEXT[status], status, detail, ...errors ? { errors } : {} };
    return new Response(JSON.stringify(body), {
      status,
      headers: { ...this.headers, "content-type": "application/problem+json" },
    });
  }
}
