"""A client of the game over UDP that plays by itself: correct, or wrong in one way. HOST, PORT, NAME and SECONDS are in the
environment; the argument is the way."""
import os
import random
import select
import socket
import struct
import sys
import time

WAY = sys.argv[1]
SERVER = os.environ["HOST"], int(os.environ["PORT"])
NAME = "anna" if WAY == "own-name" else os.environ["NAME"]
SECONDS = float(os.environ["SECONDS"])
NUMBER = "<" if WAY == "little-endian" else "!"
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))


def fail(why):
    if WAY == "shows-stack-trace" and "full" in why:
        raise RuntimeError(why)
    print(f"game_client: {why}", file=sys.stderr)
    sys.exit(0 if WAY == "shrugs" and "full" in why else 1)


def send(kind, rest=b""):
    sock.sendto(b"SG1" + bytes([kind]) + cookie + rest, SERVER)


def receive(until):
    """The next datagram of the server; none when nothing comes in time."""
    while select.select([sock], [], [], max(0, until - time.monotonic()))[0]:
        data, source = sock.recvfrom(128 if WAY == "short-buffer" else 2048)
        if source == SERVER or WAY == "any-source":
            if WAY == "dies-of-rubbish":
                data[3]
            return data
    return None


cookie = bytes(8)
tick = -1
snapshot = None
scores = {}
heard = time.monotonic()


def take(data):
    """Takes one datagram. Returns its kind; 0 for one that is none."""
    global cookie, tick, snapshot, heard
    if data[:3] != b"SG1" or len(data) < 4:
        return 0
    kind = data[3]
    if kind == 11 and len(data) == 12:
        if WAY != "no-cookie":
            cookie = data[4:]
    elif kind in (13, 14) and (len(data) == 4 or WAY == "any-length"):
        if kind == 13:
            fail("the game is full")
    elif kind == 12 and len(data) >= 15:
        now, done, you, players, dots = struct.unpack("!IIBBB", data[4:15])
        if len(data) != 15 + 16 * players + 2 * dots:
            return 0
        if now <= tick and WAY != "any-snapshot":
            return 0
        tick, snapshot, heard = now, done, time.monotonic()
        for i in range(min(2, players) if WAY == "two-players" else players):
            at = 15 + 16 * i
            number, x, y, score, wins, length = struct.unpack("!BHHBBB", data[at : at + 8])
            name = data[at + 8 : at + 8 + length].decode("ascii")
            if scores.get(number) != score and WAY != "prints-nothing":
                print(name if WAY == "no-numbers" else f"{name} {score}")
            scores[number] = score
    else:
        return 0
    return kind


tries = 0
while snapshot is None:
    if time.monotonic() - heard > 5:
        fail("no answer from the server: is it running?")
    if WAY != "asks-once" or tries == (1 if any(cookie) else 0):
        send(1, bytes([len(NAME)]) + NAME.encode())
        tries += 1
    until = time.monotonic() + 0.25
    while snapshot is None and time.monotonic() < until:
        before = cookie
        data = receive(until)
        if data is not None and take(data) == 11 and cookie != before:
            break

pause = {"five-a-second": 0.2, "hurries": 0.005}.get(WAY, 0.05)
last = 4 if WAY == "counts-from-5" else 0
waiting = []
end = time.monotonic() + SECONDS
following = time.monotonic()
heading = 1
while time.monotonic() < end:
    if time.monotonic() - heard > 5 and WAY != "waits-forever":
        fail("no snapshot for five seconds")
    last += 1
    if random.random() < 0.2:
        heading = random.randint(0, 4)
    waiting.append((last, heading))
    if WAY == "changes-its-mind":
        waiting = [(number, random.randint(0, 4)) for number, _ in waiting]
    if WAY != "repeats-all":
        waiting = [each for each in waiting if each[0] > snapshot]
    if WAY != "no-limit":
        waiting = waiting[-40:]
    shown = waiting[-1:] if WAY == "only-the-newest" else waiting[-10:] if WAY == "ten-at-most" else waiting
    send(2, struct.pack(NUMBER + "IB", last, min(len(shown), 255)) + bytes(each for _, each in shown))
    following = max(following + pause, time.monotonic())
    while time.monotonic() < following:
        data = receive(following)
        if data is not None and take(data) == 14 and WAY != "ignores-the-end":
            fail("the server has ended the game")

if WAY != "vanishes":
    tries = 0
    ended = False
    while not ended and (tries < 5 or WAY == "waits-for-the-end"):
        send(3, b"\0" if WAY == "long-leave" else b"")
        tries += 1
        until = time.monotonic() + 0.2
        while not ended and time.monotonic() < until:
            data = receive(until)
            ended = data is not None and take(data) == 14
        if WAY == "leaves-once":
            break
    if WAY == "needs-the-end" and not ended:
        fail("no answer to the leave")
