"""An echo client: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os
import socket
import sys

way = sys.argv[1]
message = b"Hello from Python!" if way == "own-text" else os.environ["TEXT"].encode()

try:
    conn = socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])), timeout=10)
except OSError as error:
    if way == "shows-stack-trace":
        raise
    sys.exit(f"cannot connect: {error}")

with conn:
    conn.sendall(message)
    if way == "prints-what-it-sent":
        print(message.decode())
        sys.exit(0)
    if way == "reads-once":
        back = conn.recv(1024)
    else:
        back = b""
        while len(back) < len(message):
            data = conn.recv(1024)
            if not data and way != "spins-at-end":
                sys.exit("the server closed early")
            back += data
    if way == "prints-nothing":
        sys.exit(0)
    print("Received:", back.decode(errors="replace"))
    if back != message and way != "compares-nothing":
        print("the echo differs", file=sys.stderr)
        sys.exit(0 if way == "exits-with-0" else 1)
