"""A UDP chat server: correct, or wrong in one way. The port is in the environment (PORT); the argument is the way."""
import os
import re
import socket
import sys

way = sys.argv[1]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["PORT"])))
print("listening on %s:%d" % sock.getsockname(), flush=True)
names = {}


def relay(line, skip=None):
    for addr in list(names):
        if addr != skip:
            sock.sendto(line.encode(errors="replace"), addr)


while True:
    data, addr = sock.recvfrom(1024)
    text = data.decode(errors="strict" if way == "dies-on-bytes" else "replace").rstrip("\n")
    if way != "raw-controls":
        text = re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "?", text)
    if way not in ("raw-controls", "raw-lines"):
        text = text.replace("\n", " ")
    names.setdefault(addr, "%s:%d" % addr)
    word, _, rest = text.partition(" ")
    if word == "/name":
        if rest.lower() in (name.lower() for name in names.values()) and way != "shares-names":
            sock.sendto(b"* the name is taken", addr)
        else:
            names[addr] = rest
            sock.sendto(f"* you are {rest}".encode(), addr)
    elif word == "/who":
        sock.sendto(("* here: " + ", ".join(names.values())).encode(), addr)
    elif word == "/quit":
        sock.sendto(b"* bye", addr)
        relay(f"* {names[addr]} left", addr)
        if way != "keeps-who-left":
            del names[addr]
    elif text:
        relay(f"{names[addr]}: {text}", addr if way == "no-echo" else None)
