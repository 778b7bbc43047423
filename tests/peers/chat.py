"""A UDP chat server: correct, or wrong in one way. The port is in the environment (PORT); the argument is the way."""
import os
import re
import socket
import sys
import time

way = sys.argv[1]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["PORT"])))
print("listening on %s:%d" % sock.getsockname(), flush=True)
names = {}
said = {}


def relay(line, skip=None):
    for addr in list(names):
        if addr != skip:
            sock.sendto(line.encode(errors="replace"), addr)
            if way == "keeps-who-left-slowly":
                time.sleep(0.01)


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
            old, names[addr] = names[addr], rest
            said.pop(addr, None)
            if way != "no-welcome":
                sock.sendto(f"* you are {rest}".encode(), addr)
            if way != "renames-silently":
                relay(f"* {old} is now {rest}", addr)
    elif word == "/who" and way == "one-name":
        sock.sendto(("* here: " + names[addr]).encode(), addr)
    elif word == "/who":
        sock.sendto(("* here: " + ", ".join(names.values())).encode(), addr)
    elif word == "/quit":
        if way != "no-farewell":
            sock.sendto(b"* bye", addr)
        relay(f"* {names[addr]} left", addr)
        if not way.startswith("keeps-who-left"):
            del names[addr]
    elif word == "/say" and way != "no-say":
        number, _, rest = rest.partition(" ")
        if not number.isdigit():
            continue
        sock.sendto(f"#{number} {names[addr]}: {rest}".encode(errors="replace"), addr)
        if said.get(addr, 0) < int(number) or way == "says-twice":
            said[addr] = int(number)
            relay(f"{names[addr]}: {rest}", addr)
    elif text:
        relay(f"{names[addr]}: {text}", addr if way == "no-echo" else None)
