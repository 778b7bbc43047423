/**
 * Whether requests and responses are what the description of an API (OpenAPI 3.1) says.
 *
 * @module
 */
import { assert, AssertionError } from "jsr:@std/assert@1";
import { Ajv2020, type ValidateFunction } from "npm:ajv@8/dist/2020.js";
import formats from "npm:ajv-formats@3";

/** A schema (JSON Schema 2020-12): the keywords that the tests read. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly examples?: string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: string[];
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: Schema;
}

export interface Body {
  readonly content: Record<string, { schema: Schema }>;
}

interface Response {
  readonly $ref?: string;
  readonly headers?: Record<string, { required?: boolean; schema: Schema }>;
  readonly content?: Body["content"];
}

/** One operation: a method on a path. `path` is a template such as `/users/{id}`. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body?: Body;
  readonly responses: Record<string, Response>;
}

interface Document {
  readonly paths: Record<
    string,
    Record<string, { parameters?: Parameter[]; requestBody?: Body; responses: Operation["responses"] }>
  >;
  readonly components: { schemas: Record<string, Schema>; responses?: Record<string, Response> };
}

/** The description of an API. */
export class Description {
  readonly operations: readonly Operation[];
  readonly #components: Document["components"];
  readonly #ajv = new Ajv2020({ strict: true, allErrors: true });
  readonly #compiled = new Map<Schema, ValidateFunction>();

  constructor(value: unknown) {
    const document: Document = JSON.parse(JSON.stringify(value));
    this.#components = document.components;
    formats.default(this.#ajv);
    this.#ajv.addVocabulary(["components", "openapi", "info", "paths"]);
    this.#ajv.addSchema(document, "api");
    this.operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).filter(([method]) => method !== "parameters").map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        parameters: [...pathParameters(item), ...operation.parameters ?? []],
        body: operation.requestBody,
        responses: operation.responses,
      }))
    );
  }

  /** Follows the `$ref` of a schema. */
  resolve(schema: Schema): Schema {
    return this.#components.schemas[schema.$ref?.replace("#/components/schemas/", "") ?? ""] ?? schema;
  }

  /** Why a value does not match a schema; "" if it does. */
  mismatch(schema: Schema, value: unknown): string {
    let validate = this.#compiled.get(schema);
    if (!validate) {
      const absolute = schema.$ref
        ? { $ref: `api${schema.$ref}` }
        : schema.items?.$ref
        ? { ...schema, items: { $ref: `api${schema.items.$ref}` } }
        : schema;
      validate = this.#ajv.compile(absolute);
      this.#compiled.set(schema, validate);
    }
    return validate(value) ? "" : this.#ajv.errorsText(validate.errors);
  }

  /** Fails unless a response is one that the operation may have: its status, its type, its body and its fields. */
  check(operation: Operation, status: number, headers: Headers, text: string): void {
    const name = `${operation.method} ${operation.path} ${status}`;
    const found = operation.responses[status];
    const response = this.#components.responses?.[found?.$ref?.replace("#/components/responses/", "") ?? ""] ?? found;
    if (!response) throw new AssertionError(`${name} is not in the description: ${text}`);
    for (const [field, { required, schema }] of Object.entries(response.headers ?? {})) {
      const value = headers.get(field);
      if (value === null) assert(!required, `${name}: no field ${field}`);
      else assert(this.mismatch(schema, value) === "", `${name}: ${field}: ${value}`);
    }
    if (!response.content) return assert(text === "", `${name} has a body: ${text}`);
    const schema = response.content[headers.get("content-type") ?? ""]?.schema;
    if (!schema) throw new AssertionError(`${name}: the type ${headers.get("content-type")} is not in the description`);
    const mismatch = this.mismatch(schema, JSON.parse(text));
    assert(mismatch === "", `${name}: ${mismatch}: ${text}`);
  }
}

/** The parameters that all operations of a path have. */
function pathParameters(item: object): Parameter[] {
  const found: unknown = Reflect.get(item, "parameters");
  return Array.isArray(found) ? found : [];
}
