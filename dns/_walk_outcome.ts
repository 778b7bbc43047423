/**
 * What a response means for a resolver that walks from the root: an answer, an alias, a referral to the servers of a zone
 * below, or nothing that it may use. A server can only speak for its own zone and what is below it.
 *
 * @module
 */
import { type Message, type Question, rcodeName, rcodes } from "./_message.ts";
import { canonicalName, isSubdomain } from "./_name.ts";
import { printData, type ResourceRecord } from "./_record.ts";
import { types } from "./_record_types.ts";

/** A server of a zone. Without an address, that must be looked up first. */
export interface NameServer {
  readonly name: string;
  /** Addresses that the zone above gives along: glue (RFC 9471). */
  readonly glue: readonly string[];
  /** Addresses that the answering server cannot know: anyone could lead the walk astray with them. */
  readonly ignored: readonly string[];
}

/** A zone and its servers, as the zone above names them. */
export interface Delegation {
  readonly zone: string;
  readonly servers: readonly NameServer[];
  /** How many more there are, which are not used. */
  readonly omitted: number;
}

/** What came of one query. */
export type Outcome =
  | { readonly kind: "answer"; readonly records: readonly ResourceRecord[] }
  | { readonly kind: "alias"; readonly records: readonly ResourceRecord[]; readonly target: string }
  | { readonly kind: "referral"; readonly to: Delegation }
  /** No such name (NXDOMAIN), or no record of this type (NOERROR). */
  | { readonly kind: "nothing"; readonly rcode: number }
  /** The server is lame: it is named for the zone, and does not answer for it. */
  | { readonly kind: "lame"; readonly why: string };

/** A referral may name thousands of servers, to make resolvers ask for the address of each (the NXNS attack). */
const MAX_SERVERS = 13;

/** What the response of a server of `zone` to this question means. */
export function judge(message: Message, question: Question, zone: string): Outcome {
  const { flags: { rcode, aa }, answers, authority } = message;
  if (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) return lame(rcodeName(rcode));
  const { records, target, isFound } = followAliases(answers, question, zone);
  if (records.length > 0) {
    if (!aa) return lame("it answers from a cache, not from the zone (no AA flag)");
    return isFound ? { kind: "answer", records } : { kind: "alias", records, target };
  }
  if (rcode === rcodes.NXDOMAIN) return aa ? { kind: "nothing", rcode } : lame("NXDOMAIN without the AA flag");

  const first = authority.find(({ type }) => type === types.NS);
  const cut = first && canonicalName(first.name);
  if (cut !== undefined && cut !== zone && isSubdomain(cut, zone) && isSubdomain(canonicalName(question.name), cut)) {
    return { kind: "referral", to: delegation(message, cut, zone) };
  }
  if (aa) return { kind: "nothing", rcode };
  if (cut === undefined) return lame("neither an answer nor a referral");
  if (cut === zone) return lame(`it refers to the servers of ${zone} again`);
  // Strictly downward, so that the walk has an end.
  return lame(isSubdomain(zone, cut) ? `it refers upward, to ${cut}` : `it refers to ${cut}, which is elsewhere`);
}

const lame = (why: string): Outcome => ({ kind: "lame", why });

/** Follows the aliases in an answer as long as their owners are in the zone. What it says about other zones is hearsay. */
function followAliases(answers: readonly ResourceRecord[], { name, type }: Question, zone: string) {
  const byOwner = Map.groupBy(answers, (record) => canonicalName(record.name));
  const records: ResourceRecord[] = [];
  const seen = new Set<string>();
  let target = canonicalName(name);
  while (isSubdomain(target, zone) && !seen.has(target)) {
    seen.add(target);
    const here = byOwner.get(target) ?? [];
    const found = here.filter((record) => record.type === type || type === types.ANY);
    if (found.length > 0) return { records: [...records, ...found], target, isFound: true };
    const alias = here.find((record) => record.type === types.CNAME);
    const next = alias?.data[0];
    if (!alias || typeof next !== "string") break;
    records.push(alias);
    target = canonicalName(next);
  }
  return { records, target, isFound: false };
}

function delegation({ authority, additional }: Message, cut: string, zone: string): Delegation {
  const names = new Set<string>();
  for (const { type, name, data: [host] } of authority) {
    if (type === types.NS && canonicalName(name) === cut && typeof host === "string") names.add(canonicalName(host));
  }
  const servers = [...names].slice(0, MAX_SERVERS).map((name) => {
    const addresses = [types.A, types.AAAA].flatMap((type) =>
      additional.filter((record) => record.type === type && canonicalName(record.name) === name)
        .map(({ data }) => printData(type, data))
    );
    const unique = [...new Set(addresses)].slice(0, MAX_ADDRESSES);
    return isSubdomain(name, zone) ? { name, glue: unique, ignored: [] } : { name, glue: [], ignored: unique };
  });
  return { zone: cut, servers, omitted: names.size - servers.length };
}

/** Addresses of one server. */
const MAX_ADDRESSES = 4;
