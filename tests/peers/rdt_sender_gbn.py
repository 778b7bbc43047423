"""Sends a file over UDP with a window of eight packets, go-back-N, over a connected socket: HOST PORT FILE. With a fourth
argument it wants an acknowledgement of each packet, and that is wrong."""
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(data[0::2]) * 256 + sum(data[1::2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packet(number, kind, data):
    empty = struct.pack("!IHBx", number, 0, kind) + data
    return struct.pack("!IHBx", number, checksum(empty), kind) + data


host, port, path, *way = sys.argv[1:]
packets = []
with open(path, "rb") as file:
    while data := file.read(500):
        packets.append(packet(len(packets), 0, data))
packets.append(packet(len(packets), 1, b""))

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((host, int(port)))
base = following = tries = 0
each = set()
timer = time.monotonic()
while base < len(packets):
    while following < min(base + 8, len(packets)):
        sock.send(packets[following])
        following += 1
    sock.settimeout(max(0.001, timer + 0.2 - time.monotonic()))
    try:
        answer = sock.recv(2048)
    except socket.timeout:
        tries += 1
        if tries == 30:
            sys.exit("the receiver does not answer")
        following, timer = base, time.monotonic()
        continue
    except ConnectionRefusedError:
        continue
    if len(answer) != 8 or checksum(answer) or answer[6] != 2:
        continue
    (number,) = struct.unpack("!I", answer[:4])
    if way:
        each.add(number - 1)
        while base in each:
            base, tries, timer = base + 1, 0, time.monotonic()
    elif base < number <= following:
        base, tries, timer = number, 0, time.monotonic()
