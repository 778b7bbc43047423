/** How `parseArgs` reads a command line. */
export interface ParseOptions {
  /** Options whose value stays text. `_` stands for the arguments without an option. */
  string?: string | readonly string[];
  /** Options without a value. */
  boolean?: string | readonly string[];
  /** Options that may be repeated. */
  collect?: string | readonly string[];
  /** Options that `--no-NAME` sets to false. */
  negatable?: string | readonly string[];
  default?: Record<string, unknown>;
  /** Other names of an option. */
  alias?: Record<string, string | readonly string[]>;
  /** Whether the first argument without an option ends the options. */
  stopEarly?: boolean;
  /** Whether `--` has a list of its own. */
  "--"?: boolean;
  /** Called for each argument that is not declared. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** A parsed command line. Its true type follows from the options; here they are known at run time only. */
export interface Args extends Record<string, unknown> {
  _: (string | number)[];
}

export function parseArgs(args: readonly string[], options?: ParseOptions): Args;
