/**
 * Errors that a request is answered with: as problem details for programs (RFC 9457), or as one line for people.
 *
 * @module
 */
import { reasonPhrase } from "./_reason_phrase.ts";

/** An error in one field. `pointer` is a JSON pointer as a URI fragment (RFC 6901 §6), in the form that RFC 9457 §3 shows. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

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

  /** For programs: problem details. */
  toResponse(): Response {
    const { status, message: detail, errors } = this;
    const body = { type: "about:blank", title: reasonPhrase(status), status, detail, ...errors ? { errors } : {} };
    return this.#respond(JSON.stringify(body), "application/problem+json");
  }

  /** For people: one line. */
  toText(): Response {
    return this.#respond(
      `${this.status} ${reasonPhrase(this.status)}: ${this.message}\n`,
      "text/plain; charset=UTF-8",
    );
  }

  #respond(body: string, type: string): Response {
    return new Response(body, { status: this.status, headers: { ...this.headers, "content-type": type } });
  }
}
