"""Tornado as a client: it sends TEXT, and prints what comes."""
import asyncio
import os
import sys
from tornado.websocket import websocket_connect


async def main():
    connection = await websocket_connect(os.environ["URL"])
    await connection.write_message(os.environ["TEXT"])
    while (message := await connection.read_message()) is not None:
        print(message if isinstance(message, str) else f"{len(message)} bytes")
    if connection.close_code != 1000:
        sys.exit(f"closed with {connection.close_code}: {connection.close_reason}")

try:
    asyncio.run(main())
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
