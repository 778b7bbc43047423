/**
 * What `--help` prints, in 80 columns, and which option is meant by a mistyped one. Only `cli.ts` imports it.
 *
 * @module
 */
import { levenshteinDistance } from "jsr:@std/text@1/levenshtein-distance";
import type { Command, Option } from "../cli.ts";
import { shellCommand } from "./_whole_command.ts";

type Options = Record<string, Option<unknown>>;

const WIDTH = 80;
const FORM = 22; // the column of an option's form, such as `--port PORT`

/** The options that most scripts have, in the order in which help lists them. */
const common = ["host", "port", "once", "wait", "timeout", "trace", "pcap", "help"];

/** The usage in one line. */
export const usage = (command: Command<unknown>): string =>
  `usage: ${shellCommand(command.run.split(" "))} [OPTION ...]${command.args ? ` ${command.args}` : ""}`;

/** What `--help` prints: what the script does, its usage, examples, its own options, then those that most scripts have. */
export function help(command: Command<Options>): string {
  const options: Options = {
    ...command.options,
    help: { default: false, help: "print this text and exit", short: "h" },
  };
  const groups = Object.entries(command.groups ?? {});
  const grouped = [...common, ...groups.flatMap(([, names]) => names)];
  const own = Object.keys(options).filter((name) => !grouped.includes(name));
  const lists: [string, readonly string[]][] = [
    ["Options", own],
    ...groups,
    ["Common options", common.filter((name) => name in options)],
  ];
  const { examples = [] } = command;
  return [
    ...command.about.split("\n").flatMap((line) => wrap(line, "")),
    "",
    ...wrap(usage(command), "       "),
    ...examples.length > 0 ? ["", "Examples:", ...examples.map((example) => `  ${example}`)] : [],
    ...lists.filter(([, names]) => names.length > 0).flatMap(([title, names]) => [
      "",
      `${title}:`,
      ...names.flatMap((name) => row(name, options[name])),
    ]),
  ].join("\n");
}

/** An option's form and its help beside it; below it when the form is long. */
function row(name: string, option?: Option<unknown>): string[] {
  if (!option) throw new TypeError(`a group names --${name}, which is no option`);
  const { value = "", short } = option;
  const form = `  --${name}${value && !value.startsWith("[") ? " " : ""}${value}${short ? `, -${short}` : ""}`;
  const initial = value && option.default !== "" ? ` (default: ${option.default})` : "";
  const indent = " ".repeat(FORM + 2);
  const lines = wrap(`${indent}${option.help}${option.many ? "; may be repeated" : initial}`, indent);
  return form.length > FORM
    ? [form, ...lines]
    : lines.map((line, i) => i === 0 ? form.padEnd(FORM + 2) + line.slice(FORM + 2) : line);
}

/** Breaks a line between words; each line but the first begins with `indent`. `[NAME ...]` and `(default: 5)` stay together. */
function wrap(line: string, indent: string): string[] {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > WIDTH) {
    const breaks = [...rest.matchAll(/(?<=\S)(?<!\(default:) (?!\.\.\.)/g)].map(({ index }) => index);
    const at = breaks.findLast((index) => index > indent.length && index <= WIDTH) ?? 0;
    if (at === 0) break;
    lines.push(rest.slice(0, at));
    rest = indent + rest.slice(at + 1);
  }
  return [...lines, rest];
}

/** The option that is meant by a mistyped one: ` (did you mean --port?)`, or nothing when none is near. */
export function proposal(mistyped: string, names: string[]): string {
  const word = mistyped.replace(/^-+|=.*$/gs, "").slice(0, 40);
  const distance = (name: string) => name.startsWith(word) ? 0.5 : Number(levenshteinDistance(word, name));
  const [nearest] = [...names, "help"].map((name) => ({ name, far: distance(name) })).sort((a, b) => a.far - b.far);
  return nearest && word.length > 1 && nearest.far <= (word.length > 3 ? 2 : 1)
    ? ` (did you mean --${nearest.name}?)`
    : "";
}
