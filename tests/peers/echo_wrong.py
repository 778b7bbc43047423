"""An echo server: correct, or wrong in one way. PORT is in the environment; the argument is the way."""
import os
import socket
import sys
import threading


def drops_last_byte(conn):
    while data := conn.recv(65536):
        conn.sendall(data[:-1] if len(data) > 1 else data)


def decodes_as_text(conn):
    while data := conn.recv(65536):
        conn.sendall(data.decode("ascii", errors="ignore").encode())


def reads_once(conn):
    conn.sendall(conn.recv(1024))


def waits_for_lines(conn):
    with conn.makefile("rb") as lines:
        for line in lines:
            conn.sendall(line)


def keeps_open(conn):
    while data := conn.recv(65536):
        conn.sendall(data)
    threading.Event().wait()


def drops_rest(conn):
    """Reads all before it answers, and has no time left once the client has ended its side."""
    conn.settimeout(0.05)
    while True:
        whole = b""
        try:
            while data := conn.recv(65536):
                whole += data
            return
        except socket.timeout:
            conn.sendall(whole)


def correct(conn):
    while data := conn.recv(65536):
        conn.sendall(data)


def strips(conn):
    while data := conn.recv(65536):
        conn.sendall(data.strip() + b"\n" if data.strip() and data[-1:] == b"\n" else data)


def stops_at_nul(conn):
    while data := conn.recv(65536):
        conn.sendall(data.partition(b"\0")[0] if b"\0" in data else data)


def ends_on_quit(conn):
    while data := conn.recv(65536):
        if data.startswith(b"quit"):
            return
        conn.sendall(data)


def ignores_partial_send(conn):
    """Not blocking: what does not fit into the buffer is lost."""
    import select

    conn.setblocking(False)
    while True:
        select.select([conn], [], [])
        if not (data := conn.recv(65536)):
            return
        for _ in range(20):  # a short wait is enough for a client that reads
            try:
                data = data[conn.send(data):]
            except BlockingIOError:
                select.select([], [conn], [], 0.005)
            if not data:
                break


def canned(conn):
    while conn.recv(65536):
        conn.sendall(b"Hello, echo!\r\n")


shared = bytearray()


def shares_a_buffer(conn):
    """One buffer for all threads: what one client sent can go to another."""
    import time

    while data := conn.recv(65536):
        shared[:] = data
        time.sleep(0.002)
        conn.sendall(shared)


def shared_reader(server):
    threads(shares_a_buffer)(server)


def closes_nothing(server):
    """Keeps the socket of each client that has left: after some 220 clients the limit of this process is reached."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (228, 228))
    kept = []

    def keep(conn):
        kept.append(conn.dup())  # of the two, `threads` closes one
        correct(conn)

    threads(keep)(server)


def serve_one(conn):
    with conn:
        try:
            correct(conn)
        except OSError:
            pass


def one_at_a_time(server):
    while True:
        serve_one(server.accept()[0])


def serves_one_client(server):
    """As the Python documentation has it: it ends with its first client."""
    correct(server.accept()[0])


def eight_threads(server):
    for _ in range(16):
        threading.Thread(target=one_at_a_time, args=(server,), daemon=True).start()
    threading.Event().wait()


def joins_threads(server):
    """A thread for each client, and waits until it has ended."""
    while True:
        thread = threading.Thread(target=serve_one, args=server.accept()[:1])
        thread.start()
        thread.join()


lock = threading.Lock()


def one_lock(conn):
    """Receives while it holds the lock of all threads."""
    while True:
        with lock:
            if not (data := conn.recv(65536)):
                return
            conn.sendall(data)


def at_most_fifty(server):
    """Hangs up when fifty clients are connected."""
    places = threading.Semaphore(50)

    def serve(conn):
        serve_one(conn)
        places.release()

    while True:
        conn, _ = server.accept()
        if places.acquire(blocking=False):
            threading.Thread(target=serve, args=(conn,), daemon=True).start()
        else:
            conn.close()


def dies_on_reset(conn):
    try:
        correct(conn)
    except OSError:
        os._exit(1)


def blocks_on_send(server):
    """One select loop for all clients: while one does not read, all others wait."""
    import selectors

    sel = selectors.DefaultSelector()
    sel.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in sel.select():
            if key.fileobj is server:
                sel.register(server.accept()[0], selectors.EVENT_READ)
                continue
            conn = key.fileobj
            try:
                data = conn.recv(65536)
                conn.sendall(data)
            except OSError:
                data = b""
            if not data:
                sel.unregister(conn)
                conn.close()


def threads(handle):
    def serve(conn):
        with conn:
            try:
                handle(conn)
            except OSError:
                pass

    def loop(server):
        while True:
            threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()

    return loop


loops = (
    one_at_a_time,
    serves_one_client,
    blocks_on_send,
    shared_reader,
    closes_nothing,
    eight_threads,
    joins_threads,
    at_most_fifty,
)

if __name__ == "__main__":
    way = globals()[sys.argv[1].replace("-", "_")]
    loop = way if way in loops else threads(way)
    with socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=5) as server:
        loop(server)
