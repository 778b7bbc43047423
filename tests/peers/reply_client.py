"""The client of the first lab: correct, as courses teach it (classic), or wrong in one way. HOST and PORT are in the environment."""
import os
import socket
import sys

way = sys.argv[1]
try:
    with socket.create_connection((os.environ["HOST"], int(os.environ["PORT"]))) as conn:
        if way == "listens-first":
            conn.recv(1024)
        conn.sendall(b"Hello from the client!")
        reply = conn.recv(1024)
        if not reply and way == "shrugs":
            print("no reply")
            sys.exit(0)
        if not reply and way != "classic":
            sys.exit("reply_client: the server closed without a reply")
        if way == "keeps-waiting":
            conn.recv(1024)
        if way == "waits-for-the-end":  # which the server gives only after the client's
            while data := conn.recv(1024):
                reply += data
        if way == "canned":
            reply = b"Hello from the server!"
        text = reply.decode("ascii", errors="replace") if way == "decodes-ascii" else reply.decode("utf-8")
        print("Received from server:", ascii(reply) if way == "prints-bytes" else text)
        if way == "exits-with-1":
            sys.exit(1)
except OSError as error:
    if way in ("classic", "shows-stack-trace"):
        raise
    if way == "shrugs-at-no-server":
        print("no server")
        sys.exit(0)
    sys.exit(f"reply_client: {error}")
