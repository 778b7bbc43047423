"""An HTTP client on a socket: correct, or wrong in one way. The arguments are the way and the URL."""
import re, socket, sys

WAY, URL = sys.argv[1:]
HOST, PORT, TARGET = re.fullmatch(r"http://([^:/]+):(\d+)(/.*)", URL).groups()


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    print(f"http_client: {why}", file=sys.stderr)
    sys.exit(0 if WAY == "always-0" else 1)


try:
    conn = socket.create_connection((HOST, int(PORT)))
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


end = "\n" if WAY == "lf-lines" else "\r\n"
host = HOST if WAY == "no-port-in-host" else f"{HOST}:{PORT}"
fields = [] if WAY == "no-host" else [f"Host: {host}"]
target = {"asks-for-root": "/", "drops-the-query": TARGET.split("?")[0], "sends-the-whole-url": URL}.get(WAY, TARGET)
conn.sendall(end.join([f"GET {target} HTTP/1.1", *fields, "", ""]).encode())
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
if WAY == "prints-ascii":
    body = body.decode("ascii", "replace").encode()
if WAY == "one-buffer":
    body = body[:4096]
if WAY != "prints-nothing":
    sys.stdout.buffer.write(body)
