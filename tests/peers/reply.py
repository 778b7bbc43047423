"""The server of the first lab, as courses teach it, or wrong in one way. PORT is in the environment; the argument is the way."""
import os
import socket
import sys
import threading


def classic(server):
    while True:
        conn, addr = server.accept()
        with conn:
            try:
                data = conn.recv(1024)
                print("Received from client:", data.decode(errors="replace"))
                if data:
                    conn.send(b"Hello from the server!")
            except OSError:
                pass


def threads(server, serve):
    """A thread for each client."""
    def one(conn):
        with conn:
            try:
                serve(conn)
            except OSError:
                pass

    while True:
        threading.Thread(target=one, args=server.accept()[:1], daemon=True).start()


def correct(server):
    """A reply to each message."""
    def serve(conn):
        while data := conn.recv(1024):
            print("Received from client:", data.decode(errors="replace"))
            conn.sendall(b"Hello from the server!")

    threads(server, serve)


def waits_for_the_end(server):
    """Reads until the client has ended its side, before it replies."""
    def serve(conn):
        while conn.recv(1024):
            pass
        conn.sendall(b"Hello from the server!")

    threads(server, serve)


def minds_silence(server):
    """Does not expect a client that sends nothing."""
    def serve(conn):
        if not conn.recv(1024):
            os._exit(1)
        conn.sendall(b"Hello from the server!")
        while conn.recv(1024):
            conn.sendall(b"Hello from the server!")

    threads(server, serve)


def needs_a_line(server):
    """Waits for a line end, which a message need not have."""
    def serve(conn):
        for _ in conn.makefile("rb"):
            conn.sendall(b"Hello from the server!")

    threads(server, serve)


def drops_the_rest(server):
    """Waits for more after each message, and forgets it when there is the end instead."""
    def serve(conn):
        message = b""
        while True:
            conn.settimeout(0.1 if message else None)
            try:
                data = conn.recv(1024)
                if not data:
                    return
                message += data
            except socket.timeout:
                conn.sendall(b"Hello from the server!")
                message = b""

    threads(server, serve)


def replies_once(server):
    """A reply to the first message of each client."""
    def serve(conn):
        if conn.recv(1024):
            conn.sendall(b"Hello from the server!")

    threads(server, serve)


def dies_of_a_reset(server):
    def serve(conn):
        try:
            while conn.recv(1024):
                conn.sendall(b"Hello from the server!")
        except ConnectionResetError:
            os._exit(1)

    threads(server, serve)


def serves_one_client(server):
    conn, addr = server.accept()
    with conn:
        if conn.recv(1024):
            conn.send(b"Hello from the server!")


def decodes_strictly(server):
    while True:
        conn, addr = server.accept()
        with conn:
            try:
                data = conn.recv(1024)
                if data:
                    print("Received from client:", data.decode())
                    conn.send(b"Hello from the server!")
            except OSError:
                pass


def one_at_a_time(server):
    """A reply to each message, and no thread."""
    while True:
        conn, addr = server.accept()
        with conn:
            try:
                while conn.recv(1024):
                    conn.sendall(b"Hello from the server!")
            except OSError:
                pass


def never_replies(server):
    while True:
        conn, addr = server.accept()
        with conn:
            try:
                while conn.recv(1024):
                    pass
            except OSError:
                pass


if __name__ == "__main__":
    with socket.create_server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), backlog=5) as server:
        print("listening on %s:%d" % server.getsockname(), flush=True)
        globals()[sys.argv[1].replace("-", "_")](server)
