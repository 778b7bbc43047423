"""Receives a file over UDP, and keeps what comes early, with asyncio: PORT FILE."""
import asyncio
import struct
import sys


def checksum(data):
    total = sum(data[0::2]) * 256 + sum(data[1::2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Receiver(asyncio.DatagramProtocol):
    def __init__(self, path, over):
        self.path, self.over = path, over
        self.kept, self.awaited, self.end, self.peer = {}, 0, None, None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, packet, sender):
        if len(packet) < 8 or checksum(packet) != 0 or packet[6] > 1:
            return
        self.peer = self.peer or sender
        if sender != self.peer:
            return
        (number,) = struct.unpack("!I", packet[:4])
        self.kept.setdefault(number, packet[8:])
        if packet[6] == 1:
            self.end = number
        before = self.awaited
        while self.awaited in self.kept:
            self.awaited += 1
        if self.end is not None and before <= self.end < self.awaited:
            with open(self.path, "wb") as file:
                file.writelines(self.kept[i] for i in range(self.end))
            asyncio.get_running_loop().call_later(1.5, self.over.set)
        header = struct.pack("!IHBx", self.awaited, 0, 2)
        self.transport.sendto(struct.pack("!IHBx", self.awaited, checksum(header), 2), sender)


async def main():
    over = asyncio.Event()
    address = "127.0.0.1", int(sys.argv[1])
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Receiver(sys.argv[2], over), local_addr=address)
    await over.wait()


asyncio.run(main())
