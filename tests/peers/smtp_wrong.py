"""An SMTP server, one thread a client: correct, or wrong in one way. HOST, PORT and MAILBOX (the folder for the mails) are in
the environment; the argument is the way."""
import os, re, socketserver, sys, uuid

WAY = sys.argv[1]
MAILBOX = os.environ["MAILBOX"]
SIZE = 100_000


class Handler(socketserver.BaseRequestHandler):
    def setup(self):
        self.rest = b""

    def reply(self, text):
        end = "\n" if WAY == "lf-replies" else "\r\n"
        self.request.sendall((text.replace("\r\n", end) + end).encode())

    def line(self):
        while b"\r\n" not in self.rest:
            if len(self.rest) > 4096:
                if WAY == "dies-of-long-lines":
                    os._exit(1)
                self.reply("500 5.5.2 too long")
                raise ConnectionError
            more = self.request.recv(65536)
            if not more:
                raise ConnectionError
            if WAY == "reads-whole-lines" and not more.endswith(b"\r\n"):
                raise ConnectionError
            self.rest = self.rest + more
        line, self.rest = self.rest.split(b"\r\n", 1)
        if WAY == "drops-what-follows":
            self.rest = b""
        return line

    def content(self):
        """Reads the mail up to its end; returns it, or None when its line ends are wrong."""
        ends = {"ends-at-lf-dot-lf": rb"(?<!\r)\n\.\n|\r\n\.\r\n", "ends-at-lf-dot-crlf": rb"\n\.\r\n",
                "ends-at-crlf-dot-lf": rb"\r\n\.\r?\n", "ends-at-cr-dot-cr": rb"\r\n\.\r\n|\r\.\r",
                "ends-at-dot-cr": rb"\r\n\.\r\n?", "dot-ends-all": rb"\r\n\."}
        end = re.compile(ends.get(WAY, rb"\r\n\.\r\n"))
        data = b"\r\n"  # the end of the DATA command: a mail may consist of the dot alone
        while True:
            data += self.rest
            self.rest = b""
            match = end.search(data)
            if match:
                self.rest = data[match.end():]
                data = data[:match.start() + 2]
                if re.search(rb"\r(?!\n)|(?<!\r)\n", data) and not WAY.startswith("ends-at"):
                    return None
                return data[2:]
            more = self.request.recv(65536)
            if not more and WAY == "dies-with-its-client":
                os._exit(1)
            if not more:
                raise ConnectionError
            self.rest = more

    def handle(self):
        try:
            self.serve()
        except OSError:
            pass

    def keep(self, data):
        if WAY == "keeps-nothing":
            return
        if WAY == "strips-all-dots":
            data = re.sub(rb"(?m)^\.+", b"", data)
        elif WAY != "keeps-the-dots":
            data = re.sub(rb"(?m)^\.", b"", data)
        if WAY == "drops-empty-lines":
            data = re.sub(rb"(\r\n)+", b"\r\n", data)
        if WAY == "keeps-the-header":
            data = data.split(b"\r\n\r\n", 1)[0]
        if WAY == "keeps-ascii":
            data = data.decode("ascii", "replace").encode()
        if WAY == "one-buffer":
            data = data[:4096]
        if WAY == "overwrites":
            name = "mail"
        else:
            name = str(uuid.uuid4())
        with open(os.path.join(MAILBOX, name), "wb") as file:
            file.write(data)

    def serve(self):
        helo, sender, recipients = False, None, []
        self.reply("220 peer ESMTP")
        while True:
            line = self.line().decode("utf-8", "replace")
            verb, _, argument = line.partition(" ")
            if WAY != "minds-the-case":
                verb = verb.upper()
            if verb in ("EHLO", "HELO"):
                helo, sender, recipients = True, sender if WAY == "ehlo-resets-nothing" else None, []
                if verb == "EHLO" or WAY == "helo-is-ehlo":
                    self.reply(f"250-peer\r\n250-SIZE {SIZE}\r\n250-8BITMIME\r\n250 PIPELINING")
                else:
                    self.reply("250 peer")
            elif verb == "MAIL":
                match = re.fullmatch(r"FROM:<([^\s<>@]+@[^\s<>@]+|\"[^\"]*\"@[^\s<>@]+|)>((?: \S+)*)", argument, re.I)
                if WAY == "any-address":
                    match = re.fullmatch(r"FROM:(.*?)((?: [A-Z]+=\S+)*)", argument, re.I)
                if WAY == "no-null-sender" and match and match[1] == "":
                    match = None
                parameters = dict(part.partition("=")[::2] for part in match[2].split()) if match else {}
                if not helo and WAY != "any-order":
                    self.reply("503 5.5.1 EHLO first")
                elif not match:
                    self.reply("501 5.1.7 malformed address")
                elif sender is not None and WAY != "any-order":
                    self.reply("503 5.5.1 only one MAIL")
                elif set(parameters) - {"SIZE", "BODY"} and WAY != "any-parameter":
                    self.reply("555 5.5.4 unknown parameter")
                elif int(parameters.get("SIZE", 0)) > SIZE and WAY != "any-size":
                    self.reply("552 5.3.4 too big")
                else:
                    sender = match[1]
                    self.reply("250 2.1.0 ok")
            elif verb == "RCPT":
                match = re.fullmatch(r"TO:<([^\s<>@]+@[^\s<>@]+|postmaster)>", argument, re.I)
                if WAY == "no-postmaster" and match and "@" not in match[1]:
                    match = None
                if sender is None and WAY != "any-order":
                    self.reply("503 5.5.1 MAIL first")
                elif WAY == "one-recipient" and recipients:
                    self.reply("452 4.5.3 too many recipients")
                elif not match:
                    self.reply("501 5.1.3 malformed address")
                else:
                    recipients.append(match[1])
                    self.reply("250 2.1.5 ok")
            elif verb == "DATA":
                if not recipients and WAY != "any-order":
                    self.reply("503 5.5.1 RCPT first")
                    continue
                self.reply("354 send the mail")
                data = self.content()
                if data is None:
                    self.reply("550 5.6.11 bare CR or LF")
                else:
                    self.keep(data)
                    self.reply("250 2.0.0 accepted")
                if WAY != "keeps-the-envelope":
                    sender, recipients = None, []
            elif verb == "RSET":
                if WAY != "rset-does-nothing":
                    sender, recipients = None, []
                self.reply("250 2.0.0 ok")
            elif verb == "NOOP":
                self.reply("250 2.0.0 ok")
            elif verb == "QUIT":
                self.reply("221 2.0.0 bye")
                if WAY == "stays":
                    self.line()
                if WAY == "ends-after-quit":
                    os._exit(0)
                return
            elif WAY == "ok-to-all":
                self.reply("250 2.0.0 ok")
            elif WAY == "hangs-up-on-unknown":
                return
            else:
                self.reply("500 5.5.2 unknown command")


server = socketserver.TCPServer if WAY == "one-at-a-time" else socketserver.ThreadingTCPServer
server.allow_reuse_address = True
server.daemon_threads = True
server.request_queue_size = 5
with server((os.environ["HOST"], int(os.environ["PORT"])), Handler) as it:
    it.serve_forever()
