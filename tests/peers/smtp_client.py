"""A mail client on a socket: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os, re, socket, sys

WAY = sys.argv[1]
HOST, PORT = os.environ["HOST"], int(os.environ["PORT"])


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    sys.exit(f"smtp_client: {why}")


try:
    conn = socket.create_connection((HOST, PORT))
except OSError as error:
    give_up(error)
rest = b""


def reply():
    global rest
    while True:
        while b"\r\n" not in rest:
            more = conn.recv(4096)
            if not more:
                give_up("closed")
            rest += more
            if WAY == "reads-once":
                break
        line, _, rest = rest.partition(b"\r\n")
        match = re.match(rb"(\d\d\d)([ -]|$)", line)
        if not match:
            if WAY == "any-protocol":
                sys.exit(0)
            give_up("no reply")
        if match[2] != b"-" or WAY == "one-line-replies":
            return int(match[1])


def send(line):
    conn.sendall(line.encode() + (b"\n" if WAY == "bare-lf" else b"\r\n"))


def ask(line, wanted):
    send(line)
    code = reply()
    if code != wanted and WAY != "ignores-codes":
        if WAY != "just-hangs-up":
            send("QUIT")
        give_up(f"{line}: {code}")
    return code


if reply() != 220 and WAY != "ignores-codes":
    give_up("not greeted")
send("EHLO client.example.com")
code = reply()
if code != 250:
    if WAY == "only-ehlo":
        give_up("no EHLO")
    ask("HELO client.example.com", 250)
ask("MAIL FROM:<a@example.com>", 250)
ask("RCPT TO: b@example.com" if WAY == "no-brackets" else "RCPT TO:<b@example.com>", 250)
ask("DATA", 354)
header = "" if WAY == "no-header" else "From: a@example.com\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n"
conn.sendall((header + "Hello.\r\n.\r\n").encode())
if WAY == "trusts-the-dot":
    sys.exit(0)
if reply() != 250 and WAY != "ignores-codes":
    give_up("refused")
send("QUIT")
if WAY == "minds-the-farewell" and reply() != 221:
    give_up("no farewell")
