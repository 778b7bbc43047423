"""A server of the game over UDP with one loop on select: correct, or wrong in one way. PORT is in the environment; the
argument is the way."""
import hashlib
import os
import random
import re
import select
import socket
import struct
import sys
import time

WAY = sys.argv[1]
WIDTH, HEIGHT, STEP, BURST = 38, 18, 4, 10
DIRECTIONS = [(0, 0), (0, -1), (1, 0), (0, 1), (-1, 0)]
SECRET = os.urandom(16)
NUMBER = "<" if WAY == "little-endian" else "!"

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["PORT"])))
players = {}
gone = set()
dots = []
tick = 0


class Player:
    def __init__(self, number, name):
        self.id, self.name = number, name
        self.x, self.y = (10 * part for part in free_cell())
        self.queue = []
        self.done = self.received = self.owed = self.score = self.wins = 0
        self.heard = tick


def wall(x, y):
    return x in (9, 28) and 5 <= y <= 12 or y in (4, 13) and 15 <= x <= 22


def cell(player):
    return round(player.x / 10), round(player.y / 10)


def free_cell():
    while True:
        at = random.randrange(WIDTH), random.randrange(HEIGHT)
        if not wall(*at) and at not in dots and at not in map(cell, players.values()):
            return at


def cookie_of(address):
    text = "all" if WAY == "one-cookie" else repr(address)
    return hashlib.sha256(SECRET + text.encode()).digest()[:7] + b"\1"


def send(address, kind, rest=b""):
    sock.sendto(b"SG1" + bytes([kind]) + rest, address)


def take(data, address):
    if WAY == "dies-of-rubbish" and len(data) < 4:
        raise ValueError("too short")
    if len(data) < 12 or data[:3] != b"SG1":
        return
    kind, cookie, rest = data[3], data[4:12], data[12:]
    player = players.get(address)
    if cookie != cookie_of(address) and not (WAY == "any-cookie" and player):
        if kind == 1 and WAY != "no-cookie":
            send(address, 11, cookie_of(address) if WAY != "cookie-0" else bytes(8))
        if kind != 1 or WAY not in ("no-cookie", "asks-and-joins"):
            return
    if player:
        player.heard = tick
    if kind == 1:
        join(rest, address, player)
    elif kind == 2:
        inputs(rest, player or (WAY == "inputs-join" and join(b"\1x", address, None)))
    elif kind == 3 and not rest:
        if WAY != "never-removes":
            players.pop(address, None)
        if WAY != "silent-goodbye" and not (WAY == "ends-once" and address in gone):
            send(address, 14)
        gone.add(address)


def join(rest, address, player):
    name = rest[1:].decode("latin1")
    if not rest or rest[0] != len(rest) - 1 or (player and WAY != "joins-twice"):
        return None
    if WAY != "any-name" and not re.fullmatch("[A-Za-z][A-Za-z0-9]{0,7}", name):
        return None
    if len(players) == 2 and not player and WAY != "never-full":
        if WAY != "silent-when-full":
            send(address, 13)
        return None
    number = 1
    while number in [each.id for each in players.values()] and WAY != "one-id":
        number += 1
    players[address] = Player(number, "player" if WAY == "own-names" else name[:8])
    return players[address]


def inputs(rest, player):
    if not player or len(rest) < 5:
        return
    last, count = struct.unpack(NUMBER + "IB", rest[:5])
    headings = rest[5:]
    if count > 40 or count != len(headings) or count > last:
        return
    if max(headings, default=0) > 4:
        if WAY == "any-heading":
            headings = bytes(min(heading, 4) for heading in headings)
        else:
            return
    late = WAY == "takes-late-ones" and last < player.received
    for number, heading in enumerate(headings, last - count + 1):
        if number <= player.received and WAY != "counts-repeats" and not late:
            continue
        if WAY == "waits-for-gaps" and number != player.received + 1:
            continue
        player.received = number
        player.queue.append((number, heading))
    while len(player.queue) > BURST and WAY not in ("does-all", "two-a-tick"):
        player.done = player.queue.pop(0)[0]


def move(player, heading):
    if WAY == "up-is-down":
        heading = (0, 3, 2, 1, 4)[heading]
    dx, dy = DIRECTIONS[heading]
    x, y = player.x + dx * STEP, player.y + dy * STEP
    inside = 0 <= x <= 10 * (WIDTH - 1) and 0 <= y <= 10 * (HEIGHT - 1)
    if WAY == "no-edge":
        x, y = x % (10 * WIDTH), y % (10 * HEIGHT)
        inside = True
    if inside and (WAY == "no-walls" or not wall(round(x / 10), round(y / 10))):
        player.x, player.y = x, y
    elif WAY == "goes-to-the-edge" and not inside:
        player.x, player.y = max(0, min(370, x)), max(0, min(170, y))


def collect(player):
    at = cell(player)
    if at not in dots or WAY == "no-dots":
        return
    if WAY != "keeps-dots":
        dots.remove(at)
    if WAY not in ("keeps-dots", "no-new-dots"):
        dots.append(free_cell())
    player.score += 1
    if player.score == 10 and WAY != "endless":
        player.wins += 1
        for each in players.values():
            each.score = 0


def step(player):
    if WAY == "does-all":
        player.owed = len(player.queue)
    elif WAY == "two-a-tick":
        player.owed = 2
    else:
        player.owed = min(BURST, player.owed + 1)
    while player.owed and player.queue:
        player.owed -= 1
        player.done, heading = player.queue.pop(0)
        move(player, heading)
        collect(player)


def snapshot(player):
    shown = [player] if WAY == "shows-one" else players.values()
    done = player.received if WAY == "says-what-came" else player.done
    data = struct.pack(NUMBER + "IIBBB", tick, done, player.id, len(shown), len(dots))
    for each in shown:
        name = each.name.encode("latin1")
        data += struct.pack(NUMBER + "BHHBBB8s", each.id, each.x, each.y, each.score, each.wins, len(name), name)
    return data + bytes(part for dot in dots for part in dot)


while len(dots) < 5:
    dots.append(free_cell())
print("listening on %s:%d" % sock.getsockname(), flush=True)
pause = {"five-a-second": 0.2, "hurries": 0.01}.get(WAY, 0.05)
following = time.monotonic() + pause
while True:
    if select.select([sock], [], [], max(0, following - time.monotonic()))[0]:
        take(*sock.recvfrom(65536))
    if time.monotonic() < following:
        continue
    following = max(following + pause, time.monotonic())
    tick += 1
    for address, player in list(players.items()):
        step(player)
        if tick - player.heard > (20 if WAY == "impatient" else 100) and WAY != "waits-forever":
            del players[address]
    for address, player in players.items():
        send(address, 12, snapshot(player))
