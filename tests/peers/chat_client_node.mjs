// A correct chat client in Node, which takes a name first. Arguments: host, port, text.
import { createSocket } from "node:dgram";

const [host, port, text] = process.argv.slice(2);
const socket = createSocket("udp4");
// deno-lint-ignore no-control-regex -- these are replaced
const show = (line) => console.log(line.replace(/[\0-\x1f\x7f-\x9f]/g, "?"));

/** Sends a line again and again until an answer arrives. */
function ask(line, isAnswer) {
  return new Promise((resolve) => {
    let wait = 200;
    let timer;
    const give = (answer) => {
      clearTimeout(timer);
      socket.off("message", listen);
      resolve(answer);
    };
    const listen = (data, from) => {
      if (from.port !== Number(port) || from.address !== host) return;
      const got = data.toString();
      if (isAnswer(got)) give(got);
      else if (!got.startsWith("#") && !got.startsWith("* you are")) show(got);
    };
    const attempt = () => {
      if (wait > 1000) return give(undefined);
      socket.send(line, Number(port), host);
      timer = setTimeout(attempt, wait);
      wait *= 2;
    };
    socket.on("message", listen);
    attempt();
  });
}

socket.on("error", () => {});
await ask("/name nora", (line) => line === "* you are nora");
const echo = await ask(`/say 1 ${text}`, (line) => line.startsWith("#1 "));
if (echo !== undefined) show(echo.slice(3));
await ask("/quit", (line) => line === "* bye");
socket.close();
if (echo === undefined) {
  console.error("chat client: the server does not answer");
  process.exitCode = 1;
}
