// Node asks with the library c-ares.
import { promises as dns } from "node:dns";

const [host, port, name] = process.argv.slice(2);
const resolver = new dns.Resolver({ timeout: 1000, tries: 2 });
resolver.setServers([`${host}:${port}`]);
try {
  console.log((await resolver.resolve4(name)).join("\n"));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
