"""A correct HTTP client with asyncio. The argument is the URL."""
import asyncio
import sys
from urllib.parse import urlsplit


async def body_of(reader, status, fields):
    if status in (204, 304):
        return b""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size = int((await line(reader)).split(";")[0], 16)
            if size == 0:
                while await line(reader):
                    pass
                return body
            body += await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise ValueError("no line end after a chunk")
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    return await reader.read()


async def line(reader):
    return (await reader.readuntil(b"\r\n"))[:-2].decode("latin-1")


async def main(url):
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    status = 100
    while status < 200:
        version, code, *_ = (await line(reader)).split(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("this is not HTTP")
        status, fields = int(code), {}
        while field := await line(reader):
            name, _, value = field.partition(":")
            fields[name.lower()] = value.strip()
    print("status", status, file=sys.stderr)
    sys.stdout.buffer.write(await body_of(reader, status, fields))
    writer.close()

try:
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), 10))
except (OSError, ValueError, EOFError, asyncio.TimeoutError) as error:
    sys.exit(f"http client: {error!r}")
