/**
 * The messages of JSON-RPC 2.0 (jsonrpc.org/specification): requests, notifications, responses, batches.
 *
 * @module
 */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Params = Json[] | { [name: string]: Json } | undefined;
export type Id = string | number | null;

/** A call. Without an id it is a notification, and gets no response. */
export interface Call {
  readonly id?: Id;
  readonly method: string;
  readonly params: Params;
}

/** An error as a response has it (§5.1). */
export class RpcError extends Error {
  constructor(readonly code: number, message: string, readonly data?: Json) {
    super(message);
  }
}

/** The codes of §5.1, and two of the Language Server Protocol. */
export const codes = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  tooLate: -32000,
  tooMany: -32001,
  cancelled: -32800,
} as const;

/**
 * What a text of JSON holds; a batch is several, at most `most`: each member costs an answer, and it may have two bytes. An
 * invalid message stands as an error, which is answered with the id null.
 */
export function parseMessages(
  text: string,
  most = Infinity,
): { batch: boolean; messages: (Call | Response | RpcError)[] } {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    return { batch: false, messages: [new RpcError(codes.parseError, "Parse error")] };
  }
  if (!Array.isArray(value)) return { batch: false, messages: [parseMessage(value)] };
  // An empty batch is answered with one error, not with a batch (§6).
  if (value.length === 0) return { batch: false, messages: [new RpcError(codes.invalidRequest, "Invalid Request")] };
  if (value.length > most) {
    return { batch: false, messages: [new RpcError(codes.tooMany, `More than ${most} calls in a batch`)] };
  }
  return { batch: true, messages: value.map(parseMessage) };
}

/** A response, or an error with its code. */
export interface Response {
  readonly id: Id;
  readonly result?: Json;
  readonly error?: { code: number; message: string; data?: Json };
}

function parseMessage(value: Json): Call | Response | RpcError {
  const invalid = new RpcError(codes.invalidRequest, "Invalid Request");
  if (!isObject(value) || value.jsonrpc !== "2.0") return invalid;
  const { id, method, params, result, error } = value;
  const hasId = id === null || typeof id === "string" || typeof id === "number";
  if (id !== undefined && !hasId) return invalid;
  if (typeof method === "string") {
    if (params !== undefined && !Array.isArray(params) && !isObject(params)) return invalid;
    return hasId ? { id, method, params } : { method, params };
  }
  if (!hasId || method !== undefined) return invalid;
  if (isObject(error) && typeof error.code === "number" && typeof error.message === "string" && result === undefined) {
    const { code, message, data } = error;
    return { id, error: { code, message, ...data !== undefined && { data } } };
  }
  return result !== undefined && error === undefined ? { id, result } : invalid;
}

const isObject = (value: Json | undefined): value is { [name: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A call as JSON. */
export const formatCall = ({ id, method, params }: Call): { [name: string]: Json } => ({
  jsonrpc: "2.0",
  ...id !== undefined && { id },
  method,
  ...params !== undefined && { params },
});

/** A response as JSON. */
export function formatResponse(id: Id, outcome: Json | RpcError): { [name: string]: Json } {
  if (!(outcome instanceof RpcError)) return { jsonrpc: "2.0", id, result: outcome };
  const { code, message, data } = outcome;
  return { jsonrpc: "2.0", id, error: { code, message, ...data !== undefined && { data } } };
}
