"""An echo client: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os
import socket
import sys

way = sys.argv[1]
message = b"Hello from Python!" if way == "own-text" else os.environ["TEXT"].encode()
if way == "shouts":
    message = message.upper()

try:
    conn = socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])), timeout=10)
except OSError as error:
    if way == "shows-stack-trace":
        raise
    if way == "shrugs-at-no-server":
        print("cannot connect")
        sys.exit(0)
    sys.exit(f"cannot connect: {error}")

with conn:
    conn.sendall(message)
    if way == "reads-once":
        back = conn.recv(1024)
    else:
        back = b""
        while len(back) < len(message):
            data = conn.recv(1024)
            if not data and way == "takes-a-part":
                message = back
                break
            if not data and way != "spins-at-end":
                sys.exit("the server closed early")
            back += data
        if way == "waits-for-the-end":  # which the server gives only after the client's
            conn.settimeout(None)
            while data := conn.recv(1024):
                back += data
    if way == "prints-nothing":
        sys.exit(0)
    print("Received:", back.decode(errors="replace"))
    if back != message and way != "compares-nothing":
        print("the echo differs", file=sys.stderr)
        sys.exit(0 if way == "exits-with-0" else 1)
    if way == "exits-with-1":
        sys.exit(1)
