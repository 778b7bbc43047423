"""A TFTP server on asyncio, one task and one socket for each transfer. Its arguments are the folder and the port."""
import asyncio
import pathlib
import sys

ROOT, PORT = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])


class Sock(asyncio.DatagramProtocol):
    def __init__(self, peer=None):
        self.peer, self.queue = peer, asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if self.peer in (None, addr):
            self.queue.put_nowait((data, addr))
        else:
            self.transport.sendto(b"\0\5\0\5who are you?\0", addr)

    def send(self, data):
        self.transport.sendto(data, self.peer)

    async def ask(self, packets, fits, again=lambda data: False):
        """Sends until an answer comes that `fits`, and when one comes `again`; returns it."""
        for _ in range(6):
            for packet in packets:
                self.send(packet)
            try:
                return await asyncio.wait_for(self.answer(packets, fits, again), 1)
            except asyncio.TimeoutError:
                pass
        raise ConnectionAbortedError

    async def answer(self, packets, fits, again):
        while True:
            data, _ = await self.queue.get()
            if data[:2] == b"\0\5":
                raise ConnectionAbortedError
            if fits(data):
                return data
            if again(data):
                self.send(packets[-1])


def u16(value):
    return (value % 65536).to_bytes(2, "big")


async def send_file(sock, content, size, window):
    blocks = [content[at : at + size] for at in range(0, len(content) + 1, size)]
    done = 0
    while done < len(blocks):
        some = [b"\0\3" + u16(done + 1 + i) + data for i, data in enumerate(blocks[done : done + window])]
        new = {b"\0\4" + u16(done + 1 + i): done + 1 + i for i in range(len(some))}
        done = new[await sock.ask(some, new.__contains__)]


async def receive_file(sock, path, answer):
    number = 0
    with open(path, "xb") as file:
        while True:
            old, new = b"\0\3" + u16(number), b"\0\3" + u16(number + 1)
            data = await sock.ask([answer], lambda data: data[:4] == new, lambda data: data[:4] == old)
            number += 1
            file.write(data[4:])
            answer = b"\0\4" + u16(number)
            if len(data) < 516:
                break
    try:
        new = b"\0\3" + u16(number)
        await sock.ask([answer], lambda data: False, lambda data: data[:4] == new)  # the last block may come again
    except ConnectionAbortedError:
        pass


async def transfer(request, client):
    _, sock = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Sock(client), ("127.0.0.1", 0))
    try:
        name, mode, *words = request[2:].decode().split("\0")[:-1]
        path = (ROOT / name).resolve()
        if mode.lower() not in ("octet", "netascii") or request[:2] not in (b"\0\1", b"\0\2"):
            return sock.send(b"\0\5\0\4illegal operation\0")
        if not path.is_relative_to(ROOT):
            return sock.send(b"\0\5\0\2access violation\0")
        if request[:2] == b"\0\2":
            return await receive_file(sock, path, b"\0\4\0\0")
        content = path.read_bytes()
        if mode.lower() == "netascii":
            content = content.replace(b"\n", b"\r\n")
        asked = dict(zip([word.lower() for word in words[::2]], words[1::2]))
        size = min(int(asked.get("blksize", 512)), 8192)
        window = min(int(asked.get("windowsize", 1)), 32)
        known = {"blksize": size, "windowsize": window, "tsize": len(content)}
        oack = "".join(f"{name}\0{known[name]}\0" for name in asked if name in known)
        if oack:
            await sock.ask([b"\0\6" + oack.encode()], lambda data: data == b"\0\4\0\0")
        await send_file(sock, content, size, window)
    except FileNotFoundError:
        sock.send(b"\0\5\0\1no such file\0")
    except FileExistsError:
        sock.send(b"\0\5\0\6file exists\0")
    except ConnectionAbortedError:
        pass
    except (ValueError, OSError) as error:
        print("refused:", error)
    finally:
        sock.transport.close()


async def main():
    _, door = await asyncio.get_running_loop().create_datagram_endpoint(Sock, ("127.0.0.1", PORT))
    print("serving", ROOT)
    tasks = set()
    while True:
        task = asyncio.create_task(transfer(*await door.queue.get()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())
