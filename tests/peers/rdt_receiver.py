"""Receives a file over UDP: correct, or wrong in one way. PORT and FILE are in the environment; the argument is the way."""
import os
import socket
import struct
import sys

WAY = sys.argv[1]
DATA, END, ACK = range(3)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def acknowledge(number):
    if WAY == "acknowledges-what-came":
        number -= 1
    if WAY == "one-byte":
        number &= 0xFF
    order = "<" if WAY == "little-endian" else "!"
    header = struct.pack(order + "IHBB", number, 0, ACK, 0)
    total = 0 if WAY == "no-checksum" else checksum(header)
    sock.sendto(header[:4] + struct.pack("!H", total) + header[6:], sender)


def save():
    if content or WAY != "no-empty-file":
        with open(os.environ["FILE"], "wb") as file:
            file.write(content.decode(errors="replace").encode() if WAY == "decodes-as-text" else content)


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["PORT"])))
content = b""
awaited = strikes = 0
peer = None
ended = False
while True:
    try:
        packet, sender = sock.recvfrom(65536)
    except socket.timeout:
        break
    if len(packet) < 8 and WAY != "dies-of-rubbish":
        continue
    number, _, kind, _ = struct.unpack("!IHBB", packet[:8])
    if checksum(packet) != 0 and WAY != "checks-nothing":
        strikes += 1
        if strikes == 5 and WAY == "five-strikes":
            sys.exit("a bad network")
        if WAY != "acknowledges-spoiled":
            continue
        awaited = max(awaited, number + 1)
    if peer is None:
        peer = sender
    if sender != peer and WAY != "any-source":
        continue
    data = packet if WAY == "keeps-headers" else packet[8:]
    is_next = number == awaited
    if WAY == "alternates":
        is_next = number % 2 == awaited % 2
    if WAY == "any-order":
        is_next = number >= awaited
    if WAY == "any-old":
        is_next = number == awaited or number < awaited - 1
    if kind == END and WAY == "any-end":
        is_next = True
    if is_next and not ended:
        if WAY in ("any-order", "any-end"):
            awaited = number
        awaited += 0 if number < awaited and WAY == "any-old" else 1
        content += data if kind == DATA else b""
        if kind == END:
            ended = True
            save()
            sock.settimeout(1.5)
        acknowledge(awaited)
        if ended and WAY == "leaves-at-once":
            break
    elif number < awaited or WAY != "silent-in-gaps":
        if WAY == "writes-twice" and number == awaited - 1:
            content += data
        if WAY == "acknowledges-early" and number > awaited:
            acknowledge(number + 1)
        elif WAY != "acknowledges-once" or number >= awaited or ended:
            acknowledge(awaited)
print(len(content), "bytes")
