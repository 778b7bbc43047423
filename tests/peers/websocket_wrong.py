"""A WebSocket server that echoes messages: correct, or wrong in one way. PORT is in the environment; the argument is the way."""
import base64
import hashlib
import os
import socket
import struct
import sys
import threading

WAY = sys.argv[1]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Refusal(Exception):
    """The connection is closed with this code."""


class Connection:
    def __init__(self, conn):
        self.conn = conn
        self.buffer = b""

    def read(self, size):
        """Reads exactly so many bytes."""
        while len(self.buffer) < size:
            data = self.conn.recv(65536)
            if not data:
                raise EOFError
            if WAY == "reads-once" and len(self.buffer + data) < size <= 125:
                raise EOFError
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def request(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        lines = head.decode().split("\r\n")
        return lines[0], dict(line.split(": ", 1) for line in lines[1:] if line)

    def handshake(self):
        first, given = self.request()
        fields = given if WAY == "exact-case" else {name.lower(): value for name, value in given.items()}
        name = (lambda text: text) if WAY == "exact-case" else str.lower
        key = fields.get(name("Sec-WebSocket-Key"), "")
        if WAY == "exact-case":
            right = fields.get("Connection") == "Upgrade" and fields.get("Upgrade") == "websocket"
        else:
            options = [option.strip().lower() for option in fields.get("connection", "").split(",")]
            right = "upgrade" in options and fields.get("upgrade", "").lower() == "websocket"
        right = right and first.startswith("GET ") and key
        if not right and WAY != "any-request":
            self.conn.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            raise EOFError
        if fields.get(name("Sec-WebSocket-Version")) != "13" and WAY != "any-version":
            version = b"" if WAY == "silent-version" else b"Sec-WebSocket-Version: 13\r\n"
            self.conn.sendall(b"HTTP/1.1 426 Upgrade Required\r\n" + version +
                              b"Upgrade: websocket\r\nContent-Length: 0\r\nConnection: close, Upgrade\r\n\r\n")
            raise EOFError
        if WAY == "canned-hash":
            key = "dGhlIHNhbXBsZSBub25jZQ=="
        digest = hashlib.sha1((key + GUID).encode())
        accept = digest.hexdigest().encode() if WAY == "hex-hash" else digest.digest()
        self.conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n")

    def frame(self):
        first, second = self.read(2)
        fin, opcode, length = first & 128, first & 15, second & 127
        if (first & 0x70 or 3 <= opcode <= 7 or opcode > PONG) and WAY != "ignores-reserved":
            raise Refusal(1002)
        if not second & 128 and WAY != "no-mask-needed":
            raise Refusal(1002)
        if opcode >= CLOSE and (length > 125 or not fin) and WAY != "long-pings":
            raise Refusal(1002)
        if length == 126:
            length, least = struct.unpack("!H", self.read(2))[0], 126
        elif length == 127:
            length, least = struct.unpack("!Q", self.read(8))[0], 65536
            if WAY == "two-lengths":
                raise Refusal(1009)
        else:
            least = 0
        if WAY == "any-length":
            length &= (1 << 63) - 1
        if length < least and WAY not in ("any-length", "longer-lengths") or length >> 63:
            raise Refusal(1002)
        if length > 1 << 24:
            raise Refusal(1009)
        key = self.read(4) if second & 128 else bytes(4)
        payload = self.read(length)
        if WAY == "one-frame-a-read":
            self.buffer = b""
        mask = (key * (length // 4 + 1))[:length]
        number = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
        return fin, opcode, number.to_bytes(length, "big")

    def send(self, opcode, payload):
        length = len(payload)
        if WAY == "counts-characters" and opcode == TEXT:
            length = len(payload.decode())
        masked = 128 if WAY == "masks-frames" and opcode == TEXT else 0
        if length < 126:
            head = struct.pack("!BB", 128 | opcode, masked | length)
        elif length < 65536:
            head = struct.pack("!BBH", 128 | opcode, masked | 126, length)
        else:
            head = struct.pack("!BBQ", 128 | opcode, masked | 127, length)
        self.conn.sendall(head + (bytes(4) if masked else b"") + payload)

    def echo(self):
        kind, parts = None, []
        while True:
            fin, opcode, payload = self.frame()
            if opcode == CLOSE:
                return self.answer_close(payload)
            if opcode >= CLOSE and kind is not None and WAY == "no-ping-within":
                raise Refusal(1002)
            if opcode == PING:
                if WAY != "no-pong":
                    self.send(PONG, b"" if WAY == "empty-pong" else payload)
                continue
            if opcode == PONG:
                if WAY == "no-pong-known":
                    raise Refusal(1002)
                continue
            if opcode > BINARY:
                continue
            if (opcode == CONTINUATION) == (kind is None) and WAY != "lone-fragments":
                raise Refusal(1002)
            if opcode != CONTINUATION:
                kind, parts = opcode, []
            parts.append(payload)
            if WAY == "decodes-fragments" and kind == TEXT:
                self.check(payload)
            if not fin and WAY != "ignores-fin":
                continue
            message = b"".join(parts)
            if kind == TEXT:
                self.check(message)
            if WAY == "text-only":
                kind, message = TEXT, message.decode(errors="replace").encode()
            self.send(kind or TEXT, message)
            if WAY != "ignores-fin" or fin:
                kind, parts = None, []
            else:
                parts = []

    def check(self, text):
        if WAY == "decodes-loosely":
            return
        try:
            text.decode()
        except UnicodeDecodeError:
            raise Refusal(1007) from None

    def answer_close(self, payload):
        if WAY == "no-close-frame":
            return
        if len(payload) == 0:
            return self.send(CLOSE, struct.pack("!H", 1005) if WAY == "sends-1005" else b"")
        if WAY != "any-close-code":
            code = struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else 0
            if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
                raise Refusal(1002)
            self.check(payload[2:])
        self.send(CLOSE, struct.pack("!H", 1000) if WAY == "always-1000" else payload[:2])
        if WAY == "keeps-open":
            threading.Event().wait()


def serve(conn):
    with conn:
        connection = Connection(conn)
        try:
            connection.handshake()
            connection.echo()
        except Refusal as refusal:
            connection.send(CLOSE, struct.pack("!H", refusal.args[0]))
        except EOFError:
            pass
        except ConnectionError:
            if WAY == "dies-on-reset":
                os._exit(1)
            return
        try:
            conn.shutdown(socket.SHUT_WR)
            conn.settimeout(1)
            while conn.recv(65536):  # closed at once, the kernel would reset, and the close frame be lost
                pass
        except OSError:
            pass


with socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=50) as listener:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if WAY == "one-at-a-time":
            serve(client)
        else:
            threading.Thread(target=serve, args=(client,), daemon=True).start()
