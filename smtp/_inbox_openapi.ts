/**
 * The description of the inbox's API for programs (OpenAPI 3.1).
 *
 * @module
 */
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const content = (name: string, type = "application/json") => ({ content: { [type]: { schema: ref(name) } } });
const problem = (description: string) => ({ description, ...content("Problem", "application/problem+json") });
const query = (name: string, description: string, schema: unknown) => ({ name, in: "query", description, schema });
const text = { type: "string", maxLength: 200 };
const string = { type: "string" };
const integer = { type: "integer", minimum: 0 };
const list = (items: unknown) => ({ type: "array", items });
const object = (properties: Record<string, unknown>) => ({
  ...{ type: "object", properties, required: Object.keys(properties), additionalProperties: false },
});

const match = [
  query("q", "words that all stand in sender, recipients, subject, or the first 2000 characters of the text", text),
  query("from", "a part of the sender", text),
  query("to", "a part of a recipient: in To, in Cc, or in the envelope", text),
  query("subject", "a part of the subject", text),
];
const id = { name: "id", in: "path", required: true, schema: string };
const wrong = { "400": problem("a parameter is wrong or not known") };
const missing = { "404": problem("there is no such mail") };
const refused = { "403": problem("the inbox is read only, or the request comes from the page of another site") };
const busy = { "503": problem("the Maildir cannot be read at the moment") };

const summary = {
  id: string,
  from: list(ref("Mailbox")),
  to: list(ref("Mailbox")),
  cc: list(ref("Mailbox")),
  recipients: { ...list(string), description: "the recipients of the envelope, with those of Bcc" },
  subject: string,
  excerpt: string,
  received: { type: "string", format: "date-time" },
  size: { ...integer, description: "bytes" },
  read: { type: "boolean" },
  hasAttachments: { type: "boolean" },
};

export const openapi = {
  openapi: "3.1.0",
  info: {
    title: "Inbox",
    version: "1",
    description:
      "The mails of a Maildir, for tests that send mail. A search ignores upper and lower case. Errors are " +
      "problem details (RFC 9457).",
    license: { name: "MIT", identifier: "MIT" },
  },
  paths: {
    "/api/mails": {
      get: {
        operationId: "listMails",
        summary: "List the mails that match, newest first",
        parameters: [
          ...match,
          query("limit", "how many mails at most", { type: "integer", minimum: 1, maximum: 1000, default: 50 }),
          query("offset", "how many mails to leave out", { ...integer, maximum: 999_999_999, default: 0 }),
        ],
        responses: {
          "200": { description: "the mails, and how many match in all", ...content("List") },
          "304": { description: "nothing has changed since the response with the ETag in If-None-Match" },
          ...{ ...wrong, ...busy },
        },
      },
      delete: {
        operationId: "deleteMails",
        summary: "Delete the mails that match; without parameters: all",
        parameters: match,
        responses: {
          "200": { description: "how many mails were deleted", ...content("Deleted") },
          ...{ ...wrong, ...refused, ...busy },
        },
      },
    },
    "/api/mails/{id}": {
      parameters: [id],
      get: {
        operationId: "getMail",
        summary: "Read a mail with its parts",
        responses: { "200": { description: "the mail", ...content("Mail") }, ...missing, ...busy },
      },
      delete: {
        operationId: "deleteMail",
        summary: "Delete a mail",
        responses: { "204": { description: "it is deleted" }, ...refused, ...missing, ...busy },
      },
    },
    "/api/mails/{id}/read": {
      parameters: [id],
      put: {
        operationId: "markAsRead",
        summary: "Mark a mail as read",
        responses: { "204": { description: "it is marked" }, ...refused, ...missing, ...busy },
      },
      delete: {
        operationId: "markAsUnread",
        summary: "Mark a mail as unread",
        responses: { "204": { description: "it is marked" }, ...refused, ...missing, ...busy },
      },
    },
    "/api/wait": {
      get: {
        operationId: "waitForMail",
        summary: "Wait for the next mail that matches, and read it",
        parameters: [
          ...match,
          query(
            "since",
            "also a mail that is there already, if it arrived at this time (RFC 3339, or milliseconds since 1970) or " +
              "later: the oldest of them. Without it: only a mail that arrives after the request",
            { type: "string", examples: ["2026-01-31T12:00:00Z", "1769860800000"] },
          ),
          query("timeout", "how many seconds to wait", { ...integer, maximum: 300, default: 10 }),
        ],
        responses: {
          "200": { description: "the mail", ...content("Mail") },
          ...{ ...wrong, "404": problem("no mail that matches arrived in time") },
          "503": problem("too many requests are waiting, or the inbox is stopping"),
        },
      },
    },
  },
  components: {
    schemas: {
      Mailbox: object({ name: { ...string, description: "may be empty" }, address: string }),
      Summary: object(summary),
      List: object({
        total: { ...integer, description: "how many mails match" },
        unread: { ...integer, description: "how many of those were not read" },
        ...{ offset: integer, limit: integer, mails: list(ref("Summary")) },
      }),
      Mail: object({
        ...{ ...summary, replyTo: list(ref("Mailbox")), text: string, html: string },
        headers: list(ref("Field")),
        source: { ...string, description: "the path of the whole mail, as it was received" },
        attachments: list(ref("Attachment")),
      }),
      Field: object({ name: string, value: string }),
      Attachment: object({
        ...{ name: string, type: string, contentId: string, size: integer },
        url: { ...string, description: "the path of its content" },
      }),
      Deleted: object({ deleted: integer }),
      Problem: object({ type: string, title: string, status: { type: "integer" }, detail: string }),
    },
  },
};
