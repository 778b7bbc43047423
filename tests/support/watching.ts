/**
 * What `deno task watch` shows, for tests.
 *
 * @module
 */
import { assert, assertEquals } from "jsr:@std/assert@1";
import type { Arrow, Entry, Mark } from "../watch/entries.ts";
import { Model } from "../watch/model.ts";
import { planPair } from "../watch/plan.ts";
import { runPlan } from "../watch/run.ts";
import { hasLoopbacks } from "./loopbacks.ts";
import { answer, type Show } from "../watch/server.ts";

/** What the picture shows now, each entry once. */
export const shown = (model: Model): Entry[] => [...new Set(model.log)];
/** The messages that are shown. */
export const arrowsOf = (model: Model): Arrow[] =>
  shown(model).filter((entry) => entry.kind === "arrow").filter(({ isGone }) => !isGone);
/** What is shown beside them. */
export const marksOf = (model: Model): Mark[] =>
  shown(model).filter((entry) => entry.kind === "mark").filter(({ isGone }) => !isGone);

/** Runs a plan and returns what is shown. */
export async function watched(plan: Awaited<ReturnType<typeof planPair>>): Promise<Show> {
  const show = { model: new Model(plan.protocol), title: plan.title, run: "1" };
  await runPlan(plan, show.model, () => {});
  return show;
}

/** How many arrows a pair has: those of its connections, and those of its messages. */
const expected: Record<string, number | [least: number, most: number]> = {
  ...{
    "tcp:echo": 5,
    "tcp:reply": 5,
    "tcp:threaded": 4100,
    "tcp:rpc": [13, 25],
    "tcp:syscalls": 4,
    "udp:chat": [6, 8],
  },
  ...{
    "udp:pinger": [10, 30], // the first one is sent again while nobody answers
    "udp:tftp": [8, 12],
    "udp:syscalls": [19_000, 20_002],
    "dns:lookup": [8, 9],
    "dns:walk": [10, 20], // more when another test looks at its ports
    "udp:game": [120, 320],
  },
  ...{
    "http:raw": 6,
    "http:websocket": [9, 12],
    "http:files": [4, 6],
    "http:proxy": [12, 16],
    "smtp:send": [13, 15],
    "rest:users": [28, 42],
  },
  ...{ "ping:system": 0, "ping:icmp": 8, "ping:traceroute": 6 },
};

/** What the tests of the lessons have seen, for those in a browser. */
export const shows = new Map<string, Show>();

/** Tests what is shown of a lesson. */
export function isWatched(name: string): void {
  Deno.test({
    name: `watch ${name}: every message is an arrow between two lanes, and no program fails`,
    ignore: /syscalls|^ping/.test(name) && Deno.build.os !== "linux" || name === "dns:walk" && !hasLoopbacks,
    async fn() {
      const show = await watched(await planPair(name, ""));
      shows.set(name, show);
      const { model } = show;
      const failures = marksOf(model).filter(({ isFailure }) => isFailure).map(({ text }) => text);
      if (!name.startsWith("ping")) assertEquals(failures, []); // ping may be missing, or not be allowed
      const arrows = arrowsOf(model);
      if (name.startsWith("ping") && failures.length > 0) return; // the right to open an ICMP socket is missing
      const wanted = expected[name] ?? -1;
      const [least, most] = typeof wanted === "number" ? [wanted, wanted] : wanted;
      const texts = arrows.slice(0, 20).map(({ text, note }) => `${text} ${note}`);
      assert(arrows.length >= least && arrows.length <= most, `${arrows.length} arrows: ${texts.join("\n")}`);
      assert(arrows.every(({ from, to, isLost }) => from !== to && !isLost));
      if (arrows.length === 0) assert(marksOf(model).length > 0, "what a program without a trace prints is shown");
    },
  });
}

/** Serves a show on a free port. */
export function serveShow(show: Show) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => answer(request, show));
  return { url: `http://127.0.0.1:${server.addr.port}/`, [Symbol.asyncDispose]: () => server.shutdown() };
}
