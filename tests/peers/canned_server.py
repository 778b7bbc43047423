"""A server that sends the same whatever it receives. The first argument is what it sends to each message, with \\r\\n and the
like as escapes; `greeting:` before it also greets with it. HOST and PORT are in the environment."""
import os, socket, sys, threading

replies = [text.encode().decode("unicode_escape").encode("latin1") for text in sys.argv[1:]]


def serve(conn):
    with conn:
        try:
            if replies[0][:1].isdigit():  # a protocol in which the server speaks first
                conn.sendall(replies[0])
            for i in range(1, 10_000):
                if not conn.recv(65536):
                    return
                conn.sendall(replies[min(i, len(replies) - 1)])
                if not replies[0][:1].isdigit():
                    return
        except OSError:
            pass


listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])), backlog=50)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=serve, args=[conn], daemon=True).start()
