/**
 * Checks what the world runs with the suites, and writes the table in tests/suites/README.md: `deno task world`. A program that
 * this machine lacks keeps no row, so run it where all of them are. How each is set up is in tests/peers/world.
 *
 * @module
 */
import { Failure, printable, run } from "../cli.ts";
import type { Result } from "./support/checking.ts";
import { judge, patiently } from "./support/judge.ts";
import { has, output, stopAll, temporaryFolder } from "./support/program.ts";
import { needsCheckout } from "./support/tasks.ts";

interface Row {
  readonly suite: string;
  readonly program: string;
  /** Prints the version, on stdout or stderr. */
  readonly version: string;
  readonly command: string;
}

const row = (suite: string, program: string, version: string, command: string): Row => ({
  ...{ suite, program, version, command },
});

/** Debian's own Python has the packages that are installed there. -P: world/urllib.py is not its urllib. */
const debian = "/usr/bin/python3";
const python = `${debian} -c "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"`;

/** A program on a package of npm, which is installed in the folder MODULES. */
const ofNpm = (suite: string, name: string, command: string): Row =>
  row(
    suite,
    `Node's package \`${name}\``,
    `grep -m1 '"version"' "$MODULES/node_modules/${name}/package.json"`,
    command,
  );

const rows: readonly Row[] = [
  row("http:server", "nginx", "nginx -v", "sh world/nginx.sh"),
  row(
    "http:server",
    "Python `http.server`",
    "python3 --version",
    "python3 -m http.server --bind 127.0.0.1 --directory {root} {port}",
  ),
  row("http:server", "Deno's documented file server", "deno --version", "deno run -A tests/peers/world/deno.ts"),
  row("http:server", "Node's static server as MDN has it", "node --version", "node world/mdn.mjs"),
  row("http:client", "curl", "curl --version", "curl -sSf {url}"),
  row("http:client", "wget", "wget --version", "wget -qO- --tries=1 {url}"),
  row("http:client", "Python `urllib`", "python3 --version", "python3 world/urllib.py {url}"),
  row("http:client", "Node's `fetch`", "node --version", "node world/fetch.mjs {url}"),
  row(
    "http:websocket-client",
    "Deno's `WebSocket`",
    "deno --version",
    "deno run -N=127.0.0.1 http/websocket_client.ts --listen=60 {url} {text}",
  ),
  row("dns:server", "BIND", "named -v", "sh world/bind.sh"),
  row("dns:server", "NSD", "nsd -v", "sh world/nsd.sh"),
  row("dns:server", "Knot", "knotd --version", "sh world/knot.sh"),
  row("dns:server", "dnsmasq (answers from a list of hosts)", "dnsmasq --version", "sh world/dnsmasq.sh"),
  row("dns:client", "dig", "dig -v", "sh world/dig.sh"),
  row("dns:client", "c-ares", "node -p process.versions.ares", "node world/c_ares.mjs {host} {port} {name}"),
  row("smtp:server", "Postfix", "postconf -d mail_version", "sh world/postfix.sh"),
  row(
    "smtp:server",
    "aiosmtpd",
    "aiosmtpd --version",
    "aiosmtpd -n -l 127.0.0.1:{port} -c aiosmtpd.handlers.Mailbox {mailbox}",
  ),
  row("smtp:client", "Python `smtplib`", "python3 --version", "python3 world/mail.py"),
  row("smtp:client", "curl", "curl --version", "sh world/curl_mail.sh"),
  row("smtp:client", "msmtp", "msmtp --version", "sh world/msmtp.sh"),
  row(
    "smtp:client",
    "swaks",
    "swaks --version",
    "swaks --server {host}:{port} --from a@example.com --to {to} --body {text}",
  ),
  row("udp:tftp", "tftpd-hpa", "in.tftpd --version", "sh world/tftpd_hpa.sh"),
  row("udp:tftp", "atftpd", "atftpd --version", "sh world/atftpd.sh"),
  row("udp:tftp-client", "tftp-hpa", "tftp -V", "sh world/tftp_hpa.sh"),
  row("udp:tftp-client", "atftp", "atftp --version", "sh world/atftp.sh"),
  row("udp:tftp-client", "curl", "curl --version", "curl -sS -o {file} tftp://{host}:{port}/{name}"),
  ofNpm("tcp:rpc", "vscode-jsonrpc", "node world/jsonrpc.mjs"),
  ofNpm("tcp:rpc-client", "vscode-jsonrpc", "node world/jsonrpc.mjs client"),
  ofNpm("http:websocket", "ws", "node world/ws.mjs"),
  row(
    "http:websocket",
    "Deno's documented WebSocket server",
    "deno --version",
    "deno run -A tests/peers/world/upgrade.ts",
  ),
  row("http:websocket", "Python `websockets`", `${python} websockets`, `${debian} -P world/websockets_server.py`),
  row("http:websocket", "Tornado", `${python} tornado`, `${debian} -P world/tornado_server.py`),
  ofNpm("http:websocket-client", "ws", "node world/ws.mjs client"),
  row(
    "http:websocket-client",
    "Python `websockets`",
    `${python} websockets`,
    `${debian} -P world/websockets_client.py`,
  ),
  row("http:websocket-client", "Tornado", `${python} tornado`, `${debian} -P world/tornado_client.py`),
  row("http:proxy", "Squid", "squid -v", "sh world/squid.sh"),
  row("http:proxy", "Tinyproxy (has no cache)", "tinyproxy -v", "sh world/tinyproxy.sh"),
];

