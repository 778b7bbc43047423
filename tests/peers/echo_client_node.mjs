// A correct echo client in Node. Arguments: host, port, text.
import { connect } from "node:net";

const [host, port, text] = process.argv.slice(2);
let back = "";
const socket = connect(Number(port), host, () => socket.end(`${text}\n`));
socket.setEncoding("utf-8");
socket.on("data", (data) => back += data);
socket.on("error", (error) => {
  console.error(`cannot talk to the server: ${error.message}`);
  process.exit(1);
});
socket.on("close", () => {
  console.log(back.trimEnd());
  if (back !== `${text}\n`) console.error("the echo is not what was sent");
  process.exitCode = back === `${text}\n` ? 0 : 1;
});
