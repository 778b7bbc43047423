"""The servers in Python that `deno task bench` compares. HOST and PORT are in the environment."""
import asyncio
import os
import socket
import sys

host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])


class Echo(asyncio.Protocol):
    """asyncio with callbacks, its fastest API."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def streams(reader, writer):
    """asyncio with streams, its usual API."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(way):
    loop = asyncio.get_running_loop()
    if way == "streams":
        server = await asyncio.start_server(streams, host, port, backlog=1024)
    else:
        server = await loop.create_server(Echo, host, port, backlog=1024)
    print("listening on", port, flush=True)
    await server.serve_forever()


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    print("listening on", port, flush=True)
    while True:
        data, addr = sock.recvfrom(65535)
        sock.sendto(data, addr)


if __name__ == "__main__":
    udp() if sys.argv[1] == "udp" else asyncio.run(serve(sys.argv[1]))
