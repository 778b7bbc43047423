"""A server of JSON-RPC with a thread for each client and each call: correct, or wrong in one way. PORT is in the environment;
the argument is the way."""
import json
import os
import socket
import sys
import threading
import time

WAY = sys.argv[1]
LIMIT = 16 << 20


class RpcError(Exception):
    pass


def add(params):
    if isinstance(params, dict):
        if WAY == "positions-only":
            raise RpcError(-32602, "Invalid params")
        params = [params.get("a"), params.get("b")]
    if WAY != "any-parameters" and (
        not isinstance(params, list) or len(params) != 2 or not all(type(n) in (int, float) for n in params)
    ):
        raise RpcError(-32602, "Invalid params")
    return 0 if WAY == "canned" else params[0] + params[1]


def sleep(params):
    time.sleep(params[0])
    return "done"


METHODS = {"add": add, "sleep": sleep, "echo": lambda params: params}


def answer_one(message):
    """The response to a call; None when it gets none."""
    call = message if isinstance(message, dict) else {}
    if call.get("jsonrpc") != "2.0" or not isinstance(call.get("method"), str):
        if WAY == "ignores-invalid":
            return None
        code = -32601 if WAY == "one-code" else -32600
        return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": "Invalid Request"}}
    response = {} if WAY == "no-version" else {"jsonrpc": "2.0"}
    number = call.get("id")
    response["id"] = 1 if WAY == "fixed-id" else int(number) if WAY == "ids-are-numbers" and str(number).isdigit() else number
    try:
        method = METHODS.get(call["method"])
        if not method:
            raise RpcError(-32000 if WAY == "own-codes" else -32601, "Method not found")
        response["result"] = method(call.get("params"))
        if WAY == "both":
            response["error"] = None
    except RpcError as error:
        if WAY == "errors-as-results":
            response["result"] = error.args[1]
        else:
            response["error"] = {"code": error.args[0], "message": error.args[1]}
    except (TypeError, IndexError) as error:
        response["error"] = {"code": -32603, "message": str(error)}
    if "id" not in call and WAY != "answers-notifications":
        return None
    return response


class Connection:
    def __init__(self, conn):
        self.conn, self.rest, self.lock = conn, b"", threading.Lock()

    def more(self):
        data = self.conn.recv(65536)
        if not data:
            raise EOFError
        self.rest += data

    def read(self):
        """The body of the next frame."""
        if WAY == "reads-once":
            self.more()
        while WAY != "reads-once" and b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        fields = {}
        for line in head.decode("latin1").split("\r\n"):
            name, _, value = line.partition(":")
            fields[name if WAY == "minds-the-case" else name.lower()] = value.strip()
            if WAY == "first-field":
                fields = {"content-length": value.strip()}
                break
        name = "Content-Length" if WAY == "minds-the-case" else "content-length"
        if name not in fields and WAY == "waits-for-a-length":
            while True:
                self.more()
        length = int(fields[name])
        if length > LIMIT and WAY != "any-length":
            raise ValueError("too long")
        if WAY == "one-buffer":
            length = min(length, 65536)
        if WAY == "counts-characters":
            while len(self.rest.decode(errors="ignore")) < length:
                self.more()
            text = self.rest.decode(errors="ignore")
            self.rest = text[length:].encode()
            return text[:length].encode()
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], b"" if WAY == "drops-what-follows" else self.rest[length:]
        return body

    def send(self, message):
        text = json.dumps(message, ensure_ascii=False)
        length = len(text) if WAY == "sends-characters" else len(text.encode())
        end = "\n\n" if WAY == "lf-header" else "\r\n\r\n"
        data = f"Content-Length: {length}{end}{text}".encode()
        with self.lock:
            self.conn.sendall(data)

    def answer(self, body):
        try:
            message = json.loads(body)
        except ValueError:
            if WAY == "ends-on-bad-json":
                self.conn.shutdown(socket.SHUT_RDWR)
            self.send({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})
            return
        if isinstance(message, list) and (message or WAY == "empty-is-empty") and WAY != "no-batches":
            responses = [answer_one(each) for each in message if isinstance(each, dict) or WAY != "skips-what-is-no-call"]
            responses = [each for each in responses if each is not None]
            if WAY == "one-by-one":
                for each in responses:
                    self.send(each)
            elif responses or WAY == "empty-answer":
                self.send(responses)
            return
        response = answer_one(message)
        if response is not None:
            self.send(response)

    def serve(self):
        try:
            while True:
                body = self.read()
                if WAY == "in-order":
                    self.answer(body)
                else:
                    threading.Thread(target=self.safely, args=[body], daemon=True).start()
                if WAY == "one-call":
                    time.sleep(0.2)
                    return
        except (OSError, EOFError, ValueError, KeyError) as error:
            if isinstance(error, OSError) and WAY == "dies-on-reset":
                os._exit(1)
        finally:
            self.conn.shutdown(socket.SHUT_RDWR)
            self.conn.close()

    def safely(self, body):
        try:
            self.answer(body)
        except OSError:
            if WAY == "dies-on-reset":
                os._exit(1)


server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=5)


def serve(conn):
    try:
        Connection(conn).serve()
    except OSError:
        pass


while True:
    conn, _ = server.accept()
    if WAY == "serves-one-client":
        serve(conn)
        break
    if WAY == "one-at-a-time":
        serve(conn)
    else:
        threading.Thread(target=serve, args=[conn], daemon=True).start()
