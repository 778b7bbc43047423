"""A correct echo client with asyncio. Arguments: host, port, text."""
import asyncio
import sys


async def main(host, port, text):
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        message = text.encode()
        writer.write(message)
        back = await reader.readexactly(len(message))
    except (OSError, asyncio.IncompleteReadError) as error:
        return f"echo client: {error}"
    writer.close()
    print("The server sent back:", back.decode(errors="replace"))
    return 0 if back == message else "echo client: the echo differs"


sys.exit(asyncio.run(main(*sys.argv[1:])))
