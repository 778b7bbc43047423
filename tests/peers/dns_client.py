"""A DNS client: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os
import random
import socket
import struct
import sys

way = sys.argv[1]
server = (os.environ["HOST"], int(os.environ["PORT"]))
labels = b"".join(bytes([len(label)]) + label for label in b"www.example.com".split(b".")) + b"\0"
question = labels + struct.pack(">HH", 1, 1)
ident = random.randrange(65536)
query = struct.pack(">HHHHHH", ident, 0x100, 1, 0, 0, 0) + question


def skip(data, at):
    while data[at] and data[at] < 192:
        at += data[at] + 1
    return at + (2 if data[at] else 1)


def addresses(data):
    count, at, found = struct.unpack(">H", data[6:8])[0], skip(data, 12) + 4, []
    for _ in range(count):
        at = skip(data, at)
        kind, _, _, size = struct.unpack(">HHIH", data[at:at + 10])
        if at + 10 + size > len(data):
            raise ValueError("the data goes past the end")
        if kind == 1:
            found.append(socket.inet_ntoa(data[at + 10:at + 14]))
        at += 10 + size
    return found


def finish(data):
    try:
        found = addresses(data)
    except (ValueError, IndexError, struct.error, OSError):
        sys.exit("not a DNS message")
    if data[3] & 15:
        print(f"rcode {data[3] & 15}", file=sys.stderr)
        sys.exit(0 if way == "ignores-rcode" else 1)
    print(*found, sep="\n")
    sys.exit(0)


def tcp():
    with socket.create_connection(server, timeout=2) as conn:
        conn.sendall(struct.pack(">H", len(query)) + query)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
            data += conn.recv(4096)
        finish(data[2:])


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(0.4)
for attempt in range(1 if way == "asks-once" else 3):
    sock.sendto(query, server)
    try:
        while True:
            data, source = sock.recvfrom(4096)
            if source != server and way != "any-source":
                continue
            if data[:2] != query[:2] and way != "any-id":
                continue
            if data[12:12 + len(question)] != question and way != "any-question":
                continue
            if data[2] & 2 and way != "ignores-tc":
                tcp()
            try:
                addresses(data)
            except (ValueError, IndexError, struct.error, OSError):
                continue
            finish(data)
    except TimeoutError:
        pass
sys.exit("no answer")
