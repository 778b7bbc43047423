/**
 * The stored responses of a proxy: found by URL and by the fields that Vary names, and never more bytes than its limit.
 *
 * @module
 */
import { parseCacheControl } from "./_cache_control.ts";
import {
  type CacheRequest,
  freshnessLifetime,
  initialAge,
  invalidated,
  isAbout,
  isCacheable,
  judge,
  matches,
  mayStore,
  type Reusable,
  selectingFields,
  updatedFields,
  type Verdict,
} from "./_cache_rules.ts";
import { concat } from "./_concat.ts";
import { encodeLatin1 } from "./_latin1.ts";
import type { Fields, ResponseHead } from "./_message.ts";

/** A stored response. */
export interface Stored extends ResponseHead {
  readonly url: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The request fields that it depends on, and their values. */
  readonly selecting: readonly (readonly [name: string, value: string])[];
  readonly says: Reusable["says"];
  /** Seconds: how long it is fresh, and how old it was when it was received. */
  readonly lifetime: number;
  readonly initialAge: number;
  /** When it was received, in milliseconds. */
  readonly responseTime: number;
  /** The bytes of its head without the empty line and what differs each time. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** About how much memory it takes, in bytes. */
  readonly size: number;
}

/** What the cache has for a request, and why it may or may not be sent (the words of RFC 9211 where there are any). */
export interface Lookup {
  readonly stored?: Stored;
  readonly verdict: Verdict | "uri-miss" | "vary-miss" | "bypass" | "method";
}

/** When a request was sent, and when the head of its response was here: in milliseconds. */
export interface Times {
  readonly requestTime: number;
  readonly responseTime: number;
}

/** The limits of a cache. */
export interface CacheLimits {
  /** Bytes of all stored responses, and of one. */
  readonly total: number;
  readonly object: number;
  /** Which part of the time since it was modified a response is fresh, if it does not say: 0 for none. */
  readonly heuristic: number;
}

/** The most responses for one URL. */
const MAX_VARIANTS = 32;

/** What a response takes beside its bytes: objects, and its place in the map. About. */
const OVERHEAD = 2048;

/** The age of a stored response in seconds. */
export const ageOf = ({ initialAge, responseTime }: Stored): number => initialAge + (Date.now() - responseTime) / 1000;

/** A stored response, as the rules see it now. */
export const reusable = (stored: Stored): Reusable => ({
  says: stored.says,
  lifetime: stored.lifetime,
  age: ageOf(stored),
});

export class ResponseCache {
  /** The responses of each URL. The URL that was used last is the last one. */
  readonly #byUrl = new Map<string, Stored[]>();
  readonly #limits: CacheLimits;
  /** The copies that are being made. */
  readonly #recordings = new Set<Recording>();
  #size = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  /** Finds the stored response for a request. */
  find(url: string, request: CacheRequest): Lookup {
    if (!isCacheable(request)) return { verdict: /^(GET|HEAD)$/.test(request.method) ? "bypass" : "method" };
    const all = this.#byUrl.get(url);
    if (!all) return { verdict: "uri-miss" };
    const stored = all.find(({ selecting }) => matches(selecting, request));
    if (!stored) return { verdict: "vary-miss" };
    this.#byUrl.delete(url); // to the end: the one that was not used for the longest time is the first
    this.#byUrl.set(url, all);
    return { stored, verdict: judge(reusable(stored), request) };
  }

