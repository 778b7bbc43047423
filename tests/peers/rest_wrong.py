"""The users API of rest/README.md, one thread a client: correct, or wrong in one way. HOST and PORT are in the environment; the
argument is the way."""
import datetime, hashlib, http.server, json, os, re, socketserver, sys, threading, urllib.parse

WAY = sys.argv[1] if __name__ == "__main__" else "correct"
LOCK = threading.Lock()
USERS = {}
LAST = [0]
ALLOW = {"list": "GET, HEAD, POST, OPTIONS", "user": "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", "description": "GET, HEAD"}


class Problem(Exception):
    def __init__(self, status, detail, errors=None, headers=None):
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers or {}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def tag(user):
    return '"' + hashlib.sha1(json.dumps(user).encode()).hexdigest() + '"'


def validate(body, partly):
    if not isinstance(body, dict):
        raise Problem(422, "a user is an object", [])
    errors = []
    for name in ("name", "email"):
        value = body.get(name)
        if partly and name not in body:
            continue
        if WAY == "takes-anything":
            continue
        if not isinstance(value, str) or not value:
            errors.append({"pointer": f"#/{name}", "detail": "must be a text"})
        elif name == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
            errors.append({"pointer": "#/email", "detail": "is no address"})
    if WAY == "one-error":
        errors = errors[:1]
    if WAY == "no-pointers":
        errors, missing = [], errors
        if missing:
            raise Problem(422, "wrong fields")
    if errors:
        raise Problem(400 if WAY == "400-for-422" else 422, "wrong fields", errors)
    known = body if WAY == "keeps-all-fields" else {"name", "email"} & body.keys()
    return {name: body[name] for name in known}


def unique(email, but=None):
    same = (lambda a, b: a == b) if WAY == "minds-the-case" else lambda a, b: str(a).lower() == str(b).lower()
    for ident, user in USERS.items():
        if ident != but and same(user.get("email"), email) and WAY != "any-email":
            raise Problem(200 if WAY == "200-for-errors" else 409, "another user has this email")


def create(body, _headers):
    user = validate(body, False)
    if WAY != "no-lock":
        LOCK.acquire()
    try:
        unique(user.get("email"))
        if WAY == "no-lock":
            import time
            time.sleep(0.05)
        if WAY == "reuses-ids":
            ident = max(USERS, default=0) + 1
        else:
            LAST[0] += 1
            ident = LAST[0]
        user = {"id": ident, **user, "created": now(), "updated": now()}
        if WAY == "no-times":
            del user["created"], user["updated"]
        USERS[ident] = user
    finally:
        if WAY != "no-lock":
            LOCK.release()
    headers = {"ETag": tag(user)}
    if WAY != "no-location":
        headers["Location"] = f"/users/{ident}"
    return 200 if WAY == "200-for-created" else 201, user, headers


def page(query):
    try:
        limit, after = int(query.get("limit", "100")), int(query.get("after", "0"))
        if not limit > 0 or after < 0:
            raise ValueError
    except ValueError:
        if WAY != "guesses-pages":
            raise Problem(400, "limit and after are whole numbers")
        limit, after = 100, 0
    text = "" if WAY == "no-search" else query.get("q", "").lower()
    users = [user for ident, user in sorted(USERS.items(), reverse=WAY == "newest-first")
             if ident > after and (text in str(user.get("name")).lower() or text in str(user.get("email")).lower())]
    shown = users if WAY == "ignores-limit" else users[:limit]
    headers = {}
    if len(users) > len(shown) and WAY != "no-next":
        last = shown[-1]["id"] - (1 if WAY == "overlapping-pages" else 0)
        rest = urllib.parse.urlencode({"limit": limit, "after": last, "q": query.get("q", "")})
        headers["Link"] = f'</users?{rest}>; rel="next"'
    return 200, {"users": shown} if WAY == "wraps-the-list" else shown, headers


