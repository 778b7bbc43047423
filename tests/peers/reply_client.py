"""The client of the first lab: correct, as courses teach it (classic), or wrong in one way. HOST and PORT are in the environment."""
import os
import socket
import sys

way = sys.argv[1]
try:
    with socket.create_connection((os.environ["HOST"], int(os.environ["PORT"]))) as conn:
        conn.sendall(b"Hello from the client!")
        reply = conn.recv(1024)
        if not reply and way != "classic":
            sys.exit("reply_client: the server closed without a reply")
        if way == "keeps-waiting":
            conn.recv(1024)
        if way == "canned":
            reply = b"Hello from the server!"
        print("Received from server:", ascii(reply) if way == "prints-bytes" else reply.decode("utf-8"))
        if way == "exits-with-1":
            sys.exit(1)
except OSError as error:
    if way in ("classic", "shows-stack-trace"):
        raise
    sys.exit(f"reply_client: {error}")
