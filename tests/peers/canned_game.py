"""A server of the game that sends the same cookie, state and end, whatever arrives. PORT is in the environment."""
import os
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["PORT"])))
while True:
    data, client = sock.recvfrom(65536)
    if data[:3] == b"SG1":
        state = b"\0\0\0\1" b"\0\0\0\0" b"\1\1\0" b"\1\0\x0a\0\x0a\0\0\4anna\0\0\0\0"
        sock.sendto(b"SG1" + {1: b"\x0b12345678" if data[4:12] != b"12345678" else b"\x0c" + state}.get(data[3], b"\x0e"), client)
