/**
 * Shows a walk from the root: as a tree that grows line by line, or as one JSON object.
 *
 * @module
 */
import { count, printable } from "../cli.ts";
import { type Question, rcodeName, rcodes } from "./_message.ts";
import { printData, type ResourceRecord } from "./_record.ts";
import { typeName } from "./_record_types.ts";
import { DeadEnd, type Step, type Walk, type WalkAnswer, type WalkTree } from "./_walk.ts";
import type { Delegation, Outcome } from "./_walk_outcome.ts";

/** Prints the tree below a question. What follows from a response stands below it. */
export class PrintedTree implements WalkTree {
  readonly #question: Question;
  readonly #print: (line: string) => void;
  readonly #indent: string;

  constructor(question: Question, print: (line: string) => void, indent = "") {
    this.#question = question;
    this.#print = print;
    this.#indent = indent;
  }

  step({ server, address, result, outcome }: Step): WalkTree {
    const how = result ? ` (${result.time.toFixed(2)} ms${result.transport === "TCP" ? ", TCP" : ""})` : "";
    // After a lame server something follows on this level: another server, or the end.
    const child = this.#branch(`${server} ${address}: ${describe(outcome)}${how}`, outcome.kind !== "lame");
    const hasMore = outcome.kind === "referral" || outcome.kind === "alias";
    for (const line of details(outcome)) this.#print(`${child.#indent}${hasMore ? "│ " : " "} ${line}`);
    return child;
  }

  lookup(question: Question, from: string, reason: "alias" | "address"): WalkTree {
    const known = from === "." ? "from the root" : `from ${from}, which is known`;
    const child = this.#branch(`${question.name} ${typeName(question.type)}: ${known}`, reason === "alias");
    return new PrintedTree(question, this.#print, child.#indent);
  }

  fail(why: string): DeadEnd {
    this.#branch(why, true);
    return new DeadEnd(this.#question, why);
  }

  #branch(text: string, isLast: boolean): PrintedTree {
    this.#print(`${this.#indent}${isLast ? "└─" : "├─"} ${text}`);
    return new PrintedTree(this.#question, this.#print, `${this.#indent}${isLast ? "  " : "│ "} `);
  }
}

function describe(outcome: Outcome): string {
  switch (outcome.kind) {
    case "answer":
      return "the answer";
    case "alias":
      return "an alias";
    case "referral":
      return `a referral to ${outcome.to.zone}`;
    case "nothing":
      return outcome.rcode === rcodes.NXDOMAIN ? "no such name (NXDOMAIN)" : "no such record (NOERROR, no answer)";
    case "lame":
      return outcome.why;
  }
}

/** The records of a response. */
function details(outcome: Outcome): string[] {
  if (outcome.kind === "referral") return servers(outcome.to);
  return outcome.kind === "answer" || outcome.kind === "alias" ? outcome.records.map(formatRecord) : [];
}

const formatRecord = ({ name, ttl, type, data }: ResourceRecord) =>
  `${name} ${ttl} ${typeName(type)} ${printData(type, data)}`;

function servers({ zone, servers, omitted }: Delegation): string[] {
  const lines = servers.map(({ name, glue, ignored }) => {
    const addresses = glue.length > 0
      ? `glue ${glue.join(", ")}`
      : ignored.length > 0
      ? `glue ${ignored.join(", ")} ignored: this server cannot know it`
      : "no glue";
    return `${zone} NS ${name} (${addresses})`;
  });
  return omitted > 0 ? [...lines, `and ${count(omitted, "more server")}, ignored`] : lines;
}

/** Collects the tree for `--json`: `then` has what follows from a response, or from a lookup. */
export class CollectedTree implements WalkTree {
  readonly #question: Question;
  readonly then: unknown[];

  constructor(question: Question, then: unknown[] = []) {
    this.#question = question;
    this.then = then;
  }

  step({ zone, server, address, source, result, outcome }: Step): WalkTree {
    const then: unknown[] = [];
    this.then.push({
      ...{ zone, server, address, source },
      ...{ milliseconds: result ? rounded(result.time) : null, transport: result?.transport ?? null },
      ...{ outcome: outcome.kind, what: describe(outcome) },
      ...outcome.kind === "referral" && { referral: outcome.to },
      ..."records" in outcome && { records: outcome.records.map(recordAsJson) },
      ...(outcome.kind === "referral" || outcome.kind === "alias") && { then },
    });
    return new CollectedTree(this.#question, then);
  }

  lookup({ name, type, class: class_ }: Question, from: string, reason: "alias" | "address"): WalkTree {
    const then: unknown[] = [];
    this.then.push({ lookup: name, type: typeName(type), reason, from, then });
    return new CollectedTree({ name, type, class: class_ }, then);
  }

  fail(why: string): DeadEnd {
    this.then.push({ outcome: "failed", what: why });
    return new DeadEnd(this.#question, why);
  }
}

const rounded = (milliseconds: number) => Math.round(milliseconds * 100) / 100;

const recordAsJson = ({ name, ttl, type, data }: ResourceRecord) => (
  { name, ttl, type: typeName(type), data: printData(type, data) }
);

/** How to print a walk. `live`: each line at once; otherwise all of them at the end, so that no other program's come between. */
interface Form {
  readonly short: boolean;
  readonly json: boolean;
  readonly live: boolean;
}

/** Walks to the answer, and prints the tree; with `short`, only the data of the answer. Returns the response code. */
export async function printWalk(walk: Walk, question: Question, { short, json, live }: Form): Promise<number> {
  const start = performance.now();
  const lines = [`${question.name} ${typeName(question.type)}`];
  const print = (line: string) => live ? console.log(printable(line)) : lines.push(printable(line));
  if (live && !short && !json) console.log(lines[0]);
  const tree = short || json ? new CollectedTree(question) : new PrintedTree(question, print);
  let answer: WalkAnswer | undefined;
  let failed: string | undefined;
  try {
    answer = await walk.resolve(question, tree);
    return answer.rcode;
  } catch (error) {
    if (error instanceof DeadEnd) failed = error.message;
    throw error;
  } finally {
    const time = performance.now() - start;
    if (json && tree instanceof CollectedTree) {
      const found = answer && { rcode: rcodeName(answer.rcode), answer: answer.records.map(recordAsJson) };
      const head = {
        question: { name: question.name, type: typeName(question.type) },
        ...found,
        ...failed && { failed },
      };
      const rest = { queries: walk.queries, milliseconds: rounded(time), walk: tree.then };
      console.log(JSON.stringify({ ...head, ...rest }, null, 2));
    } else if (short) {
      for (const { type, data } of answer?.records ?? []) console.log(printable(printData(type, data)));
    } else {
      if (!live) console.log(lines.join("\n"));
      console.log(`\n;; ${walk.queries} ${walk.queries === 1 ? "query" : "queries"} in ${time.toFixed(2)} ms`);
    }
  }
}
