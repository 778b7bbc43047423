"""A correct file server with asyncio. It listens on ::, which also takes IPv4, logs each request, and sends no length: each
response ends with its connection."""
import asyncio
import mimetypes
import socket
import sys
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(sys.argv[1]).resolve()
PORT = int(sys.argv[2])


class Refusal(Exception):
    def __init__(self, status, *fields):
        self.status, self.fields = status, fields


def parse(head):
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise Refusal("400 Bad Request")
    if not version.startswith("HTTP/1."):
        raise Refusal("505 HTTP Version Not Supported")
    fields = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\r" in value or "\n" in value:
            raise Refusal("400 Bad Request")
        fields.setdefault(name.lower(), []).append(value.strip())
    if len(fields.get("host", [])) != 1 and (version == "HTTP/1.1" or "host" in fields):
        raise Refusal("400 Bad Request")
    lengths = set(fields.get("content-length", []))
    if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
        raise Refusal("400 Bad Request")
    return method, target


def respond(method, target):
    if method not in ("GET", "HEAD"):
        raise Refusal("405 Method Not Allowed", "Allow: GET, HEAD")
    try:
        path = ROOT / unquote(urlsplit(target).path, errors="strict").lstrip("/")
        path = path.resolve()
        if path.is_dir():
            path = path / "index.html"
        if not path.is_relative_to(ROOT) or not path.is_file():
            raise Refusal("404 Not Found")
    except ValueError:
        raise Refusal("400 Bad Request")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return path.read_bytes(), f"Content-Type: {kind}"


async def serve(reader, writer):
    body, method = b"", "GET"
    try:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target = parse(head.lstrip(b"\r\n"))
            body, *fields = respond(method, target)
            status = "200 OK"
        except Refusal as refusal:
            status, fields = refusal.status, refusal.fields
        except asyncio.LimitOverrunError:
            status, fields = "431 Request Header Fields Too Large", []
        print(writer.get_extra_info("peername"), status)
        lines = [f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}", *fields, "Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode())
        if method != "HEAD":
            writer.write(body)
        await writer.drain()
        writer.write_eof()
        while await reader.read(65536):  # what the client still sends: a close with unread bytes would reset the connection
            pass
    except (asyncio.IncompleteReadError, OSError) as error:
        print("gone:", error)
    finally:
        writer.close()


async def main():
    both = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    server = await asyncio.start_server(serve, sock=both, limit=32768)
    print(f"serving {ROOT} on port {PORT}")
    async with server:
        await server.serve_forever()


asyncio.run(main())
