// A correct chat server in Node, which sends a line end behind each line and knows no limits. The port is the argument.
import { createSocket } from "node:dgram";

const clients = new Map();
const socket = createSocket("udp4");
const send = (line, { port, address }) => socket.send(`${line}\n`, port, address);
const others = (line, but) => [...clients].forEach(([key, client]) => key !== but && send(line, client));

socket.on("message", (data, from) => {
  const key = `${from.address}:${from.port}`;
  // deno-lint-ignore no-control-regex -- these are replaced
  const line = data.toString().trimEnd().replace(/[\0-\x1f\x7f-\x9f]/g, "?");
  if (!clients.has(key)) clients.set(key, { ...from, name: key, last: 0 });
  const me = clients.get(key);
  console.log(key, line.slice(0, 80));
  const [, command, rest = ""] = /^\/(name|who|quit|say) ?(.*)$/.exec(line) ?? [];
  if (command === "who") send(`* here: ${[...clients.values()].map(({ name }) => name).join(", ")}`, me);
  else if (command === "name") {
    const taken = [...clients].some(([other, { name }]) => other !== key && name.toLowerCase() === rest.toLowerCase());
    if (taken) return send(`* Sorry, ${rest} is already taken.`, me);
    others(`* ${me.name} is now ${rest}`, key);
    me.name = rest;
    me.last = 0;
    send(`* you are ${rest}`, me);
  } else if (command === "quit") {
    send("* bye", me);
    clients.delete(key);
    others(`* ${me.name} left`);
  } else if (command === "say") {
    const [, id, text] = /^(\d{1,9}) (.*)$/.exec(rest) ?? [];
    if (id === undefined) return;
    if (Number(id) > me.last) others(`${me.name}: ${text}`, key);
    me.last = Math.max(me.last, Number(id));
    send(`#${id} ${me.name}: ${text}`, me);
  } else if (line) others(`${me.name}: ${line}`);
});
socket.bind(Number(process.argv[2]), "127.0.0.1");
