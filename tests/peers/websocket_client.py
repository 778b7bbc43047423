"""A WebSocket client that sends a message and prints what comes: correct, or wrong in one way. HOST, PORT, TARGET and TEXT are
in the environment; the argument is the way."""
import base64
import hashlib
import os
import random
import socket
import struct
import sys

WAY = sys.argv[1]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HOST, PORT, TARGET = os.environ["HOST"], int(os.environ["PORT"]), os.environ["TARGET"]
TEXT = os.environ["TEXT"] if "TEXT" in os.environ else "nothing"
CONTINUATION, TEXT_FRAME, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MOST = 1 << 24
if WAY == "seeded-masks":
    random.seed(6455)


class Refusal(Exception):
    """The server breaks a rule: the connection is closed with this code."""


def give_up(why, code=1):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    print(f"websocket_client: {why}", file=sys.stderr)
    sys.exit(code)


def ended():
    give_up("the server has ended the connection without a close frame", 0 if WAY == "shrugs" else 1)


buffer = b""


def read(size):
    global buffer
    while len(buffer) < size:
        data = conn.recv(65536)
        if not data:
            ended()
        if WAY == "reads-once" and len(buffer + data) < size <= 125:
            give_up("half of it is missing")
        buffer += data
    data, buffer = buffer[:size], buffer[size:]
    return data


def handshake():
    global buffer
    key = base64.b64encode(b"0123456789abcdef" if WAY == "fixed-key" else os.urandom(16)).decode()
    if WAY == "hex-key":
        key = os.urandom(16).hex()
    lines = ["GET %s HTTP/1.1" % ("/" if WAY == "fixed-path" else TARGET),
             "Host: %s" % (HOST if WAY == "no-port" else f"{HOST}:{PORT}"), "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: %d" % (8 if WAY == "version-8" else 13), "", ""]
    if WAY == "no-connection":
        lines.remove("Connection: Upgrade")
    request = ("\n" if WAY == "lf-lines" else "\r\n").join(lines).encode()
    conn.sendall(request + (frame(TEXT_FRAME, TEXT.encode()) if WAY == "does-not-wait" else b""))
    while b"\r\n\r\n" not in buffer:
        data = conn.recv(65536)
        if not data:
            give_up("the server has closed without a response")
        buffer += data
        if len(buffer) > 65536:
            give_up("the response has no end")
    head, _, buffer = buffer.partition(b"\r\n\r\n")
    if WAY == "drops-what-follows":
        buffer = b""
    status, *lines = head.decode().split("\r\n")
    low = (lambda text: text) if WAY == "exact-case" else str.lower
    fields = {low(line.partition(":")[0]): line.partition(":")[2].strip() for line in lines}
    if status.split()[1] != "101" and WAY != "any-status" and not (WAY == "only-404" and "404" not in status):
        give_up(f"the server answers {status}")
    if WAY in ("any-status", "only-404") and "101" not in status:
        return
    upgrade, connection = fields.get(low("Upgrade"), ""), fields.get(low("Connection"), "")
    if (low(upgrade) != "websocket" or low("Upgrade") not in [low(each.strip()) for each in connection.split(",")]) \
            and WAY != "any-upgrade":
        give_up("the response has no Upgrade: websocket")
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    given = fields.get(low("Sec-WebSocket-Accept"), accept if WAY == "if-there-is-one" else "")
    if given != accept and WAY != "any-hash":
        give_up("Sec-WebSocket-Accept does not belong to the key")
    if any(low(name) in fields for name in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol")) and WAY != "any-extension":
        give_up("the server has chosen what nobody asked for")


def frame(opcode, payload):
    length = len(payload)
    if WAY == "counts-characters" and opcode == TEXT_FRAME:
        length = len(payload.decode())
    if WAY == "sends-binary" and opcode == TEXT_FRAME:
        opcode = BINARY
    masked = 0 if WAY == "no-mask" or WAY == "unmasked-pong" and opcode == PONG else 128
    if length < 126 or WAY == "one-length":
        head = struct.pack("!BB", 128 | opcode, masked | length & 127)
    elif length < 65536 and not (WAY == "8-bytes-always"):
        head = struct.pack("!BBH", 128 | opcode, masked | 126, length)
    else:
        head = struct.pack("!BBQ", 128 | opcode, masked | 127, length)
    key = os.urandom(4)
    if WAY == "fixed-mask":
        key = b"mask"
    if WAY == "zero-mask":
        key = bytes(4)
    if WAY == "seeded-masks":
        key = random.randbytes(4)
    if not masked:
        return head + payload
    body = payload if WAY == "mask-is-a-field" else bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return head + key + body


def send(opcode, payload=b""):
    conn.sendall(frame(opcode, payload))


def receive():
    global buffer
    first, second = read(2)
    fin, opcode, length = first & 128, first & 15, second & 127
    if (first & 0x70 or 3 <= opcode <= 7 or opcode > PONG) and WAY != "ignores-reserved":
        raise Refusal(1002)
    if second & 128 and WAY != "takes-masks":
        raise Refusal(1002)
    if opcode >= CLOSE and (length > 125 or not fin) and WAY != "long-pings":
        raise Refusal(1002)
    if length == 126:
        length = struct.unpack("!H", read(2))[0]
    elif length == 127 and WAY != "two-lengths":
        length = struct.unpack("!Q", read(8))[0]
    if length > MOST and WAY != "any-length":
        raise Refusal(1009)
    key = read(4) if second & 128 else bytes(4)
    payload = read(length)
    if WAY == "one-frame-a-read":
        buffer = b""
    return fin, opcode, bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)) if second & 128 else payload


