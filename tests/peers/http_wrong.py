"""An HTTP/1.1 server on a socket: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os, re, socket, sys, threading, time

WAY = sys.argv[1]
PAGE = b"<!DOCTYPE html><title>peer</title><p>Hello from a peer.</p>\n"
TAG = '"peer-1"'


class Bad(Exception):
    pass


class Reader:
    def __init__(self, conn):
        self.conn, self.data = conn, b""

    def more(self):
        chunk = self.conn.recv(65536)
        if not chunk:
            raise ConnectionError
        self.data += chunk

    def line(self):
        while b"\r\n" not in self.data:
            if len(self.data) > 8192 and WAY != "no-limits":
                raise Bad(431)
            self.more()
        line, self.data = self.data.split(b"\r\n", 1)
        return line

    def exactly(self, size):
        while len(self.data) < size:
            self.more()
        part, self.data = self.data[:size], self.data[size:]
        return part


def parse(reader):
    if WAY == "reads-once":
        reader.more()
        if b"\r\n\r\n" not in reader.data:
            raise Bad(400)
    line = reader.line()
    while line == b"" and WAY != "no-empty-line":
        line = reader.line()
    match = re.fullmatch(rb"([A-Z]+) (\S+) HTTP/(\d)\.(\d)", line)
    if not match:
        raise Bad(400)
    method, target, major, minor = match.groups()
    if major != b"1" and WAY != "any-version":
        raise Bad(505)
    fields, total = [], 0
    while line := reader.line():
        total += len(line)
        if total > 32768 and WAY != "no-limits":
            raise Bad(431)
        for part in line.split(b"\r") if WAY == "cr-is-a-line-end" else [line]:
            if part[:1] in b" \t" and WAY == "fold-is-a-field":
                part = part.strip()
            name, colon, value = part.partition(b":")
            if WAY == "trims-names":
                name = name.strip()
            if not colon or not re.fullmatch(rb"[\w-]+", name) or b"\r" in value:
                raise Bad(400)
            fields.append((name.lower().decode(), value.strip().decode("latin1")))
    return method.decode(), target.decode("latin1"), minor, fields


def body(reader, fields):
    """Reads the body; returns whether the connection can carry another request."""
    lengths = [value for name, value in fields if name == "content-length"]
    coded = [value for name, value in fields if name == "transfer-encoding"]
    if WAY == "first-length":
        lengths = lengths[:1]
    if WAY == "loose-numbers":
        lengths = [re.sub(r"\D", "", value) for value in lengths]
    if len(set(lengths)) > 1 or any(not value.isdigit() for value in lengths) or coded not in ([], ["chunked"]):
        raise Bad(400)
    if WAY == "ignores-bodies":
        return True
    if coded:
        while size := int(reader.line().split(b";")[0], 16):
            reader.exactly(size + 2)
        while reader.line():
            pass
    elif lengths:
        reader.exactly(int(lengths[0]))
    return not (lengths and coded) or WAY == "both-lengths"


def answer(method, target, minor, fields):
    """The status, the fields and the body of the answer."""
    hosts = [value for name, value in fields if name == "host"]
    if WAY != "any-host" and (len(hosts) > 1 or (not hosts and minor == b"1")):
        raise Bad(400)
    if method not in ("GET", "HEAD") and WAY != "any-method":
        return 405, [] if WAY == "no-allow" else [("Allow", "GET, HEAD")], b"no\n"
    if target.startswith("http://") and WAY != "paths-only":
        target = "/" + target.split("/", 3)[3]
    if WAY == "opens-any-path":
        path = target.replace("%2f", "/").replace("%2e", ".")
        if path.endswith("etc/passwd") and ".." in path:
            return 200, [], open("/etc/passwd", "rb").read()
    if target != "/" and WAY != "one-page":
        return 404, [], b"not here\n"
    headers = [("ETag", TAG), ("Accept-Ranges", "bytes")]
    values = dict(fields)
    if values.get("if-none-match") == TAG and WAY != "no-conditions":
        return 304, headers, PAGE if WAY == "304-with-body" else b""
    if "range" in values and method == "GET":
        first, last = values["range"][6:].split("-")
        size = len(PAGE)
        start = size - int(last) if not first else int(first)
        end = size - 1 if not first or not last else int(last)
        if start >= size:
            return 416, [("Content-Range", f"bytes */{size}")], b""
        part = PAGE[start:end] if WAY == "half-open-ranges" else PAGE[start:end + 1]
        return 206, headers + [("Content-Range", f"bytes {start}-{end}/{size}")], part
    return 200, headers, PAGE


def serve(conn):
    reader = Reader(conn)
    try:
        keep = True
        while keep:
            method = ""
            try:
                method, target, minor, fields = parse(reader)
                keep = body(reader, fields) and minor == b"1" and ("connection", "close") not in fields
                code, more, data = answer(method, target, minor, fields)
            except Bad as bad:
                code, more, data, keep = bad.args[0], [], b"bad\n", False
            if WAY == "never-closes":
                keep = True
            lines = [f"HTTP/1.1 {code} Peer"] + [f"{name}: {value}" for name, value in more]
            if WAY != "no-date":
                lines.append(time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
            if code != 304:
                lines.append(f"Content-Length: {len(data) + (WAY == 'wrong-length')}")
            if not keep:
                lines.append("Connection: close")
            if method == "HEAD" and WAY != "head-with-body":
                data = b""
            conn.sendall("\r\n".join(lines + ["", ""]).encode() + data)
            if WAY == "drops-what-follows":
                reader.data = b""
        conn.shutdown(socket.SHUT_WR)
        conn.settimeout(1)
        while conn.recv(65536):
            pass
    except OSError:
        pass
    finally:
        conn.close()


listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])), backlog=100)
while True:
    conn, _ = listener.accept()
    if WAY == "one-at-a-time":
        serve(conn)
    else:
        threading.Thread(target=serve, args=[conn], daemon=True).start()
