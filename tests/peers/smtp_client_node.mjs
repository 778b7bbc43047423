// A correct mail client with Node's net module, which takes its time to start. TO, TEXT, HOST and PORT are in the environment.
import { connect } from "node:net";
import { createInterface } from "node:readline";

await new Promise((go) => setTimeout(go, 700));
const { HOST, PORT, TO, TEXT } = process.env;
const socket = connect(Number(PORT), HOST);
let failure = "the server closed the connection";
socket.setTimeout(10_000, () => socket.destroy(new Error("no reply in time")));
socket.on("error", (error) => failure = error.message);
// Without crlfDelay, a CR whose LF comes 100 ms later would be a line end of its own.
const lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();

async function reply() {
  while (true) {
    const { value, done } = await lines.next();
    if (done) throw new Error(failure);
    if (!/^\d\d\d/.test(value)) throw new Error(`this is not SMTP: ${value}`);
    console.log("S:", value);
    if (value[3] !== "-") return Number(value.slice(0, 3));
  }
}

async function command(text, ...wanted) {
  console.log("C:", text);
  socket.write(`${text}\r\n`);
  const code = await reply();
  if (!wanted.includes(code)) throw new Error(`${text}: ${code}`);
}

const mail = [
  "From: <node@example.com>",
  `To: <${TO}>`,
  "Subject: From Node",
  `Date: ${new Date().toUTCString().replace("GMT", "+0000")}`,
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: base64",
  "",
  ...(Buffer.from(TEXT.replace(/\r?\n/g, "\r\n")).toString("base64").match(/.{1,76}/g) ?? []),
];
try {
  if (await reply() !== 220) throw new Error("not greeted");
  await command("EHLO node.example.com", 250).catch(() => command("HELO node.example.com", 250));
  await command("MAIL FROM:<node@example.com>", 250);
  await command(`RCPT TO:<${TO}>`, 250, 251);
  await command("DATA", 354);
  await command([...mail, "."].join("\r\n"), 250);
  await command("QUIT", 221).catch(() => {});
  socket.destroy();
} catch (error) {
  console.error(`smtp: ${error.message}`);
  socket.end("QUIT\r\n", () => socket.destroy());
  process.exitCode = 1;
}
