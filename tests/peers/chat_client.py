"""A chat client: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os
import re
import socket
import sys
import time

way = sys.argv[1]
server = (os.environ["HOST"], int(os.environ["PORT"]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def show(line):
    if way != "raw-controls":
        line = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", line)
    print(line, flush=True)


def ask(line, is_answer, tries=3):
    wait = 1.5 if way == "sends-once" else 0.3
    for attempt in range(1 if way == "sends-once" else 500 if way == "floods" else tries):
        sent = re.sub(r"^/say 1", f"/say {attempt + 1}", line) if way == "new-number" else line
        sock.sendto(sent.encode(), server)
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data, source = sock.recvfrom(65535)
            except socket.timeout:
                break
            except OSError:
                sys.exit("chat_client: no server is running")
            if source != server and way != "any-source":
                continue
            text = data.decode() if way == "dies-on-bytes" else data.decode(errors="replace")
            if is_answer(text):
                return text
            if way != "deaf" and (way == "shows-all" or not re.match(r"#\d+ ", text)):
                show(text)
        wait = 0.01 if way == "floods" else wait * 2
    if way == "shrugs":
        sys.exit(0)
    sys.exit("chat_client: no answer")


def is_echo(text):
    if way == "any-echo":
        return ": " + message in text
    return re.match(r"#\d+ " if way == "new-number" else r"#1 ", text) is not None


message = os.environ["TEXT"]
echo = ask(f"/say 1 {message}", is_echo)
show(echo.partition(" ")[2])
if way != "vanishes":
    ask("/quit", lambda text: text == "* bye")
