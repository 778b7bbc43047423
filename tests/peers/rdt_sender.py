"""Sends a file over UDP, stop-and-wait: correct, or wrong in one way. HOST, PORT and FILE are in the environment; the argument
is the way."""
import os
import socket
import struct
import sys

WAY = sys.argv[1]
RECEIVER = os.environ["HOST"], int(os.environ["PORT"])
DATA, END, ACK = range(3)


def checksum(data):
    if len(data) % 2:
        data = b"\0" + data if WAY == "pads-in-front" else data + b"\0"
    total = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(kind, number, data=b""):
    if WAY == "one-byte":
        number &= 0xFF
    order = "<" if WAY == "little-endian" else "!"
    header = struct.pack(order + "IHBB", number, 0, kind, 0)
    total = checksum(data) if WAY == "data-only" else checksum(header + data)
    return header[:4] + struct.pack("!H", total) + header[6:] + data


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    print(f"rdt_sender: {why}", file=sys.stderr)
    sys.exit(0 if WAY == "shrugs" else 1)


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
# Those that do not survive one timeout get a longer one: a busy machine must not cause it.
PATIENT = WAY in ("new-number", "sends-once", "gives-up-at-once")
sock.settimeout(None if WAY == "waits-forever" else 0.005 if WAY == "floods" else 1.5 if PATIENT else 0.2)
with open(os.environ["FILE"], "rb") as file:
    content = file.read()
if WAY == "decodes-as-text":
    content = content.decode(errors="replace").encode()
parts = [(DATA, content[i : i + 512]) for i in range(0, len(content), 512)]
if WAY == "no-end-when-empty" and not content:
    sys.exit(0)
if WAY == "sends-empty-data" and not content:
    parts.append((DATA, b""))
parts.append((END, b""))
all_tries = 0
for number, (kind, data) in enumerate(parts):
    tries = 0
    number += 1 if WAY == "counts-from-1" else 0
    while True:
        bits = packet(kind, number, data)
        sock.sendto(bits, RECEIVER)
        if WAY == "ends-after-end" and kind == END:
            sys.exit(0)
        try:
            while True:
                answer, sender = sock.recvfrom(2048)
                if sender != RECEIVER and WAY != "any-source":
                    continue
                if len(answer) != 8 and WAY != "dies-of-rubbish":
                    continue
                acknowledged, _, answer_kind, _ = struct.unpack("!IHBB", answer)
                if checksum(answer) != 0 and WAY != "checks-nothing":
                    continue
                if answer_kind == ACK and (acknowledged == number + 1 or WAY == "any-acknowledgement"):
                    break
            break
        except socket.timeout:
            tries += 1
            all_tries += 1
            if WAY == "new-number":
                number += 1
            if WAY == "sends-once":
                break
            if WAY == "gives-up-at-once":
                give_up("no answer")
            if WAY == "counts-all-tries" and all_tries == 7:
                give_up("seven losses")
            if tries == (400 if WAY == "floods" else 4 if PATIENT else 30):
                give_up("no answer")
print(len(content), "bytes")
