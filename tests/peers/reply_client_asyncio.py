"""A correct client of the first lab with asyncio. Arguments: host, port."""
import asyncio
import sys


async def main(host, port):
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"Good morning.\n")
        reply = await reader.read(4096)
    except OSError as error:
        return str(error)
    if not reply:
        return "no reply"
    sys.stdout.buffer.write(reply + b"\n")
    writer.close()


sys.exit(asyncio.run(main(*sys.argv[1:])))
