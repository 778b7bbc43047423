"""A TFTP client on asyncio that gets a file. Its arguments are the host, the port, the file's name and the path to write to."""
import asyncio
import os
import sys

host, port, name, path = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.queue = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.queue.put_nowait((data, addr))


async def main():
    _, client = await asyncio.get_running_loop().create_datagram_endpoint(Client, ("127.0.0.1", 0))
    last, target, peer = f"\0\1{name}\0octet\0".encode(), (host, port), None
    client.transport.sendto(last, target)
    parts = []
    while not parts or len(parts[-1]) == 512:
        for _ in range(5):
            try:
                data, addr = await asyncio.wait_for(client.queue.get(), 1)
                break
            except asyncio.TimeoutError:
                client.transport.sendto(last, target)
        else:
            sys.exit("no answer")
        peer = peer or addr
        if addr != peer:
            client.transport.sendto(b"\0\5\0\5no\0", addr)
            continue
        target = peer
        if data[:2] == b"\0\5":
            sys.exit(f"the server says: {data[4:-1].decode()}")
        number = int.from_bytes(data[2:4], "big")
        if data[:2] != b"\0\3" or number not in (len(parts) % 65536, (len(parts) + 1) % 65536):
            continue
        if number != len(parts) % 65536:
            parts.append(data[4:])
        last = b"\0\4" + data[2:4]
        client.transport.sendto(last, target)
    with open(path + ".part", "wb") as file:
        file.write(b"".join(parts))
    os.rename(path + ".part", path)
    await asyncio.sleep(0.1)


asyncio.run(main())
