/**
 * The names of the status codes.
 *
 * @module
 */
import { STATUS_TEXT } from "jsr:@std/http@1/status";

const phrases: Readonly<Record<number, string>> = STATUS_TEXT;

/** The reason phrase of a status code (RFC 9110 §15): "Not Found" for 404, "" for a code that has none. */
export const reasonPhrase = (status: number): string => phrases[status] ?? "";
