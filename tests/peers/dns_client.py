"""A DNS client: correct, or wrong in one way. HOST, PORT and NAME are in the environment; the argument is the way."""
import os
import random
import socket
import struct
import sys

way = sys.argv[1]
server = (os.environ["HOST"], int(os.environ["PORT"]))
name = "www.example.com" if way == "one-name" else os.environ["NAME"]
labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\0"
question = labels + struct.pack(">HH", 28 if way == "asks-for-another-type" else 1, 1)
ident = 1234 if way == "fixed-id" else random.randrange(65536)
query = struct.pack(">HHHHHH", ident, 0x100, 1, 0, 0, 0) + question
if way == "little-endian":
    query = struct.pack("<HHHHHH", ident, 0x100, 1, 0, 0, 0) + question
if way == "no-final-zero":
    query = query.replace(labels, labels[:-1])
if way == "dots-in-the-name":
    query = query.replace(labels, name.encode() + b"\0")
if way == "header-only":
    query = query[:12]
if way == "sends-text":
    query = name.encode()
MALFORMED = (ValueError, IndexError, struct.error, OSError)


def skip(data, at):
    if way == "owner-is-a-pointer":
        return at + 2
    while data[at] and data[at] < 192:
        at += data[at] + 1
    return at + (2 if data[at] else 1)


def end_of_name(data, at):
    while data[at]:
        at += data[at] + 1
    return at + 1


def addresses(data):
    count, at, found = struct.unpack(">H", data[6:8])[0], end_of_name(data, 12) + 4, []
    for _ in range(1 if way == "one-record" else count):
        at = skip(data, at)
        kind, _, ttl, size = struct.unpack("<HHIH" if way == "little-endian-records" else ">HHIH", data[at:at + 10])
        if at + 10 + size > len(data):
            raise ValueError("the data goes past the end")
        if way == "prints-ttl":
            print("TTL", struct.unpack("<I", struct.pack(">I", ttl))[0])
        if kind == 1 or way == "any-record":
            found.append(socket.inet_ntoa(data[at + 10:at + 14]))
        at += 10 + size
    return found


def finish(data):
    try:
        found = addresses(data)
    except MALFORMED:
        if way == "shows-stack-trace":
            raise
        sys.exit("not a DNS message")
    if data[3] & 15:
        print(f"rcode {data[3] & 15}", file=sys.stderr)
        sys.exit(0 if way == "ignores-rcode" else 1)
    print(*found, sep="\n")
    sys.exit(0)


def tcp():
    with socket.create_connection(server, timeout=2) as conn:
        if way == "tcp-says-nothing":
            conn.recv(1)
            sys.exit(1)
        conn.sendall((b"" if way == "no-length-on-tcp" else struct.pack(">H", len(query))) + query)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
            more = conn.recv(4096)
            if not more or way == "reads-once":
                data += more
                break
            data += more
        finish(data[2:])


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(None if way == "waits-forever" else 0.4)
for attempt in range(1 if way == "asks-once" else 3):
    sock.sendto(query, server)
    try:
        while True:
            data, source = sock.recvfrom(4096)
            if way == "parses-first":
                try:
                    addresses(data)
                except MALFORMED:
                    sys.exit("malformed")
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
            except MALFORMED:
                if way == "shows-stack-trace":
                    raise
                continue
            finish(data)
    except socket.timeout:
        pass
sys.exit(0 if way == "shrugs" else "no answer")
