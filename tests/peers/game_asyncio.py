"""A server of the game over UDP on asyncio. It does one input a tick and never more. The port is the first argument."""
import asyncio
import re
import secrets
import struct
import sys

WALLS = {(x, y) for x in (9, 28) for y in range(5, 13)} | {(x, y) for x in range(15, 23) for y in (4, 13)}
CELLS = [(x, y) for x in range(38) for y in range(18) if (x, y) not in WALLS]
KNOWN = set(CELLS)


class Game(asyncio.DatagramProtocol):
    def __init__(self):
        self.cookies, self.players, self.dots, self.tick = {}, {}, [], 0
        self.secret = secrets.token_bytes(16)
        self.dots = [self.free() for _ in range(5)]

    def connection_made(self, transport):
        self.transport = transport

    def free(self):
        taken = [*self.dots, *(((p["x"] + 5) // 10, (p["y"] + 5) // 10) for p in self.players.values())]
        return secrets.choice([each for each in CELLS if each not in taken])

    def send(self, kind, addr, data=b""):
        self.transport.sendto(b"SG1%c" % kind + data, addr)

    def datagram_received(self, data, addr):
        if len(data) < 12 or data[:3] != b"SG1" or data[3] not in (1, 2, 3):
            return
        right = struct.pack("!Q", hash((addr, self.secret)) & (2**64 - 1) | 1)
        player = self.players.get(addr)
        if data[4:12] != right:
            if data[3] == 1:
                self.send(11, addr, right)
            return
        if player:
            player["silent"] = 0
        kind, rest = data[3], data[12:]
        if kind == 1 and not player and rest and rest[0] == len(rest) - 1:
            if not re.fullmatch(rb"[A-Za-z][A-Za-z0-9]{0,7}", rest[1:]):
                return
            if len(self.players) >= 2:
                return self.send(13, addr)
            x, y = self.free()
            taken = {each["id"] for each in self.players.values()}
            self.players[addr] = {
                **{"id": 7 if 7 not in taken else 200, "name": rest[1:], "x": 10 * x, "y": 10 * y, "score": 0, "wins": 0},
                **{"waiting": [], "highest": 0, "done": 0, "silent": 0},
            }
        elif kind == 2 and player and len(rest) >= 5:
            last, count = struct.unpack("!IB", rest[:5])
            if count != len(rest) - 5 or count > min(40, last) or any(heading > 4 for heading in rest[5:]):
                return
            for i, heading in enumerate(rest[5:]):
                if last - count + 1 + i > player["highest"]:
                    player["waiting"].append((last - count + 1 + i, heading))
            player["highest"] = max(player["highest"], last)
            player["waiting"] = player["waiting"][-10:]
        elif kind == 3 and not rest:
            self.players.pop(addr, None)
            self.send(14, addr)

    def step(self):
        self.tick += 1
        for addr, player in list(self.players.items()):
            player["silent"] += 1
            if player["silent"] > 100:
                del self.players[addr]
            if not player["waiting"]:
                continue
            player["done"], heading = player["waiting"].pop(0)
            x = player["x"] + (0, 0, 4, 0, -4)[heading]
            y = player["y"] + (0, -4, 0, 4, 0)[heading]
            cell = (x + 5) // 10, (y + 5) // 10
            if 0 <= x <= 370 and 0 <= y <= 170 and cell in KNOWN:
                player["x"], player["y"] = x, y
            cell = (player["x"] + 5) // 10, (player["y"] + 5) // 10
            if cell in self.dots:
                self.dots[self.dots.index(cell)] = self.free()
                player["score"] += 1
            if player["score"] == 10:
                player["wins"] = min(255, player["wins"] + 1)
                for each in self.players.values():
                    each["score"] = 0
        rows = [
            struct.pack("!BHHBBB8s", p["id"], p["x"], p["y"], p["score"], p["wins"], len(p["name"]), p["name"])
            for p in self.players.values()
        ]
        world = b"".join(rows) + bytes(part for dot in self.dots for part in dot)
        for addr, player in self.players.items():
            head = struct.pack("!IIBBB", self.tick, player["done"], player["id"], len(rows), len(self.dots))
            self.send(12, addr, head + world)


async def main():
    loop = asyncio.get_running_loop()
    _, game = await loop.create_datagram_endpoint(Game, ("127.0.0.1", int(sys.argv[1])))
    due = loop.time()
    while True:
        due = max(due + 0.05, loop.time())
        await asyncio.sleep(due - loop.time())
        game.step()


asyncio.run(main())
