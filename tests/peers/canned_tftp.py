"""A TFTP server that knows one file and one block: whatever arrives, it sends these. PORT is in the environment."""
import os
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["PORT"])))
while True:
    data, client = sock.recvfrom(2048)
    sock.sendto(b"\0\5\0\1File not found\0" if b"missing" in data else b"\0\3\0\1Hello, TFTP!", client)
