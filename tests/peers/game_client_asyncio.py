"""A client of the game on asyncio that runs in circles. Its arguments are the host, the port, its name and the seconds."""
import asyncio
import struct
import sys

HOST, PORT, NAME, SECONDS = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), float(sys.argv[4])


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.cookie, self.tick, self.done, self.shown = bytes(8), None, 0, []
        self.heard = asyncio.get_running_loop().time()
        self.kinds, self.changed = set(), asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def send(self, kind, rest=b""):
        self.transport.sendto(b"SG1" + bytes([kind]) + self.cookie + rest)

    def error_received(self, error):
        pass  # nobody is there, or not yet: the time limit will tell

    def datagram_received(self, data, addr):
        if len(data) < 4 or data[:3] != b"SG1":
            return
        kind, rest = data[3], data[4:]
        if kind == 11 and len(rest) == 8:
            self.cookie = rest
        elif kind == 12 and len(rest) >= 11 and len(rest) == 11 + 16 * rest[9] + 2 * rest[10]:
            tick, done = struct.unpack("!II", rest[:8])
            if self.tick is not None and tick <= self.tick:
                return
            self.tick, self.done = tick, max(self.done, done)
            players = [rest[11 + 16 * i : 27 + 16 * i] for i in range(rest[9])]
            shown = [f"{each[8:8 + each[7]].decode()} {each[5]}" for each in players]
            if shown != self.shown:
                print(", ".join(shown), flush=True)
            self.shown = shown
        elif kind not in (13, 14) or rest:
            return
        self.heard = asyncio.get_running_loop().time()
        self.kinds.add(kind)
        self.changed.set()

    async def wait(self, seconds):
        self.changed.clear()
        try:
            await asyncio.wait_for(self.changed.wait(), seconds)
        except asyncio.TimeoutError:
            pass


async def main():
    loop = asyncio.get_running_loop()
    # A socket that is connected receives from the server alone.
    _, client = await loop.create_datagram_endpoint(Client, remote_addr=(HOST, PORT))
    while client.tick is None:
        client.send(1, bytes([len(NAME)]) + NAME)
        await client.wait(0.3)
        if 13 in client.kinds:
            sys.exit("the game is full")
        if loop.time() > client.heard + 6:
            sys.exit("the server does not answer")
    headings, start = [], loop.time()
    while loop.time() < start + SECONDS:
        headings.append(len(headings) // 10 % 4 + 1)
        first = max(client.done, len(headings) - 40)
        sent = bytes(headings[first:])
        client.send(2, struct.pack("!IB", len(headings), len(sent)) + sent)
        await asyncio.sleep(0.05)
        if 14 in client.kinds or 13 in client.kinds:
            sys.exit("the server has ended the game")
        if loop.time() > client.heard + 6:
            sys.exit("the server has fallen silent")
    for _ in range(5):
        client.send(3)
        await client.wait(0.2)
        if 14 in client.kinds:
            break


asyncio.run(main())
