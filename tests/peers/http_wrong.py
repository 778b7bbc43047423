"""A file server with HTTP/1.1 on a socket, one thread a client: correct, or wrong in one way. HOST, PORT and ROOT are in the
environment; the argument is the way."""
import os, re, socket, sys, threading, time, urllib.parse

WAY = sys.argv[1]
ROOT = os.path.realpath(os.environ["ROOT"])
TYPES = {".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".png": "image/png",
         ".json": "application/json"}
END = b"\n" if WAY == "lf-lines" else b"\r\n"


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
        if not reader.data:
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
    if major != b"1" and WAY == "hangs-on-versions":
        time.sleep(60)
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
                name = name.rstrip()
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


def find(target):
    """The path of the file that a target names."""
    if WAY != "paths-only":
        target = re.sub(r"^http://[^/]*", "", target)
    if WAY != "keeps-query":
        target = target.split("?", 1)[0]
    path = target if WAY == "no-percent-decoding" else urllib.parse.unquote(target)
    if WAY == "no-utf8-names":
        path = urllib.parse.unquote(target, "latin1")
    path = os.path.join(ROOT, path.lstrip("/")) if WAY != "one-page" else ROOT + "/"
    if path.endswith("/"):
        path += "index.html"
    inside = os.path.realpath(path)
    if WAY == "startswith-root" and not inside.startswith(ROOT):
        raise Bad(404)
    if WAY not in ("startswith-root", "opens-any-path") and not inside.startswith(ROOT + os.sep):
        raise Bad(404)
    if "\0" in path or not os.path.isfile(path):
        raise Bad(404)
    return path


def read(path):
    if WAY == "opens-as-text":
        with open(path, encoding="utf-8") as file:
            return file.read().encode()
    if WAY == "ignores-errors":
        with open(path, encoding="utf-8", errors="ignore") as file:
            return file.read().encode()
    with open(path, "rb") as file:
        return file.read(65536) if WAY == "reads-one-buffer" else file.read()


def answer(method, target, minor, fields):
    """The status, the fields and the body of the answer."""
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1 and WAY != "first-host" or not hosts and minor == b"1" and WAY != "any-host":
        raise Bad(400)
    if method not in ("GET", "HEAD") and WAY != "any-method":
        return 405, [] if WAY == "no-allow" else [("Allow", "GET, HEAD")], b"no\n"
    try:
        path = find(target)
    except Bad as bad:
        if WAY == "200-for-errors":
            return 200, [("Content-Type", "text/html")], b"<h1>404 not found</h1>\n"
        return bad.args[0], [], b"not here\n"
    data = read(path)
    tag = f'"{os.path.getmtime(path)}-{len(data)}"'
    headers = [("ETag", tag), ("Accept-Ranges", "bytes")]
    if WAY == "all-is-html":
        headers.append(("Content-Type", "text/html"))
    elif WAY != "no-content-type":
        headers.append(("Content-Type", TYPES.get(os.path.splitext(path)[1], "application/octet-stream")))
    values = dict(fields)
    if values.get("if-none-match") == tag and WAY != "no-conditions":
        return 304, headers, data if WAY == "304-with-body" else b""
    if "range" in values and method == "GET":
        first, last = values["range"][6:].split("-")
        size = len(data)
        start = size - int(last) if not first else int(first)
        end = size - 1 if not first or not last else int(last)
        if start >= size:
            return 416, [("Content-Range", f"bytes */{size}")], b""
        part = data[start:end] if WAY == "half-open-ranges" else data[start:end + 1]
        return 206, headers + [("Content-Range", f"bytes {start}-{end}/{size}")], part
    return 200, headers, data


def length(data):
    if WAY == "wrong-length":
        return len(data) + 1
    try:
        return len(data.decode()) if WAY == "counts-characters" else len(data)
    except UnicodeDecodeError:
        return len(data)


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
            except UnicodeDecodeError:
                return  # the thread ends, as it does after a traceback
            if WAY == "never-closes":
                keep = True
            if WAY == "closes-unsaid":
                keep = False
            lines = [f"HTTP/1.1 {code} Peer"] + [f"{name}: {value}" for name, value in more]
            if WAY != "no-date":
                lines.append(time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
            if code != 304 and WAY != "no-length":
                lines.append(f"Content-Length: {length(data)}")
            if not keep and WAY != "closes-unsaid":
                lines.append("Connection: close")
            if method == "HEAD" and WAY != "head-with-body":
                data = b""
            head = END.join([line.encode() for line in lines] + [b"", b""])
            if WAY == "sends-once":
                conn.setblocking(False)
                conn.send(head + data)
                conn.setblocking(True)
            else:
                conn.sendall(head + data)
            if WAY == "drops-what-follows":
                reader.data = b""
        conn.shutdown(socket.SHUT_WR)
        conn.settimeout(1)
        while conn.recv(65536):
            pass
    except OSError as error:
        if WAY == "dies-on-reset" and not isinstance(error, socket.timeout):
            os._exit(1)
    finally:
        conn.close()


listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])), backlog=5)
while True:
    conn, _ = listener.accept()
    if WAY == "one-at-a-time":
        serve(conn)
    elif WAY == "serves-one-client":
        serve(conn)
        sys.exit()
    else:
        threading.Thread(target=serve, args=[conn], daemon=True).start()
