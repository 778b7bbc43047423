"""The users API with asyncio, correct: it listens on ::, sends chunks, and closes each connection. The argument is the port. What
it answers is in rest_wrong.py, whose other way is http.server with threads."""
import asyncio
import socket
import sys

import rest_wrong


async def serve(reader, writer):
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        size = int(headers.get("content-length", 0))
        body = await reader.readexactly(min(size, 1_000_000))

        def raw():
            if size > 1_000_000:
                raise rest_wrong.Problem(413, "too long")
            return body

        status, text, fields = rest_wrong.handle(method, target, headers, lambda: rest_wrong.parse_body(headers, raw))
        print(method, target, status)
        head = [f"HTTP/1.1 {status} {'fine' if status < 400 else 'not fine'}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        if text is not None:
            head.append("Transfer-Encoding: chunked")
        writer.write("\r\n".join([*head, "", ""]).encode())
        for at in range(0, len(text or b""), 50):
            piece = text[at:at + 50]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if text is not None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.write_eof()
        while await reader.read(65536):  # what is left of a body that was too long
            pass
    except (asyncio.IncompleteReadError, OSError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    both = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
    server = await asyncio.start_server(serve, sock=both)
    print("users wanted")
    async with server:
        await server.serve_forever()


asyncio.run(main())
