"""A client of JSON-RPC on asyncio streams. Its arguments are the host, the port and the two numbers."""
import asyncio
import json
import sys
import uuid


async def main(host, port, a, b):
    reader, writer = await asyncio.open_connection(host, int(port))
    call = {"id": str(uuid.uuid4()), "params": {"b": int(b), "a": int(a)}, "method": "add", "jsonrpc": "2.0"}
    data = json.dumps(call, indent=1).encode()
    writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
    while True:
        length = 0
        while line := (await reader.readuntil(b"\r\n")).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        message = json.loads(await reader.readexactly(length))
        if message.get("id", call["id"]) in (call["id"], None) and "method" not in message:
            break
    if "error" in message:
        sys.exit(f"error {message['error']['code']}: {message['error']['message']}")
    print(f"{a} + {b} = {message['result']}")


try:
    asyncio.run(main(*sys.argv[1:]))
except (OSError, ValueError, asyncio.IncompleteReadError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
