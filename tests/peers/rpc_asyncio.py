"""A server of JSON-RPC on asyncio streams. Its argument is the port."""
import asyncio
import json
import sys


class Refused(Exception):
    pass


async def run(method, params):
    if method == "echo":
        return params
    if method not in ("add", "sleep"):
        raise Refused(-32601, "Method not found")
    if method == "add" and isinstance(params, dict):
        params = [params.get("a"), params.get("b")]
    length = 2 if method == "add" else 1
    if not isinstance(params, list) or len(params) != length or not all(isinstance(each, (int, float)) for each in params):
        raise Refused(-32602, "Invalid params")
    if method == "add":
        return params[0] + params[1]
    await asyncio.sleep(params[0])
    return params[0]


async def respond(message):
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        return {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": None}
    try:
        outcome = {"result": await run(message["method"], message.get("params"))}
    except Refused as refused:
        outcome = {"error": dict(zip(("code", "message"), refused.args))}
    return {"jsonrpc": "2.0", **outcome, "id": message["id"]} if "id" in message else None


async def answer(body, writer):
    try:
        message = json.loads(body)
    except ValueError:
        reply = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}
    else:
        if isinstance(message, list) and message:
            replies = await asyncio.gather(*map(respond, message))
            reply = [each for each in replies if each]
        else:
            reply = await respond(message)
    if reply:
        data = json.dumps(reply).encode()
        writer.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)


async def serve(reader, writer):
    tasks = set()
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b":", 1) for line in head.strip().split(b"\r\n"))
            length = int(fields[b"content-length"])
            if length > 1 << 24:
                break
            task = asyncio.create_task(answer(await reader.readexactly(length), writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError, KeyError) as error:
        print("end:", type(error).__name__)
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