def decode(payload):
    try:
        return payload.decode(errors="replace" if WAY == "decodes-loosely" else "strict")
    except UnicodeDecodeError:
        raise Refusal(1000 if WAY == "closes-with-1000" else 1007) from None


def close(payload):
    """Answers the server's close frame, and exits."""
    code, reason = struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else 1005, decode(payload[2:])
    if payload and not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999) and WAY != "any-close-code":
        raise Refusal(1002)
    answer = struct.pack("!H", 1000) if WAY == "always-1000" else payload[:2]
    if not payload and WAY == "sends-1005":
        answer = struct.pack("!H", 1005)
    if WAY != "no-close-frame":
        send(CLOSE, answer)
    if code not in (1000, 1001, 1005) and WAY != "always-0":
        give_up(f"the server has closed with {code}" + ("" if WAY == "hides-the-reason" else f" {reason}"))
    sys.exit(0)


def converse():
    kind, parts = None, []
    while True:
        fin, opcode, payload = receive()
        if opcode == CLOSE:
            close(payload)
        if opcode >= CLOSE:
            if kind is not None and WAY == "no-ping-within":
                raise Refusal(1002)
            if opcode == PING and WAY != "no-pong":
                send(PONG, b"" if WAY == "empty-pong" else payload)
            if opcode == PONG and WAY == "dies-of-pongs":
                raise Refusal(1002)
            continue
        if opcode > BINARY:
            continue
        if (opcode == CONTINUATION) == (kind is None) and WAY not in ("lone-fragments", "ignores-fin"):
            raise Refusal(1002)
        if opcode != CONTINUATION:
            kind, parts = opcode, []
        if WAY == "decodes-fragments" and kind == TEXT_FRAME:
            decode(payload)
        parts.append(payload)
        if not fin and WAY != "ignores-fin":
            continue
        message = b"".join(parts)
        if kind == BINARY and WAY != "text-only":
            print(f"{len(message)} bytes")
        elif WAY == "prints-bytes":
            print(message)
        elif WAY != "prints-nothing":
            print(message.decode(errors="ignore") if kind == BINARY else decode(message))
        if WAY == "leaves-after-one":
            send(CLOSE, struct.pack("!H", 1000))
            sys.exit(0)
        kind, parts = None, []


try:
    conn = socket.create_connection((HOST, PORT), timeout=5)
except OSError as error:
    give_up(error)
conn.settimeout(None)
conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
try:
    handshake()
    send(TEXT_FRAME, TEXT.encode())
    converse()
except Refusal as refusal:
    send(CLOSE, struct.pack("!H", refusal.args[0]))
    conn.shutdown(socket.SHUT_WR)
    give_up(f"the server breaks a rule: {refusal.args[0]}")
except ConnectionError:
    ended()
