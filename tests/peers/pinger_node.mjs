// A correct pinger in Node. Arguments: host, port.
import { createSocket } from "node:dgram";

const [host, port] = process.argv.slice(2);
const socket = createSocket("udp4");
let lost = 0;
for (let number = 1; number <= 10; number++) {
  const start = performance.now();
  const took = await new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000);
    socket.removeAllListeners("message");
    socket.on("message", (data) => {
      if (!`${data}`.startsWith(`PING ${number} `)) return;
      clearTimeout(timer);
      resolve(performance.now() - start);
    });
    socket.send(`PING ${number} ${Date.now()}`, Number(port), host);
  });
  console.log(took === undefined ? `${number}: timed out` : `${number}: ${took.toFixed(3)} ms`);
  if (took === undefined) lost++;
}
console.log(`${(lost * 10).toFixed(1)} % packet loss`);
socket.close();
