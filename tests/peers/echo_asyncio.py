"""A correct echo server with asyncio, on all addresses of both families, slow to start. The port is the argument."""
import asyncio
import socket
import sys


async def serve(reader, writer):
    print("connected by", writer.get_extra_info("peername"))
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError as error:
        print("gone:", error)


async def main():
    await asyncio.sleep(0.5)
    listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1)
    server = await asyncio.start_server(serve, sock=listener, backlog=1)
    await server.serve_forever()


asyncio.run(main())
