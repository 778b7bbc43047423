/**
 * The description of the API for programs (OpenAPI 3.1).
 *
 * @module
 */
import { MAX_LENGTH } from "./_user.ts";

const ref = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });
const body = (schema: string, type = "application/json") => ({
  required: true,
  content: { [type]: { schema: ref("schemas", schema) } },
});
const problem = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: ref("schemas", "Problem") } },
});
const user = (description: string, headers: Record<string, unknown> = {}) => ({
  description,
  headers: { ETag: { schema: { type: "string" }, description: "the version of the user" }, ...headers },
  content: { "application/json": { schema: ref("schemas", "User") } },
});
const query = (name: string, description: string, schema: unknown) => ({ name, in: "query", description, schema });
const condition = (name: string) => ({ name, in: "header", schema: { type: "string" } });

const problems = {
  "400": problem("the JSON or a parameter is malformed"),
  "404": problem("there is no such user"),
  "409": problem("another user has this email"),
  "412": problem("the user is not in the version that If-Match names"),
  "413": problem("the body is too long"),
  "415": problem("the Content-Type is not accepted"),
  "422": problem("fields are missing, wrong or unknown: `errors` lists each of them"),
};
const errors = (...codes: (keyof typeof problems)[]) => Object.fromEntries(codes.map((code) => [code, problems[code]]));

const text = (name: "name" | "email", description: string) => ({
  type: "string",
  minLength: 1,
  maxLength: MAX_LENGTH[name],
  description,
});
const time = { type: "string", format: "date-time", readOnly: true };
const name = text("name", "must not be only spaces, and must not contain control characters");
const email = { ...text("email", "unique; upper and lower case count as the same"), format: "email" };

export const openapi = (maxBody: number): unknown => ({
  openapi: "3.1.0",
  info: {
    title: "Users",
    version: "1",
    description:
      `A users API for learning. A body must have at most ${maxBody} bytes. Errors are problem details (RFC 9457).`,
    license: { name: "MIT", identifier: "MIT" },
  },
  paths: {
    "/users": {
      get: {
        operationId: "listUsers",
        summary: "List users by id, page by page",
        parameters: [
          query("limit", "how many users at most", { type: "integer", minimum: 1, maximum: 100, default: 20 }),
          query("after", "only users with a higher id", { type: "integer", minimum: 0, default: 0 }),
          query("q", "only users with this text in their name or email, ignoring case", {
            type: "string",
            maxLength: 100,
          }),
        ],
        responses: {
          "200": {
            description: "the users; Link with rel=next leads to the next page, if there is one",
            headers: { Link: { schema: { type: "string" } } },
            content: { "application/json": { schema: { type: "array", items: ref("schemas", "User") } } },
          },
          ...errors("400"),
        },
      },
      post: {
        operationId: "createUser",
        summary: "Create a user",
        requestBody: body("UserInput"),
        responses: {
          "201": user("the new user", {
            Location: { schema: { type: "string" }, description: "the path of the new user" },
          }),
          ...errors("400", "409", "413", "415", "422"),
        },
      },
    },
    "/users/{id}": {
      parameters: [{ name: "id", in: "path", required: true, schema: { type: "integer", minimum: 1 } }],
      get: {
        operationId: "getUser",
        summary: "Read a user",
        parameters: [condition("If-None-Match")],
        responses: {
          "200": user("the user"),
          "304": { description: "not modified: the client's copy is still valid" },
          ...errors("404"),
        },
      },
      put: {
        operationId: "replaceUser",
        summary: "Replace a user",
        parameters: [condition("If-Match")],
        requestBody: body("UserInput"),
        responses: { "200": user("the user"), ...errors("400", "404", "409", "412", "413", "415", "422") },
      },
      patch: {
        operationId: "changeUser",
        summary: "Change some fields of a user (JSON merge patch, RFC 7396)",
        parameters: [condition("If-Match")],
        requestBody: body("UserPatch", "application/merge-patch+json"),
        responses: { "200": user("the user"), ...errors("400", "404", "409", "412", "413", "415", "422") },
      },
      delete: {
        operationId: "deleteUser",
        summary: "Delete a user",
        parameters: [condition("If-Match")],
        responses: { "204": { description: "the user was deleted" }, ...errors("404", "412") },
      },
    },
  },
  components: {
    schemas: {
      User: {
        type: "object",
        required: ["id", "name", "email", "created", "updated"],
        properties: { id: { type: "integer", minimum: 1, readOnly: true }, name, email, created: time, updated: time },
      },
      UserInput: { type: "object", required: ["name", "email"], properties: { name, email } },
      UserPatch: { type: "object", properties: { name, email } },
      Problem: {
        type: "object",
        required: ["type", "title", "status", "detail"],
        properties: {
          type: { type: "string", format: "uri-reference" },
          title: { type: "string" },
          status: { type: "integer" },
          detail: { type: "string" },
          errors: {
            type: "array",
            items: {
              type: "object",
              required: ["pointer", "detail"],
              properties: { pointer: { type: "string" }, detail: { type: "string" } },
            },
          },
        },
      },
    },
  },
});
