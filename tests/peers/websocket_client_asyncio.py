"""A WebSocket client on asyncio streams. Its arguments are the URL and the message. It sends in fragments."""
import asyncio
import base64
import hashlib
import secrets
import sys
from urllib.parse import urlsplit


class Refusal(Exception):
    """Why the connection is closed, and the code."""


def frame(opcode, payload, fin=True):
    key = secrets.token_bytes(4)
    size = len(payload)
    length = bytes([128 + size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))
    return bytes([opcode + 128 * fin]) + length + key + masked


async def receive(reader):
    first, size = await reader.readexactly(2)
    opcode = first & 15
    if first & 0x70 or opcode not in (0, 1, 2, 8, 9, 10):
        raise Refusal("a frame with a meaning that is not known", 1002)
    if opcode > 7 and (size > 125 or first < 128):
        raise Refusal("a control frame that is too long or divided", 1002)
    if size > 127:
        raise Refusal("a masked frame", 1002)
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    if size > 10_000_000:
        raise Refusal("a frame that is too long", 1009)
    return first > 127, opcode, await reader.readexactly(size)


def text_of(payload):
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Refusal("text that is not UTF-8", 1007) from None


def close_of(payload):
    code = int.from_bytes(payload[:2], "big")
    if len(payload) > 0 and not (999 < code < 1004 or 1006 < code < 1015 or 2999 < code < 5000):
        raise Refusal("a close frame without a right code", 1002)
    return code, text_of(payload[2:])


async def main(url, message):
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: keep-alive, Upgrade\r\n"
                 f"upgrade: WebSocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode())
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines if line}
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    if " 101 " not in status or fields.get("sec-websocket-accept") != base64.b64encode(digest).decode() \
            or fields.get("upgrade", "").lower() != "websocket" or "upgrade" not in fields.get("connection", "").lower() \
            or fields.keys() & {"sec-websocket-extensions", "sec-websocket-protocol"}:
        writer.write_eof()
        await reader.read()  # the server's end
        sys.exit(f"no WebSocket: {status}")
    data = message.encode()
    writer.write(frame(1, data[:7], fin=False) + frame(0, data[7:]))
    try:
        await converse(reader, writer)
    except Refusal as refusal:
        why, code = refusal.args
        writer.write(frame(8, code.to_bytes(2, "big") + why.encode()))
        await writer.drain()
        sys.exit(why)


async def converse(reader, writer):
    kind, payloads = 0, []
    while True:
        fin, opcode, payload = await receive(reader)
        if opcode == 8:
            code, reason = close_of(payload)
            writer.write(frame(8, payload[:2]))
            await reader.read()
            sys.exit(0 if code in (0, 1000, 1001) else f"closed with {code}: {reason}")
        if opcode == 9:
            writer.write(frame(10, payload))
        if opcode > 2:
            continue
        if (opcode == 0) != (kind > 0):
            raise Refusal("a fragment in the wrong place", 1002)
        kind = opcode or kind
        payloads.append(payload)
        if fin:
            whole = b"".join(payloads)
            print(text_of(whole) if kind == 1 else f"({len(whole)} bytes)", flush=True)
            kind, payloads = 0, []


try:
    asyncio.run(main(*sys.argv[1:]))
except (OSError, asyncio.IncompleteReadError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