  /** Starts a copy of a response that may be kept; `undefined` for one that may not. `response` is as it is passed on. */
  record(url: string, request: CacheRequest, response: ResponseHead, times: Times): Recording | undefined {
    if (!mayStore(request, response, this.#limits.heuristic, times.responseTime)) return undefined;
    if (Number(response.fields.get("content-length") ?? 0) > this.#limits.object) return undefined;
    const forget = () => void this.#recordings.delete(recording);
    const recording: Recording = new Recording(url, this.#limits.object, forget, (body) => {
      if (!this.#recordings.has(recording)) return; // a change of the resource has overtaken the response
      this.#put(this.#make(url, selectingFields(response, request), response, body, times));
    });
    this.#recordings.add(recording);
    return recording;
  }

  /** Puts the fields of a 304 into a stored response; `undefined` if it is about another one, which ends the stored one. */
  refresh(stored: Stored, response: ResponseHead, times: Times): Stored | undefined {
    this.#drop(stored);
    if (!isAbout(response, stored)) return undefined;
    const fields = updatedFields(stored.fields, response.fields);
    const updated = this.#make(stored.url, stored.selecting, { ...stored, fields }, stored.body, times);
    // The server may have changed its mind: then this is the last time that it is sent.
    if (!updated.says.has("no-store") && !updated.says.has("private")) this.#put(updated);
    return updated;
  }

  /** Drops what a request with this method, and the response to it, have made wrong. */
  invalidate(method: string, url: string, response: ResponseHead): void {
    const urls = invalidated(method, url, response);
    for (const other of urls) this.#dropAll(other);
    for (const recording of this.#recordings) if (urls.includes(recording.url)) this.#recordings.delete(recording);
  }

  #make(
    url: string,
    selecting: Stored["selecting"],
    { status, reason, minor, fields }: ResponseHead,
    body: Uint8Array<ArrayBuffer>,
    times: Times,
  ): Stored {
    const head = encodeStoredHead(status, reason, fields, body.length);
    const lifetime = freshnessLifetime({ status, fields }, this.#limits.heuristic, times.responseTime);
    return {
      ...{ url, status, reason, minor, fields, selecting, body, head, lifetime },
      says: parseCacheControl(fields),
      initialAge: initialAge({ status, fields, ...times }),
      responseTime: times.responseTime,
      size: OVERHEAD + 2 * head.length + body.length + url.length,
    };
  }

  #put(stored: Stored): void {
    const { url, selecting } = stored;
    const others = (this.#byUrl.get(url) ?? []).filter((other) => !isSame(other.selecting, selecting));
    this.#dropAll(url);
    // The newest one first: if several answer a request, it is that one (RFC 9111 §4.1).
    const all = [stored, ...others].slice(0, MAX_VARIANTS);
    this.#byUrl.set(url, all);
    for (const { size } of all) this.#size += size;
    for (const [oldest] of this.#byUrl) {
      if (this.#size <= this.#limits.total) break;
      this.#dropAll(oldest);
    }
  }

  #drop(stored: Stored): void {
    const all = this.#byUrl.get(stored.url);
    if (!all?.includes(stored)) return; // it was replaced meanwhile
    this.#size -= stored.size;
    if (all.length === 1) this.#byUrl.delete(stored.url);
    else this.#byUrl.set(stored.url, all.filter((other) => other !== stored));
  }

  #dropAll(url: string): void {
    for (const { size } of this.#byUrl.get(url) ?? []) this.#size -= size;
    this.#byUrl.delete(url);
  }

  /** Bytes of all stored responses. */
  get size(): number {
    return this.#size;
  }
}

const isSame = (a: Stored["selecting"], b: Stored["selecting"]) =>
  a.length === b.length && a.every(([name, value], i) => b[i]?.[0] === name && b[i]?.[1] === value);

/** The bytes of the head of a stored response. Age is another one each time that it is sent. */
function encodeStoredHead(status: number, reason: string, fields: Fields, length: number): Uint8Array<ArrayBuffer> {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (const [name, value] of fields) if (!/^(age|content-length)$/i.test(name)) text += `${name}: ${value}\r\n`;
  return encodeLatin1(status === 204 ? text : `${text}Content-Length: ${length}\r\n`);
}

/** A copy of a body while it is passed on. It is stored when it is complete. */
export class Recording implements Disposable {
  #parts: Uint8Array[] | undefined = [];
  #size = 0;

  constructor(
    readonly url: string,
    readonly limit: number,
    /** Called when the copy is stored, or given up. */
    readonly over: () => void,
    readonly store: (body: Uint8Array<ArrayBuffer>) => void,
  ) {}

  add(data: Uint8Array): void {
    this.#size += data.length;
    if (this.#size > this.limit) this.#parts = undefined; // too large, after all
    else this.#parts?.push(data.slice());
  }

  /** Stores the copy, if it is not too large. */
  commit(): void {
    if (this.#parts) this.store(concat(this.#parts));
  }

  [Symbol.dispose](): void {
    this.over();
  }
}
