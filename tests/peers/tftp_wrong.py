"""A TFTP server with a thread for each transfer: correct, or wrong in one way. PORT and ROOT are in the environment; the
argument is the way."""
import os
import socket
import struct
import sys
import threading

WAY = sys.argv[1]
ROOT = os.path.realpath(os.environ["ROOT"])
READ, WRITE, DATA, ACK, ERROR, OACK = range(1, 7)


class Refused(Exception):
    pass


def locate(name):
    if WAY == "opens-any-path":
        return os.path.join(ROOT, name)
    if WAY == "chroot":
        return ROOT + os.path.normpath("/" + name)
    path = os.path.realpath(os.path.join(ROOT, name))
    if not path.startswith(ROOT if WAY == "startswith-root" else ROOT + os.sep):
        raise Refused(2, "access violation")
    return path


class Transfer:
    def __init__(self, client, main):
        self.client = client
        self.sock = main if WAY == "one-port" else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if WAY != "one-port":
            self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.4)

    def send(self, packet):
        self.sock.sendto(packet, self.client)

    def receive(self):
        """The next packet of this client; an empty one when nothing comes in time."""
        while True:
            try:
                packet, address = self.sock.recvfrom(65536)
            except socket.timeout:
                return b""
            if address == self.client or WAY in ("any-source", "one-port"):
                if packet[:2] == b"\0\5" and WAY != "ignores-errors":
                    raise Refused(None, "")
                return packet
            if WAY == "ends-on-strangers":
                raise Refused(None, "")
            if WAY != "silent-to-strangers":
                self.sock.sendto(struct.pack("!HH", ERROR, 5) + b"unknown transfer id\0", address)

    def error(self, code, text):
        code = 0 if WAY == "error-0" else code
        if code is not None and WAY != "silent-errors":
            self.send(struct.pack("!HH", ERROR, code) + text.encode() + b"\0")


def number(value):
    return struct.pack("<H" if WAY == "little-endian" else "!H", value & 0xFFFF)


def send_file(transfer, data, size, window):
    count = len(data) // size + 1
    if WAY == "no-empty-block" and data and len(data) % size == 0:
        count -= 1
    offset = 0 if WAY == "counts-from-0" else 1
    done = tries = 0
    while done < count:
        last = min(done + window, count)
        for block in range(done + 1, last + 1):
            transfer.send(struct.pack("!H", DATA) + number(block - 1 + offset) + data[(block - 1) * size : block * size])
        while True:
            packet = transfer.receive()
            if not packet:
                tries += 1
                if WAY == "sends-once" or tries == 8:
                    return
                break
            if packet[:2] != b"\0\4" or len(packet) != 4:
                continue
            acked = done + ((packet[2] << 8 | packet[3]) - done) % 65536
            if WAY == "counts-from-0":
                acked += 1
            if WAY == "any-acknowledgement" and acked > last:
                acked = done + 1
            if done < acked <= last:
                done, tries = last if WAY == "skips-losses" else acked, 0
                break
            if WAY == "apprentice" and acked == done:
                break


def receive_file(transfer, path, first):
    data = b""
    block = tries = 0
    answer = first
    transfer.send(answer)
    while True:
        packet = transfer.receive()
        if not packet:
            tries += 1
            if tries == 8:
                return
            if WAY != "acknowledges-once":
                transfer.send(answer)
            continue
        if packet[:2] != b"\0\3":
            continue
        got = packet[2] << 8 | packet[3]
        if got == (block + 1) & 0xFFFF or (WAY == "writes-twice" and got == block):
            data += packet if WAY == "keeps-headers" else packet[4:]
            block, tries = got, 0
            answer = struct.pack("!H", ACK) + number(block)
            if len(packet) < 516:
                with open(path, "wb") as file:
                    file.write(data)
                transfer.send(answer)
                while WAY != "leaves-at-once" and transfer.receive():
                    transfer.send(answer)
                return
            transfer.send(answer)
        elif WAY != "acknowledges-once":
            transfer.send(answer)


def negotiate(words, size):
    asked = {words[i].lower(): words[i + 1] for i in range(0, len(words) - 1, 2)}
    answer, block, window = {}, 512, 1
    if "blksize" in asked:
        block = min(int(asked["blksize"]), 1428)
        answer["blksize"] = block + 8 if WAY == "larger-blocks" else block
    if "windowsize" in asked:
        window = answer["windowsize"] = min(int(asked["windowsize"]), 16)
    if "tsize" in asked:
        answer["tsize"] = asked["tsize"] if WAY == "repeats-tsize" or size is None else size
    if WAY == "repeats-options":
        answer = dict(asked, **answer)
    if WAY == "refuses-options" and set(asked) - set(answer):
        raise Refused(8, "unknown option")
    return answer, block, window


def serve(packet, client, main):
    transfer = Transfer(client, main)
    try:
        opcode = int.from_bytes(packet[:2], "big")
        words = packet[2:].split(b"\0")[:-1]
        if opcode not in (READ, WRITE) or len(words) < 2:
            raise Refused(4, "no request")
        name, mode, *options = [word.decode(errors="replace") for word in words]
        mode = mode if WAY == "minds-the-case" else mode.lower()
        if mode not in ("octet", "netascii"):
            raise Refused(4, "no such mode")
        path = locate(name)
        if opcode == READ:
            try:
                if WAY == "opens-as-text":
                    data = open(path, errors="ignore").read().encode()
                else:
                    data = open(path, "rb").read()
            except OSError:
                raise Refused(1, "file not found")
            if mode == "netascii" and WAY != "no-netascii":
                data = data.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
            answer, size, window = negotiate(options, len(data))
        else:
            data = None
            answer, size, window = negotiate(options, None)
        oack = struct.pack("!H", OACK) + "".join(f"{key}\0{value}\0" for key, value in answer.items()).encode()
        if data is None:
            zero = 1 if WAY == "acknowledges-1" else 0
            receive_file(transfer, path, oack if answer else struct.pack("!HH", ACK, zero))
            return
        if answer:
            transfer.send(oack)
            while WAY != "waits-for-nothing" and transfer.receive()[:4] != b"\0\4\0\0":
                transfer.send(oack)
        send_file(transfer, data, size, window)
    except Refused as refused:
        transfer.error(*refused.args)


main = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
main.bind(("127.0.0.1", int(os.environ["PORT"])))
while True:
    try:
        packet, client = main.recvfrom(65536)
    except socket.timeout:  # set by a transfer that uses this socket
        continue
    if WAY in ("one-at-a-time", "one-port"):
        serve(packet, client, main)
    elif WAY == "dies-of-rubbish":
        packet.decode().split("\0")[1]
        threading.Thread(target=serve, args=(packet, client, main), daemon=True).start()
    else:
        threading.Thread(target=serve, args=(packet, client, main), daemon=True).start()
