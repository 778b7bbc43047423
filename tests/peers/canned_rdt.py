"""Sends three packets, or with a FILE that is not there yet acknowledges whatever comes, and exits with the code it is given."""
import os
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
PORT = int(os.environ["PORT"])
if sys.argv[1] == "receive":
    sock.bind(("127.0.0.1", PORT))
    sock.settimeout(None)
    sender = sock.recvfrom(2048)[1]
    with open(os.environ["FILE"], "w") as file:
        file.write("Hello, file!")
    for number in (1, 2, 3):
        sock.sendto(bytes([0, 0, 0, number, 0xFD, 0xFF - number, 2, 0]), sender)
        sock.recvfrom(2048)
    sys.exit(0)
for packet in (b"\0\0\0\0\x97\x99\0\0hi", b"\0\0\0\1\xfe\xfe\1\0"):
    sock.sendto(packet, (os.environ["HOST"], PORT))
sys.exit(int(sys.argv[1]))
