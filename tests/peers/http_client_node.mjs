// A correct HTTP client: Node's http module. It takes its time to start. The argument is the URL.
import { get } from "node:http";

await new Promise((go) => setTimeout(go, 300));
const giveUp = (error) => {
  console.error(`no page: ${error.message}`);
  process.exit(1);
};
get(process.argv[2], (response) => {
  console.log(`${response.statusCode} ${response.statusMessage}`);
  response.on("error", giveUp).pipe(process.stdout);
}).on("error", giveUp);
