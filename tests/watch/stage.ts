/**
 * The shows of one `deno task watch`: they are played one after another, and a pair once more when its reader asks for it.
 *
 * @module
 */
import { count, Failure } from "../../cli.ts";
import type { Protocol } from "./dissect.ts";
import type { Entry } from "./entries.ts";
import { Model } from "./model.ts";
import type { Plan } from "./plan.ts";
import { Control, runPlan } from "./run.ts";
import type { Gallery, Show } from "./server.ts";
import { mistakeIn } from "./settings.ts";

/** What is played: a show, what it starts, and what has become of it. */
interface Act {
  readonly name: string;
  readonly show: Show;
  readonly plan: (network: string) => Promise<Plan>;
  state: "" | "…" | "✓" | "✗";
}

export class Stage {
  readonly #protocol: Protocol | undefined;
  readonly #acts: Act[] = [];
  #current: Act | undefined;
  #isPlaying = false;

  /** `protocol`: how to read the messages, where the user says so. */
  constructor(protocol: Protocol | undefined) {
    this.#protocol = protocol;
  }

  /** The show that is played, or was played last. */
  get current(): Show {
    const act = this.#current ?? this.#acts[0];
    if (!act) throw new Error("nothing is shown");
    return act.show;
  }

  /** All shows; undefined when there is only one. */
  get gallery(): Gallery | undefined {
    if (this.#acts.length < 2) return undefined;
    return {
      list: () => this.#acts.map(({ name, state }) => ({ name, state })),
      get: (name) => this.#acts.find((act) => act.name === name)?.show,
    };
  }

  /** Adds a show. `plan` says what is started over a network. A pair can be played again. */
  add(name: string, plan: Act["plan"], network: string, isPair: boolean): void {
    const show: Show = { model: new Model(this.#protocol), title: name, run: crypto.randomUUID(), network };
    const act: Act = { name, show, plan, state: "" };
    this.#acts.push(act);
    if (!isPair) return;
    show.again = (network) => {
      if (this.#isPlaying) return "an exchange is still running: wait until it is over";
      const mistake = mistakeIn(network, show.transport ?? "tcp");
      if (mistake) return mistake;
      show.model.close();
      show.network = network;
      this.#play(act);
      return "";
    };
  }

  /** Plays all shows. What fails is one line, and the page shows what there was until then. */
  async play(): Promise<void> {
    for (const act of this.#acts) {
      this.#current?.show.model.close();
      this.#current = act;
      await this.#play(act);
    }
  }

  async #play(act: Act): Promise<void> {
    this.#isPlaying = true;
    act.state = "…";
    try {
      await this.#run(act);
      const hasFailed = act.show.model.log.some((entry) => entry.kind === "mark" && entry.isFailure);
      act.state = hasFailed ? "✗" : "✓";
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.error(`watch: ${error.message}`);
      act.state = "✗";
      Deno.exitCode = 1;
    }
    this.#isPlaying = false;
    act.show.model.touch(); // its state has changed
  }

  async #run({ name, show, plan: planned }: Act): Promise<void> {
    const plan = await planned(show.network ?? "");
    const model = new Model(this.#protocol ?? plan.protocol);
    Object.assign(show, { model, title: plan.title, run: crypto.randomUUID(), transport: plan.over });
    if (plan.servers.length === 0 || plan.isChain === false) delete show.again; // a relay stands before one server
    const control = plan.relay && new Control(plan.over);
    if (control) show.change = (network) => control.change(network);
    else delete show.change;
    await runPlan(plan, model, console.log, control);
    // What goes out of a relay has been counted when it came in.
    const isMessage = (entry: Entry) => entry.kind === "arrow" && !entry.isGone && entry.came === undefined;
    const arrows = new Set(model.log.filter(isMessage));
    const stays = name === this.#acts.at(-1)?.name ? "; the page stays until Ctrl-C" : "";
    console.log(`watch: the exchange is over, with ${count(arrows.size, "message")}${stays}`);
  }
}
