"""A client of JSON-RPC that calls add: correct, or wrong in one way. HOST, PORT, A and B are in the environment; the argument is
the way."""
import json
import os
import re
import socket
import sys

WAY = sys.argv[1]
A, B = int(os.environ["A"]), int(os.environ["B"])


def give_up(why):
    if WAY == "shows-stack-trace":
        raise RuntimeError(why)
    print(f"rpc_client: {why}", file=sys.stderr)
    sys.exit(0 if WAY == "always-0" else 1)


try:
    conn = socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])), timeout=3)
except OSError as error:
    give_up(error)
conn.settimeout(None)
rest = b""


def more():
    global rest
    data = conn.recv(65536)
    if not data:
        if WAY == "shrugs":
            print(rest.decode(errors="replace"))
            sys.exit(0)
        give_up("the server closed early")
    rest += data


def read():
    global rest
    while b"\r\n\r\n" not in rest:
        more()
        if WAY == "reads-once":
            break
    head, _, rest = rest.partition(b"\r\n\r\n")
    if WAY == "first-field":
        length = int(head.split(b"\r\n")[0].split(b":")[1])
    else:
        match = re.search(rb"^Content-Length: (\d+)", head, re.M if WAY == "minds-the-case" else re.M | re.I)
        length = int(match[1])
    if WAY == "one-buffer":
        length = min(length, 65536)
    while len(rest.decode(errors="ignore") if WAY == "counts-characters" else rest) < length:
        more()
    body, rest = rest[:length], b"" if WAY == "drops-what-follows" else rest[length:]
    return body.decode()


call = {"jsonrpc": "2.0", "id": 7, "method": "add", "params": [str(A), str(B)] if WAY == "sends-texts" else [A, B]}
if WAY == "no-version":
    del call["jsonrpc"]
if WAY == "no-id":
    del call["id"]
text = json.dumps(call)
end = "\n\n" if WAY == "lf-header" else "\r\n\r\n"
conn.sendall(f"Content-Length: {len(text) + (2 if WAY == 'counts-too-much' else 0)}{end}{text}".encode())
if WAY == "computes-itself":
    print(A + B)
    sys.exit(0)
try:
    while True:
        body = read()
        if WAY == "searches-the-text":
            found = re.search(r'"result": ?(\d+)|"message": ?"([^"]*)"', body)
            if not found or '"id":8' in body:
                continue
            print(found.group(0))
            sys.exit(1 if '"error"' in body else 0)
        message = json.loads(body)
        if "method" in message and WAY != "takes-the-first":
            continue
        if message.get("id") is None and "error" in message:
            if WAY == "waits-for-its-id":
                continue
        elif message.get("id") != 7 and WAY not in ("any-id", "takes-the-first"):
            continue
        break
except (ValueError, TypeError, AttributeError):
    give_up("not a response")
if "error" in message and WAY != "ignores-errors":
    give_up("an error" if WAY == "hides-the-message" else message["error"]["message"])
print(message.get("result", "nothing"))
