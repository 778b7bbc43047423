// A correct mail server with Node's net module. It starts slowly, prints every mail, and keeps each in a file.
import { createServer } from "node:net";
import { writeFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { join } from "node:path";

const local = String.raw`(?:[^\s<>@"]+|"(?:[^"\\]|\\.)*")`;
const path = new RegExp(`^(FROM|TO):<(${local}@[^\\s<>@]+|postmaster|)>((?: [^ ]+)*)$`, "i");
const limit = 1_000_000;

class Session {
  #rest = Buffer.alloc(0);
  #content;
  #greeted = false;
  #sender;
  #recipients = [];

  constructor(socket) {
    this.socket = socket;
    this.say("220-node", "220 welcome");
    socket.on("data", (data) => this.receive(data));
    socket.on("error", (error) => console.log("gone:", error.code));
  }

  say(...lines) {
    if (!this.socket.destroyed) this.socket.write(lines.map((line) => `${line}\r\n`).join(""));
  }

  receive(data) {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (let end = this.#rest.indexOf("\r\n"); end >= 0; end = this.#rest.indexOf("\r\n")) {
      const line = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end + 2);
      if (this.#content) this.text(line);
      else if (line.length > 2000) this.say("500 too long");
      else this.command(line.toString());
    }
    if (this.#rest.length > limit) {
      this.say("421 too long");
      this.socket.destroySoon();
    }
  }

  text(line) {
    if (line.toString() === ".") {
      const content = Buffer.concat(this.#content);
      const bare = /\r(?!\n)|(?<!\r)\n/.test(content.toString("latin1"));
      if (bare) this.say("554 5.6.0 line ends are CR LF");
      else {
        console.log(`a mail for ${this.#recipients}\n${content}`);
        writeFileSync(join(process.env.MAILBOX, randomUUID()), content);
        this.say("250 2.6.0 thank you");
      }
      this.#content = undefined;
      this.forget();
    } else this.#content.push(line[0] === 46 ? line.subarray(1) : line, Buffer.from("\r\n"));
  }

  forget() {
    this.#sender = undefined;
    this.#recipients = [];
  }

  command(line) {
    const verb = line.split(" ")[0].toUpperCase();
    const argument = line.slice(verb.length + 1);
    const [, word, address, parameters = ""] = path.exec(argument) ?? [];
    switch (verb) {
      case "HELO":
      case "EHLO":
        if (!argument) return this.say("501 5.5.4 and your name?");
        this.#greeted = true;
        this.forget();
        if (verb === "HELO") this.say("250 hello");
        else this.say("250-hello", `250-SIZE ${limit}`, "250-8BITMIME", "250-PIPELINING", "250 SMTPUTF8");
        return;
      case "MAIL": {
        if (!this.#greeted || this.#sender !== undefined) return this.say("503 5.5.1 not now");
        if (word?.toUpperCase() !== "FROM" || address === "postmaster") return this.say("501 5.1.7 malformed");
        const size = /^SIZE=(\d+)$/i;
        const names = parameters.split(" ").filter((name) => name);
        if (names.some((name) => !size.test(name) && !/^(BODY=.*|SMTPUTF8)$/i.test(name))) {
          return this.say("555 5.5.4 unknown parameter");
        }
        if (names.some((name) => Number(size.exec(name)?.[1] ?? 0) > limit)) return this.say("552 5.3.4 too big");
        this.#sender = address;
        return this.say("250 2.1.0 fine");
      }
      case "RCPT":
        if (this.#sender === undefined) return this.say("503 5.5.1 not now");
        if (word?.toUpperCase() !== "TO" || !address || parameters) return this.say("501 5.1.3 malformed");
        this.#recipients.push(address);
        return this.say("250 2.1.5 fine");
      case "DATA":
        if (this.#recipients.length === 0) return this.say("503 5.5.1 not now");
        this.#content = [];
        return this.say("354 end with a dot");
      case "RSET":
        this.forget();
        return this.say("250 2.0.0 reset");
      case "NOOP":
        return this.say("250 2.0.0 still here");
      case "QUIT":
        this.say("221 2.0.0 bye");
        return this.socket.end();
      default:
        return this.say("500 5.5.1 unknown");
    }
  }
}

const server = createServer((socket) => new Session(socket));
setTimeout(() => server.listen(process.env.PORT, () => console.log("ready")), 1000);
