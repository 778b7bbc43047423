// A correct client of the first lab in Node. Arguments: host, port.
import { connect } from "node:net";

const socket = connect(Number(process.argv[3]), process.argv[2], () => socket.write("Hello from Node!"));
const fail = (why) => {
  console.error(`reply client: ${why}`);
  process.exit(1);
};
socket.on("error", (error) => fail(error.message));
socket.on("end", () => fail("the server closed without a reply"));
socket.once("data", (reply) => {
  console.log(`${reply}`);
  process.exit(0);
});
