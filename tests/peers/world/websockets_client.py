"""The package websockets as a client: it sends TEXT, and prints what comes."""
import asyncio
import os
import sys
import websockets


async def main():
    async with websockets.connect(os.environ["URL"]) as websocket:
        await websocket.send(os.environ["TEXT"])
        async for message in websocket:
            print(message if isinstance(message, str) else f"{len(message)} bytes")

try:
    asyncio.run(main())
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