def change(method, ident, body, headers):
    user = USERS.get(ident)
    if user is None:
        if method == "DELETE" and WAY == "deletes-all":
            return 204, None, {}
        if method == "PUT" and WAY == "put-creates":
            USERS[ident] = user = {"id": ident, **validate(body, False), "created": now(), "updated": now()}
            return 201, user, {}
        raise Problem(404, "there is no such user")
    if method in ("GET", "HEAD"):
        if headers.get("if-none-match") == tag(user) and WAY != "no-conditions":
            return 304, None, {"ETag": tag(user)}
        return 200, user, {"ETag": tag(user)}
    if headers.get("if-match", tag(user)) != tag(user) and WAY != "loses-updates":
        raise Problem(412, "somebody was faster")
    if method == "DELETE":
        if WAY != "deletes-nothing":
            del USERS[ident]
        return (200, {}, {}) if WAY == "200-for-deleted" else (204, None, {})
    changes = validate(body, WAY == "replaces-in-part" or method == "PATCH" and WAY != "patch-is-put")
    if "email" in changes:
        unique(changes["email"], ident)
    user = {**user, **changes, "updated": user["updated"] if WAY == "never-updated" else now()}
    if WAY == "forgets-creation" and method == "PUT":
        user["created"] = now()
    if WAY == "put-is-ignored" and method == "PUT":
        user = USERS[ident]
    USERS[ident] = user
    return 200, user, {"ETag": tag(user)}


def route(method, target, headers, read):
    url = urllib.parse.urlsplit(target)
    match = re.fullmatch(r"/users/([^/]+)", url.path)
    kind = "list" if url.path == "/users" else "user" if match else "description" if url.path == "/openapi.json" else None
    if kind is None:
        raise Problem(404, "there is no such resource")
    allow = {"Allow": ALLOW[kind]}
    if method == "OPTIONS":
        return 204, None, allow
    if method not in ALLOW[kind]:
        raise Problem(405, "not here", headers={} if WAY == "no-allow" else allow)
    if kind == "description":
        return 200, {"openapi": "3.1.0", "info": {"title": "Users", "version": "1"},
                     "paths": {} if WAY == "no-description" else {"/users": {}, "/users/{id}": {}}}, {}
    body = read() if method in ("POST", "PUT", "PATCH") else None
    if kind == "list":
        if method == "POST":
            return create(body, headers)
        return page(dict(urllib.parse.parse_qsl(url.query)))
    ident = int(match[1]) if match[1].isascii() and match[1].isdigit() else -1
    if ident == -1 and WAY == "400-for-bad-ids":
        raise Problem(400, "not a number")
    return change(method, ident, body, headers)


def handle(method, target, headers, read):
    """The status, the body and the fields of the response."""
    kind = "text/html" if WAY == "json-as-html" else "application/json"
    try:
        status, value, fields = route(method, target, headers, read)
    except Problem as problem:
        kind = "application/json" if WAY == "plain-errors" else "application/problem+json"
        status, fields = problem.status, problem.headers
        value = {"title": "Problem", "status": status, "detail": problem.detail}
        if problem.errors is not None:
            value["errors"] = problem.errors
        if WAY == "errors-as-text":
            kind, value = "text/plain", "error"
    text = None if value is None else json.dumps(value).encode()
    if text is not None:
        fields = {**fields, "Content-Type": kind}
    return status, text, fields


def parse_body(headers, raw):
    """The body as JSON. `raw` reads it."""
    if headers.get("content-type", "").split(";")[0] not in ("application/json", "application/merge-patch+json"):
        if WAY != "any-type":
            raw()
            raise Problem(415, "only JSON")
    try:
        return json.loads(raw())
    except ValueError:
        if WAY == "dies-on-bad-json":
            raise
        raise Problem(500 if WAY == "500-for-bad-json" else 400, "not JSON")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def raw(self):
        size = int(self.headers.get("content-length") or 0)
        if size > 1_000_000 and WAY != "no-limit":
            while size > 0:
                size -= len(self.rfile.read(min(size, 65536)) or b"x" * size)
            raise Problem(413, "too long")
        return self.rfile.read(size)

    def any(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        if WAY == "leaves-bodies" and headers.get("content-type") == "text/plain":
            status, text, fields = handle("POST", "/users", {"content-type": "text/plain"}, lambda: parse_body(headers, bytes))
        else:
            status, text, fields = handle(self.command, self.path, headers, lambda: parse_body(headers, self.raw))
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if text is not None and self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_BREW = any


class Server(socketserver.TCPServer if WAY == "one-at-a-time" else socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 5


if __name__ == "__main__":
    with Server((os.environ["HOST"], int(os.environ["PORT"])), Handler) as server:
        server.serve_forever()
