"""A correct DNS server with asyncio, on all addresses, IPv6 and IPv4. It logs each query. The arguments are the zone and the
port; how it answers is in dns_wrong.py, whose only other way is the socket module with threads."""
import asyncio
import os
import socket
import sys

os.environ["ZONE"] = sys.argv[1]
PORT = int(sys.argv[2])

import dns_wrong  # noqa: E402 -- it reads the zone when it is loaded


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, client):
        print("UDP", client, len(data), "bytes")
        reply = dns_wrong.respond(data, True)
        if reply is not None:
            self.transport.sendto(reply, client)


async def stream(reader, writer):
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(2), "big")
            reply = dns_wrong.respond(await reader.readexactly(size), False)
            print("TCP", writer.get_extra_info("peername"), size, "bytes")
            if reply is None:
                break
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main():
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    datagrams.bind(("::", PORT))
    await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, sock=datagrams)
    both = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    server = await asyncio.start_server(stream, sock=both)
    print("zone", dns_wrong.ORIGIN, "on port", PORT)
    async with server:
        await server.serve_forever()


asyncio.run(main())
