"""A correct DNS client with asyncio, that prints what it does. The arguments are host, port and name."""
import asyncio
import secrets
import struct
import sys

HOST, PORT, NAME = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def name_at(data, at):
    """A name, perhaps with pointers, and where it ends."""
    labels, end, jumps = [], None, 0
    while data[at]:
        if data[at] >= 192:
            end = end or at + 2
            at = (data[at] & 63) << 8 | data[at + 1]
            jumps += 1
            if jumps > 50:
                raise ValueError("pointers in a loop")
        else:
            labels.append(data[at + 1:at + 1 + data[at]].decode().lower())
            at += 1 + data[at]
    return ".".join(labels), end or at + 1


def parse(data, query):
    """The code, whether it is truncated, and the addresses; None if it is no response to the query."""
    flags, questions, answers = struct.unpack(">HHH", data[2:8])
    if data[:2] != query[:2] or not flags & 0x8000 or questions != 1:
        return None
    asked, at = name_at(data, 12)
    if asked != NAME.lower().rstrip(".") or data[at:at + 4] != b"\0\1\0\1":
        return None
    at, found = at + 4, []
    for _ in range(answers):
        _, at = name_at(data, at)
        kind, _, ttl, size = struct.unpack(">HHIH", data[at:at + 10])
        if len(data) < at + 10 + size:
            raise ValueError("cut off")
        if kind == 1:
            found.append((".".join(map(str, data[at + 10:at + 14])), ttl))
        at += 10 + size
    return flags & 15, bool(flags & 0x200), found


class Socket(asyncio.DatagramProtocol):
    def __init__(self, query):
        self.query, self.done = query, asyncio.get_running_loop().create_future()

    def datagram_received(self, data, source):
        try:
            reply = parse(data, self.query)
        except (ValueError, IndexError, struct.error):
            reply = None
        print(f"{len(data)} bytes from {source[0]}:{source[1]}:", "taken" if reply else "ignored")
        if reply and source[:2] == (HOST, PORT) and not self.done.done():
            self.done.set_result(reply)

    def error_received(self, error):
        pass  # nobody listens; the server may start later


async def main():
    question = b"".join(bytes([len(label)]) + label.encode() for label in NAME.rstrip(".").split(".")) + b"\0\0\1\0\1"
    query = secrets.token_bytes(2) + b"\1\0\0\1\0\0\0\0\0\0" + question
    transport, sock = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Socket(query), local_addr=("127.0.0.1", 0))
    for _ in range(4):
        transport.sendto(query, (HOST, PORT))
        done, _ = await asyncio.wait([sock.done], timeout=0.7)
        if done:
            break
    else:
        sys.exit("no server answers")
    code, truncated, found = sock.done.result()
    if truncated:
        reader, writer = await asyncio.open_connection(HOST, PORT)
        writer.write(struct.pack(">H", len(query)) + query)
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        code, _, found = parse(await reader.readexactly(size), query)
    if code or not found:
        sys.exit(f"{NAME}: no address, code {code}")
    for address, ttl in found:
        print(NAME, ttl, address)

try:
    asyncio.run(main())
except (OSError, EOFError, ValueError, IndexError, struct.error) as error:
    sys.exit(f"dns: {error}")
