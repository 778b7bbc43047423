"""A mail client on a socket: correct, or wrong in one way. HOST, PORT, TO and TEXT are in the environment; the argument is the
way."""
import os, re, socket, sys

WAY = sys.argv[1]
HOST, PORT, TO, TEXT = os.environ["HOST"], int(os.environ["PORT"]), os.environ["TO"], os.environ["TEXT"]


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    print(f"smtp_client: {why}", file=sys.stderr)
    sys.exit(0 if WAY == "always-0" else 1)


try:
    conn = socket.create_connection((HOST, PORT))
except OSError as error:
    give_up(error)
rest = b""
offered = b""


def reply():
    global rest, offered
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
        offered += line
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
if WAY != "no-hello":
    send("EHLO client.example.com")
    code = reply()
    if code != 250:
        if WAY == "only-ehlo":
            give_up("no EHLO")
        ask("HELO client.example.com", 250)
sender = "MAIL FROM:<a@example.com>" + (" SIZE=1000" if WAY == "any-parameter" else "")
to = "b@example.com" if WAY == "one-recipient" else TO
recipient = f"RCPT TO: {to}" if WAY == "no-brackets" else f"RCPT TO:<{to}>"
if WAY.startswith("pipelines") and b"PIPELINING" in offered:
    send("\r\n".join([sender, recipient, "DATA"]))
    codes = []
    for _ in range(3):
        codes.append(reply())
        if codes[-1] >= 400 and WAY == "pipelines-and-leaves":
            conn.close()
            give_up("refused")
    if codes != [250, 250, 354]:
        send("QUIT")
        give_up(f"refused: {codes}")
else:
    ask(sender, 250)
    ask(recipient, 250)
    ask("DATA", 354)
header = "Subject: A test\r\n" if WAY == "no-from" else (
    f"From: a@example.com\r\nTo: {to}\r\nSubject: A test\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n")
text = "Hello." if WAY == "one-text" else TEXT
lines = text.split("\n")
if WAY != "no-stuffing":
    lines = ["." + line if line.startswith(".") else line for line in lines]
if WAY == "stuffs-every-dot":
    lines = [line.replace(".", "..") for line in text.split("\n")]
if WAY == "first-line-only":
    lines = lines[:1]
end = "\n" if WAY == "lf-text" else "\r\n"
separator = "" if WAY == "no-empty-line" else "\r\n"
conn.sendall((header + separator + end.join(lines) + "\r\n.\r\n").encode())
if WAY == "trusts-the-dot":
    send("QUIT")
    sys.exit(0)
if reply() != 250 and WAY != "ignores-codes":
    give_up("refused")
if WAY != "no-quit":
    send("QUIT")
if WAY == "minds-the-farewell" and reply() != 221:
    give_up("no farewell")
