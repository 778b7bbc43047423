"""A TFTP client that gets a file: correct, or wrong in one way. HOST, PORT, NAME and FILE are in the environment; the argument
is the way."""
import os
import socket
import struct
import sys

WAY = sys.argv[1]
SERVER = os.environ["HOST"], int(os.environ["PORT"])
FILE = os.environ["FILE"]


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    print(f"tftp_client: {why}", file=sys.stderr)
    sys.exit(0 if WAY == "always-0" else 1)


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(None if WAY == "waits-forever" else 0.4)
if WAY == "opens-first":
    open(FILE, "wb").close()
mode = "netascii" if WAY == "asks-for-netascii" else "octet"
request = f"\0\1{os.environ['NAME']}\0{mode}".encode() + (b"" if WAY == "no-zero" else b"\0")
answer, target = request, SERVER
peer = None
block = tries = 0
data = b""
sock.sendto(answer, target)
while True:
    try:
        packet, sender = sock.recvfrom(65536)
    except socket.timeout:
        tries += 1
        if tries == 9 or (WAY == "asks-once" and not peer):
            if WAY == "shrugs" and peer:
                sys.exit(0)
            give_up("no answer")
        if WAY != "acknowledges-once" or not peer:
            sock.sendto(answer, target)
        continue
    if peer is None:
        peer = sender
        target = SERVER if WAY == "answers-the-door" else peer
    if sender != peer and WAY != "any-source":
        if WAY == "ends-on-strangers":
            give_up("a stranger")
        if WAY != "silent-to-strangers":
            sock.sendto(b"\0\5\0\5unknown transfer id\0", sender)
        continue
    opcode, number = struct.unpack_from("!HH", packet)
    if opcode == 5 and WAY == "saves-errors":
        data = packet[4:]
        break
    if opcode == 5 and not (WAY == "ignores-errors" and block):
        if WAY == "keeps-half" and data:
            with open(FILE, "wb") as file:
                file.write(data)
        give_up("an error" if WAY == "hides-the-text" else packet[4:].split(b"\0")[0].decode(errors="replace"))
    if opcode != 3:
        if WAY == "ignores-errors":
            break
        continue
    tries = 0
    if number != (block + 1) & 0xFFFF and not (WAY == "any-block" and number != block):
        if number == block and WAY == "writes-twice":
            data += packet[4:]
        if number == block and WAY != "acknowledges-once":
            sock.sendto(answer, target)
        continue
    if len(packet) == 4 and WAY == "minds-nothing":
        continue
    block = number
    part = packet if WAY == "keeps-headers" else packet[4:]
    data += part.decode(errors="ignore").encode() if WAY == "decodes-as-text" else part
    answer = struct.pack("<HH" if WAY == "little-endian" else "!HH", 4, block)
    if WAY == "little-endian":
        answer = struct.pack("!H", 4) + struct.pack("<H", block)
    sock.sendto(answer, target)
    if len(packet) < 516:
        break
if data or WAY != "no-empty-file":
    with open(FILE, "wb") as file:
        file.write(data)
print(len(data), "bytes")
