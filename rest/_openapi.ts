/**
 * The description of the API for programs (OpenAPI 3.1).
 *
 * @module
 */
import { MAX_LENGTH, PATTERNS, READ_ONLY } from "./_user.ts";

const ref = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });
const body = (schema: string, ...types: string[]) => ({
  required: true,
  content: Object.fromEntries(types.map((type) => [type, { schema: ref("schemas", schema) }])),
});
const problem = (description: string, headers?: Record<string, unknown>) => ({
  description,
  ...headers ? { headers } : {},
  content: { "application/problem+json": { schema: ref("schemas", "Problem") } },
});
const header = (description: string, required = true) => ({ description, required, schema: { type: "string" } });
const etag = {
  ETag: header("the version of the user"),
  "Cache-Control": header("no-cache: ask again before each use"),
};
const user = (description: string, headers: Record<string, unknown> = {}) => ({
  description,
  headers: { ...etag, ...headers },
  content: { "application/json": { schema: ref("schemas", "User") } },
});
const query = (name: string, description: string, schema: unknown) => ({ name, in: "query", description, schema });
const condition = (name: string, description: string) => ({
  ...{ name, in: "header", description },
  schema: { type: "string" },
});
const ifUnchanged = [
  condition("If-Match", "change the user only if it has one of these entity tags"),
  condition("If-None-Match", "change the user only if it has none of these entity tags"),
];

const retryAfter = { "Retry-After": header("seconds to wait before the next try") };
const problems = {
  "400": problem("the JSON, a parameter or the Host field is malformed"),
  "404": problem("there is no such user"),
  "408": problem("the body did not arrive in time"),
  "409": problem("another user has this email"),
  "412": problem("the user is not in the version that If-Match or If-None-Match asks for"),
  "413": problem("the body is too long"),
  "415": problem("the Content-Type or the Content-Encoding is not accepted"),
  "421": problem("this server does not answer to the name in the Host field"),
  "422": problem("fields are missing, wrong or unknown: `errors` lists each of them"),
  "500": problem("an error of the server itself"),
  "503": problem("the database cannot be used; it may have made the change", retryAfter),
  "507": problem("there is no room for more", retryAfter),
};
type Code = keyof typeof problems;
const errors = (...codes: Code[]) => {
  const all: Code[] = ["400", "421", "500", "503", ...codes];
  return Object.fromEntries(all.sort().map((code) => [code, ref("responses", code)]));
};
/** What can be wrong with a request that has a body. */
const bodyErrors: Code[] = ["408", "409", "413", "415", "422", "507"];

const text = (name: "name" | "email", description: string, example: string) => ({
  type: "string",
  minLength: 1,
  maxLength: MAX_LENGTH[name],
  pattern: PATTERNS[name],
  description,
  examples: [example],
});
const time = { type: "string", format: "date-time" };
const name = text("name", "must have a visible character, and must not have control characters", "Ada Lovelace");
const email = text("email", "unique; upper and lower case count as the same", "ada@example.com");
const ignored = { readOnly: true, description: "ignored: a client may send back what it has read" };
const input = { name, email, ...Object.fromEntries(READ_ONLY.map((field) => [field, ignored])) };

export const openapi = (maxBody: number): unknown => ({
  openapi: "3.1.0",
  info: {
    title: "Users",
    version: "1",
    description:
      `A users API for learning. A body must have at most ${maxBody} bytes. Errors are problem details (RFC 9457). ` +
      "HEAD is answered like GET, OPTIONS with Allow, another method with 405, another path with 404.",
    license: { name: "MIT", identifier: "MIT" },
  },
  paths: {
    "/users": {
      get: {
        operationId: "listUsers",
        summary: "List users by id, page by page",
        parameters: [
          query("limit", "how many users at most", { type: "integer", minimum: 1, maximum: 100, default: 20 }),
          query("after", "only users with a higher id", {
            ...{ type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 },
          }),
          query("q", "only users with this text in their name or email, ignoring case", {
            ...{ type: "string", maxLength: 100, pattern: "^[^\\u0000]*$" },
          }),
        ],
        responses: {
          "200": {
            description: "the users; Link with rel=next leads to the next page, if there is one",
            headers: {
              Link: header("the next page (RFC 8288)", false),
              "Cache-Control": etag["Cache-Control"],
            },
            content: { "application/json": { schema: { type: "array", items: ref("schemas", "User") } } },
          },
          ...errors(),
        },
      },
      post: {
        operationId: "createUser",
        summary: "Create a user",
        requestBody: body("UserInput", "application/json"),
        responses: {
          "201": user("the new user", { Location: header("the path of the new user") }),
          ...errors(...bodyErrors),
        },
      },
    },
    "/users/{id}": {
      parameters: [{ name: "id", in: "path", required: true, schema: { type: "integer", minimum: 1 } }],
      get: {
        operationId: "getUser",
        summary: "Read a user",
        parameters: [condition("If-None-Match", "send the user only if it has none of these entity tags")],
        responses: {
          "200": user("the user"),
          "304": { description: "not modified: the client's copy is still valid", headers: etag },
          ...errors("404"),
        },
      },
      put: {
        operationId: "replaceUser",
        summary: "Replace a user",
        parameters: ifUnchanged,
        requestBody: body("UserInput", "application/json"),
        responses: { "200": user("the user"), ...errors("404", "412", ...bodyErrors) },
      },
      patch: {
        operationId: "changeUser",
        summary: "Change some fields of a user (JSON merge patch, RFC 7396)",
        parameters: ifUnchanged,
        requestBody: body("UserPatch", "application/merge-patch+json", "application/json"),
        responses: { "200": user("the user"), ...errors("404", "412", ...bodyErrors) },
      },
      delete: {
        operationId: "deleteUser",
        summary: "Delete a user",
        parameters: ifUnchanged,
        responses: { "204": { description: "the user was deleted" }, ...errors("404", "412", "507") },
      },
    },
  },
  components: {
    schemas: {
      User: {
        type: "object",
        required: ["id", "name", "email", "created", "updated"],
        properties: { id: { type: "integer", minimum: 1 }, name, email, created: time, updated: time },
        additionalProperties: false,
      },
      UserInput: { type: "object", required: ["name", "email"], properties: input, additionalProperties: false },
      UserPatch: { type: "object", properties: input, additionalProperties: false },
      Problem: {
        type: "object",
        required: ["type", "title", "status", "detail"],
        properties: {
          type: { type: "string", format: "uri-reference" },
          title: { type: "string" },
          status: { type: "integer", minimum: 400, maximum: 599 },
          detail: { type: "string" },
          errors: {
            type: "array",
            description: "every wrong field",
            items: {
              type: "object",
              required: ["pointer", "detail"],
              properties: {
                pointer: {
                  type: "string",
                  format: "uri-reference",
                  description: "a JSON pointer, for example #/email",
                },
                detail: { type: "string" },
              },
              additionalProperties: false,
            },
          },
        },
        additionalProperties: false,
      },
    },
    responses: problems,
  },
});
