"""Asks for one file, writes one text and exits with one code, whatever the server sends. The argument is the code."""
import os
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server = os.environ["HOST"], int(os.environ["PORT"])
sock.sendto(b"\0\1file.bin\0octet\0", server)
sock.settimeout(1)
try:
    sock.sendto(b"\0\4\0\1", sock.recvfrom(2048)[1])
except socket.timeout:
    pass
with open(os.environ["FILE"], "w") as file:
    file.write("Hello, TFTP!")
sys.exit(int(sys.argv[1]))
