"""A caching web proxy: correct, or wrong in one way. PORT is in the environment; the argument is the way."""
import calendar
import os
import socket
import sys
import threading
import time

WAY = sys.argv[1]
NAME = "lab-%d" % os.getpid()
HOP_BY_HOP = {"connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
cache = {}  # url: list of stored responses
lock = threading.Lock()


class Bad(Exception):
    """A message that cannot be understood, or not be passed on: its status."""


class Stream:
    """Lines and bytes of a connection."""

    def __init__(self, conn):
        self.conn = conn
        self.buffer = b""

    def more(self):
        data = self.conn.recv(65536)
        self.buffer += data
        return bool(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 65536 or not self.more():
                raise EOFError
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def head(self):
        first = self.line()
        fields = []
        for line in iter(self.line, ""):
            name, _, value = line.partition(":")
            fields.append((name, value.strip()))
        return first, fields

    def body(self, framing):
        """The pieces of a body. framing: a number of bytes, "chunked" or "end"."""
        if framing == "chunked":
            while True:
                size = int(self.line().split(";")[0], 16)
                if size == 0:
                    while self.line():
                        pass
                    return
                yield from self.body(size)
                self.line()
        left = float("inf") if framing == "end" else framing
        while left > 0:
            if not self.buffer and not self.more():
                if framing != "end" and WAY != "pads-what-is-missing":
                    raise EOFError
                return
            data = self.buffer[:int(min(left, 65536))]
            self.buffer = self.buffer[len(data):]
            left -= len(data)
            yield data


def get(fields, name, default=None):
    found = [value for key, value in fields if key.lower() == name]
    return ", ".join(found) if found else default


def seconds_of(date):
    return calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT"))


def directives(fields):
    found = {}
    for part in get(fields, "cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value.strip('"'))
    return found


def length_of(fields, is_request):
    """How a body is delimited."""
    coding, lengths = get(fields, "transfer-encoding"), {v for k, v in fields if k.lower() == "content-length"}
    if coding and lengths and is_request and WAY != "believes-the-length":
        raise Bad(400)
    if WAY == "believes-the-length" and lengths:
        coding = None
    if coding and coding.lower().endswith("chunked"):
        return "chunked"
    if len(lengths) > 1 and WAY != "first-length":
        raise Bad(400 if is_request else 502)
    if lengths:
        return int([v for k, v in fields if k.lower() == "content-length"][0])
    return 0 if is_request or WAY == "needs-a-length" else "end"


def passed_on(fields, version):
    named = [] if WAY == "passes-named" else [name.strip() for name in get(fields, "connection", "").lower().split(",")]
    dropped = HOP_BY_HOP | set(named)
    if WAY == "passes-connection":
        dropped -= {"keep-alive", "proxy-connection", "te"}
    kept = [(name, value) for name, value in fields if name.lower() not in dropped]
    return kept + ([] if WAY == "no-via" else [("Via", version + " " + NAME)])


def lifetime(fields):
    says = directives(fields)
    for name in ["max-age"] if WAY == "ignores-s-maxage" else ["s-maxage", "max-age"]:
        if name in says:
            return int(says[name]) if says[name].isdigit() else 0
    if get(fields, "expires") and WAY != "ignores-expires":
        try:
            end = seconds_of(get(fields, "expires"))
        except ValueError:
            return 3600 if WAY == "trusts-zero" else 0
        return end - seconds_of(get(fields, "date"))
    return 0


class Stored:
    def __init__(self, request, status, fields, body):
        self.status, self.fields, self.body = status, fields, body
        self.time = time.time()
        self.lifetime = lifetime(fields)
        vary = "" if WAY == "ignores-vary" else get(fields, "vary", "")
        self.vary = {name.strip(): get(request, name.strip().lower()) for name in vary.split(",") if name.strip()}

    def age(self):
        old = 0
        if WAY != "counts-from-arrival":
            old = max(int(get(self.fields, "age", "0")), self.time - seconds_of(get(self.fields, "date")))
        return old + time.time() - self.time

    def fits(self, request):
        return all(get(request, name.lower()) == value for name, value in self.vary.items())


def may_store(method, request, status, fields):
    says = directives(fields)
    if WAY == "no-cache-at-all" or method != "GET" or status not in ("200", "301", "404", "410"):
        return False
    if "no-store" in says and WAY != "stores-no-store" or "no-store" in directives(request):
        return False
    if "private" in says and WAY != "stores-private" or get(fields, "vary") == "*":
        return False
    shared = {"public", "s-maxage", "must-revalidate"} & says.keys()
    if get(request, "authorization") and not shared and WAY != "shares-credentials":
        return False
    return lifetime(fields) > 0 or get(fields, "etag") is not None


def answer(conn, status, fields, body, more=()):
    lines = ["HTTP/1.1 " + status, *("%s: %s" % field for field in fields if field[0].lower() != "content-length")]
    lines += [*more] + ([] if status.startswith("304") else ["Content-Length: %d" % len(body)])
    lines += ["Connection: close", "", ""]
    conn.sendall("\r\n".join(lines).encode("latin-1") + body)


def send_stored(conn, stored, method, request):
    more = [] if WAY == "no-age" else ["Age: %d" % stored.age()]
    fields = [field for field in stored.fields if field[0].lower() != "age"]
    own = [tag.strip() for tag in get(request, "if-none-match", "").split(",")]
    if get(stored.fields, "etag") in own and WAY != "ignores-the-copy":
        return answer(conn, "304 Not Modified", fields, b"", more)
    if method == "HEAD" and WAY != "body-for-head":
        lines = ["HTTP/1.1 " + stored.status + " OK", *("%s: %s" % field for field in fields), *more, "Connection: close"]
        return conn.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    answer(conn, stored.status + " OK", fields, stored.body, more)


def tunnel(client, conn, target):
    host, port = target.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as server:
        if WAY != "silent-connect":
            conn.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        server.sendall(client.buffer)

        def copy(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        if WAY == "one-way-tunnel":
            return copy(conn, server)
        back = threading.Thread(target=copy, args=(server, conn), daemon=True)
        back.start()
        copy(conn, server)
        back.join()


def key_of(url):
    return url.split("?")[0] if WAY == "forgets-the-query" else "/" + url.split("/", 3)[3] if WAY == "forgets-the-host" else url


def serve(client, conn):
    first, request = client.head()
    method, url, version = first.split(" ")
    vias = [] if WAY == "no-loops" else [via.split()[1] for via in get(request, "via", "").split(",") if via.strip()]
    if NAME in vias:
        raise Bad(508)
    if method == "CONNECT" and WAY != "no-connect":
        return tunnel(client, conn, url)
    if not url.startswith("http://"):
        raise Bad(400)
    framing = length_of(request, True)
    authority, _, path = url[7:].partition("/")
    left = get(request, "max-forwards")
    if method in ("OPTIONS", "TRACE") and left and WAY != "ignores-max-forwards":
        if left == "0":
            return answer(conn, "200 OK", [], b"")
        request = [field for field in request if field[0].lower() != "max-forwards"]
        request.append(("Max-Forwards", str(int(left) - 1)))
    asks = directives(request)
    with lock:
        found = next((stored for stored in cache.get(key_of(url), []) if stored.fits(request)), None)
    if found and method in ("GET", "HEAD"):
        no_cache = "no-cache" in asks and WAY != "ignores-reload"
        must_ask = no_cache or "no-cache" in directives(found.fields) and WAY != "ignores-no-cache"
        if found.age() < found.lifetime and not must_ask:
            return send_stored(conn, found, method, request)
    if "only-if-cached" in asks and WAY != "asks-anyway":
        raise Bad(504)
    if method != "GET" or WAY == "never-validates":
        found = None
    if found and get(found.fields, "etag") is None:
        found = None

    host, _, port = authority.partition(":")
    try:
        server = socket.create_connection((host, int(port or 80)), 10)
    except OSError:
        if WAY == "hangs-up":
            return
        raise Bad(500 if WAY == "says-500" else 502)
    with server:
        kept = [field for field in passed_on(request, version[5:]) if field[0].lower() not in ("host", "content-length")]
        kept.insert(0, ("Host", get(request, "host") if WAY == "client-host" else authority))
        if found:
            kept = [field for field in kept if field[0].lower() != "if-none-match"]
            kept.append(("If-None-Match", get(found.fields, "etag")))
        if framing:
            kept.append(("Transfer-Encoding", "chunked") if framing == "chunked" else ("Content-Length", framing))
        target = url if WAY == "whole-url" else "/" + path.split("?")[0] if WAY == "cuts-the-query" else "/" + path
        lines = [method + " " + target + " HTTP/1.1", *("%s: %s" % field for field in kept), "Connection: close", "", ""]
        server.sendall("\r\n".join(lines).encode("latin-1"))
        if WAY != "drops-the-body":
            for data in client.body(framing):
                server.sendall(b"%x\r\n%s\r\n" % (len(data), data) if framing == "chunked" else data)
            if framing == "chunked":
                server.sendall(b"0\r\n\r\n")
        elif framing:
            server.shutdown(socket.SHUT_WR)
        pass_back(client, conn, Stream(server), method, url, request, found)


def pass_back(client, conn, server, method, url, request, found):
    try:
        first, fields = server.head()
    except EOFError:
        raise Bad(502)
    version, status = first.split(" ")[:2]
    fields_back = passed_on(fields, version[5:])
    if status == "404" and WAY == "everything-is-well":
        first = "HTTP/1.1 200 OK"
    if status == "302" and WAY == "follows-redirects":
        first = "HTTP/1.1 200 OK"
    if WAY == "few-fields":
        fields_back = [field for field in fields_back if not field[0].lower().startswith("x-")]
    if found and status == "304":
        if WAY == "passes-304":
            return answer(conn, "304 Not Modified", fields_back, b"")
        new = {name.lower() for name, _ in fields_back}
        found.fields = [field for field in found.fields if field[0].lower() not in new] + fields_back
        found.time, found.lifetime = time.time(), lifetime(found.fields)
        return send_stored(conn, found, method, request)
    if found and WAY == "keeps-the-old":
        return send_stored(conn, found, method, request)
    if method not in ("GET", "HEAD", "OPTIONS", "TRACE") and status[0] in "23" and WAY != "keeps-after-put":
        with lock:
            cache.pop(key_of(url), None)
    framing = 0 if method == "HEAD" or status in ("204", "304") else length_of(fields, False)
    parts = server.body(framing)
    if WAY == "loses-chunks" and framing == "chunked":
        parts = server.body("end")
    if WAY == "waits-for-all":
        parts = [b"".join(parts)]
    head = first.replace("HTTP/1.0", "HTTP/1.1") + "\r\n" + "".join("%s: %s\r\n" % field for field in fields_back)
    conn.sendall((head + "Connection: close\r\n\r\n").encode("latin-1"))
    copy = []
    try:
        for data in parts:
            if WAY == "decodes":
                data = data.decode("utf-8", "replace").encode()
            conn.sendall(data)
            copy.append(data)
    except EOFError:
        if WAY != "stores-half":
            raise
    if may_store(method, request, status, fields_back):
        stored = Stored(request, status, fields_back, b"".join(copy))
        with lock:
            others = [] if WAY == "ignores-vary" else cache.get(key_of(url), [])
            cache[key_of(url)] = [stored] + [other for other in others if other.vary != stored.vary]


def handle(conn):
    with conn:
        client = Stream(conn)
        try:
            try:
                serve(client, conn)
            except Bad as bad:
                if bad.args[0] == 502 and WAY == "dies-with-its-server":
                    os._exit(1)
                answer(conn, "%d Error" % bad.args[0], [], b"")
            conn.shutdown(socket.SHUT_WR)
            conn.settimeout(1)
            while conn.recv(65536):  # closed at once, the kernel would reset, and the response be lost
                pass
        except (OSError, EOFError, ValueError):
            pass


with socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=50) as listener:
    while True:
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if WAY == "one-at-a-time":
            handle(accepted)
        else:
            threading.Thread(target=handle, args=(accepted,), daemon=True).start()
