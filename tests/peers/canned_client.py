"""A client that never looks at what it receives. The arguments: what it sends, with \\r\\n and the like as escapes, what it
prints, and its exit code. HOST and PORT are in the environment."""
import os, socket, sys

send, text, code = sys.argv[1:]
try:
    with socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])), timeout=2) as conn:
        conn.sendall(send.encode().decode("unicode_escape").encode("latin1"))
        conn.recv(4096)
except OSError:
    pass
print(text)
sys.exit(int(code))