/** The version that a program prints; "" if there is no such program. */
async function version(command: string): Promise<string> {
  if (command.startsWith("deno ")) return Deno.version.deno;
  const [name = ""] = command.split(" ");
  // Some have no option that exits with 0; nsd and nginx print to stderr.
  if (!await has("sh", "-c", `command -v ${name}`)) return "";
  const printed = await output("sh", "-c", `${command} 2>&1`);
  if (/ModuleNotFound|PackageNotFound|No such file/.test(printed)) return "";
  return /\d+(\.\d+)+|\d{8}/.exec(printed)?.[0] ?? "unknown";
}

/** One line of the table. */
function cells({ suite, program }: Row, version: string, results: readonly Result[]): string {
  const passed = results.filter(({ state }) => state === "passed").length;
  return `| \`${suite}\` | ${program} ${version} | ${passed} of ${results.length} |`;
}

/** The checks that a program does not pass. One that is not run has the cause of another. */
const missed = (results: readonly Result[]) => results.filter(({ state }) => state === "failed");

const command = {
  name: "world",
  about: "Checks what the world runs with the suites, and writes the table in tests/suites/README.md.",
  run: "deno task world",
  args: "[PROGRAM ...]",
  options: {},
};

const readme = `${import.meta.dirname}/suites/README.md`;
const begin = "<!-- deno task world writes from here -->\n";
const end = "<!-- to here -->\n";

await run(command, async ({ args }) => {
  needsCheckout();
  const table = ["| suite | program | checks passed |", "| --- | --- | --- |"];
  const list: string[] = [];
  const chosen = rows.filter(({ suite, program }) =>
    args.length === 0 || args.some((arg) => `${suite} ${program}`.includes(arg))
  );
  if (chosen.length === 0) throw new Failure(`no program has ${printable(args.join(", "))} in its name`, 2);
  const modules = await temporaryFolder("world-");
  Deno.env.set("MODULES", modules);
  if (chosen.some(({ version }) => version.includes("MODULES"))) {
    await output("npm", "install", "--silent", "--prefix", modules, "ws@8", "vscode-jsonrpc@8");
  }
  try {
    for (const row of chosen) {
      const found = await version(row.version);
      if (!found) {
        console.log(`${row.suite} ${row.program}: not on this machine`);
        continue;
      }
      const results = await patiently(9000, () => judge(row.suite, row.command));
      console.log(cells(row, found, results));
      for (const { check, problem } of missed(results)) {
        console.log(`  ✗ ${check.name}: ${printable(problem.split("\n")[0] ?? "")}`);
      }
      table.push(cells(row, found, results));
      // The section that asks for it stands in `why`. What the program did differs in every run.
      list.push(...missed(results).map(({ check }) => `- ${row.program}, "${check.name}". ${check.why}`));
    }
  } finally {
    await stopAll();
  }
  if (args.length > 0) return; // a part is shown, not written
  const text = await Deno.readTextFile(readme);
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Failure(`${readme} has lost the lines between which the table stands`);
  const body = `\n${table.join("\n")}\n\n${list.join("\n")}\n\n`;
  await Deno.writeTextFile(readme, text.slice(0, from) + begin + body + text.slice(to));
});
