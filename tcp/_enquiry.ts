/**
 * ASCII's enquiry, "who are you?" (ECMA-48 calls it ENQ). `threaded_server.ts` answers it with the name of the worker when it
 * is a client's very first byte; any other echo server sends it back.
 */
export const ENQ = 5;
