"""An HTTP client on a socket: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os, re, socket, sys

WAY = sys.argv[1]
HOST, PORT = os.environ["HOST"], int(os.environ["PORT"])


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    sys.exit(f"http_client: {why}")


try:
    conn = socket.create_connection((HOST, PORT))
except OSError as error:
    give_up(error)
data = b""
ended = False


def more():
    global data, ended
    chunk = conn.recv(65536)
    ended = ended or not chunk
    data += chunk
    return bool(chunk)


def line():
    global data
    while b"\r\n" not in data:
        if not more():
            give_up("truncated")
    one, data = data.split(b"\r\n", 1)
    return one


def exactly(size):
    global data
    while len(data) < size:
        if WAY == "reads-once" or not more():
            if WAY in ("accepts-short", "reads-once"):
                break
            give_up("truncated")
    part, data = data[:size], data[size:]
    return part


host = HOST if WAY == "no-port-in-host" else f"{HOST}:{PORT}"
conn.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
if WAY == "reads-once":
    more()
while True:
    match = re.fullmatch(rb"HTTP/1\.\d (\d\d\d)( .*)?", line())
    if not match:
        if WAY == "any-protocol":
            sys.exit(0)
        give_up("not HTTP")
    status = int(match[1])
    fields = {}
    while one := line():
        name, _, value = one.decode("latin1").partition(":")
        fields[name if WAY == "minds-the-case" else name.lower()] = value.strip()
    if WAY == "minds-the-case":
        fields = {name.lower(): value for name, value in fields.items() if name == name.title()}
    if status >= 200 or WAY == "takes-1xx-for-it":
        break
body = b""
if status == 204 and WAY != "waits-on-204":
    pass
elif "transfer-encoding" in fields and WAY != "prints-chunks":
    while True:
        try:
            size = int(line().split(b";")[0], 16)
        except ValueError:
            give_up("malformed chunk")
        if size == 0:
            break
        body += exactly(size)
        line()
    while line():
        pass
elif "content-length" in fields and WAY != "waits-for-the-end":
    body = exactly(int(fields["content-length"]))
else:
    while more():
        pass
    body = data
print(body.decode())
