/**
 * The API's own description (OpenAPI 3.1).
 *
 * @module
 */
import { LONGEST } from "./user.ts";

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
  headers: { ETag: { schema: { type: "string" }, description: "the user's state" }, ...headers },
  content: { "application/json": { schema: ref("schemas", "User") } },
});
const query = (name: string, description: string, schema: unknown) => ({ name, in: "query", description, schema });
const condition = (name: string) => ({ name, in: "header", schema: { type: "string" } });

const problems = {
  "400": problem("malformed: the JSON, a parameter"),
  "404": problem("there is no such user"),
  "409": problem("another user has this email"),
  "412": problem("the user is not in the state that If-Match names"),
  "413": problem("the body is too long"),
  "415": problem("the body is of another type"),
  "422": problem("fields are missing, wrong or unknown; `errors` names each"),
};
const some = (...codes: (keyof typeof problems)[]) => Object.fromEntries(codes.map((code) => [code, problems[code]]));

const text = (name: "name" | "email", description: string) => ({
  type: "string",
  minLength: 1,
  maxLength: LONGEST[name],
  description,
});
const time = { type: "string", format: "date-time", readOnly: true };
const name = text("name", "not only spaces, no control characters");
const email = { ...text("email", "no two users have the same, in any case"), format: "email" };

/** The document that `/openapi.json` serves. */
export const openapi = (maxBody: number): unknown => ({
  openapi: "3.1.0",
  info: {
    title: "Users",
    version: "1",
    description:
      `A users API to learn from. A body has at most ${maxBody} bytes. Errors are problem details (RFC 9457).`,
    license: { name: "MIT", identifier: "MIT" },
  },
  paths: {
    "/users": {
      get: {
        operationId: "listUsers",
        summary: "Users by rising id, a page at a time",
        parameters: [
          query("limit", "how many at most", { type: "integer", minimum: 1, maximum: 100, default: 20 }),
          query("after", "only users with a higher id", { type: "integer", minimum: 0, default: 0 }),
          query("q", "only users with this in their name or email, in any case", { type: "string", maxLength: 100 }),
        ],
        responses: {
          "200": {
            description: "the users; Link with rel=next leads to the next page, where there is one",
            headers: { Link: { schema: { type: "string" } } },
            content: { "application/json": { schema: { type: "array", items: ref("schemas", "User") } } },
          },
          ...some("400"),
        },
      },
      post: {
        operationId: "createUser",
        summary: "A new user",
        requestBody: body("Draft"),
        responses: {
          "201": user("the new user", { Location: { schema: { type: "string" }, description: "where it is" } }),
          ...some("400", "409", "413", "415", "422"),
        },
      },
    },
    "/users/{id}": {
      parameters: [{ name: "id", in: "path", required: true, schema: { type: "integer", minimum: 1 } }],
      get: {
        operationId: "getUser",
        summary: "One user",
        parameters: [condition("If-None-Match")],
        responses: {
          "200": user("the user"),
          "304": { description: "the client's copy is still good" },
          ...some("404"),
        },
      },
      put: {
        operationId: "replaceUser",
        summary: "All of a user anew",
        parameters: [condition("If-Match")],
        requestBody: body("Draft"),
        responses: { "200": user("the user"), ...some("400", "404", "409", "412", "413", "415", "422") },
      },
      patch: {
        operationId: "changeUser",
        summary: "Some fields of a user (JSON merge patch, RFC 7396)",
        parameters: [condition("If-Match")],
        requestBody: body("Patch", "application/merge-patch+json"),
        responses: { "200": user("the user"), ...some("400", "404", "409", "412", "413", "415", "422") },
      },
      delete: {
        operationId: "deleteUser",
        summary: "Removes a user",
        parameters: [condition("If-Match")],
        responses: { "204": { description: "it is gone" }, ...some("404", "412") },
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
      Draft: { type: "object", required: ["name", "email"], properties: { name, email } },
      Patch: { type: "object", properties: { name, email } },
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
