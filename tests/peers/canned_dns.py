"""A DNS server that sends the same address whatever it is asked. HOST and PORT are in the environment."""
import os, socket, threading

address = os.environ["HOST"], int(os.environ["PORT"])


def reply(query):
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x01"
    return query[:2] + b"\x84\0\0\1\0\1\0\0\0\0" + query[12:] + answer


def stream(conn):
    with conn:
        query = conn.recv(65536)[2:]
        data = reply(query)
        conn.sendall(len(data).to_bytes(2, "big") + data)


def accept():
    listener = socket.create_server(address, backlog=50)
    while True:
        threading.Thread(target=stream, args=[listener.accept()[0]], daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(address)
while True:
    query, client = datagrams.recvfrom(4096)
    if len(query) > 12:
        datagrams.sendto(reply(query), client)
