/**
 * The responses of the WebSocket server that open no WebSocket: its pages, and its refusals.
 *
 * @module
 */
import { concat } from "./_concat.ts";
import { encodeResponse, Fields, MessageError } from "./_message.ts";
import { reasonPhrase } from "./_reason_phrase.ts";
import { HandshakeError } from "./_websocket_handshake.ts";

/** A response that is not 101: the connection ends with it. */
export class Answer {
  constructor(
    readonly status: number,
    readonly text: string,
    readonly fields: [string, string][] = [],
    readonly type = "",
  ) {}

  get why(): string {
    return this.type ? "" : `: ${this.text}`;
  }

  encode(isHead: boolean): Uint8Array {
    const { status, text, type } = this;
    const reason = reasonPhrase(status);
    const body = new TextEncoder().encode(type ? text : `${status} ${reason}\n${text}\n`);
    const fields = new Fields([
      ["Date", new Date().toUTCString()],
      ["Content-Type", type || "text/plain; charset=UTF-8"],
      ["Content-Length", `${body.length}`],
      ["X-Content-Type-Options", "nosniff"],
      ...this.fields,
      ["Connection", this.fields.some(([name]) => name === "Upgrade") ? "close, Upgrade" : "close"],
    ]);
    const head = encodeResponse({ status, reason, fields });
    return isHead ? head : concat([head, body]);
  }
}

/** The answer to a handshake, or a request, that breaks the rules. */
export const refusal = (error: HandshakeError | MessageError): Answer =>
  new Answer(error.status, error.message, error instanceof HandshakeError ? error.fields : []);
