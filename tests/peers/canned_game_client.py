"""Sends one join, one input and one leave, prints a score and exits with one code, whatever the server sends. The argument is
the code."""
import os
import socket
import sys
import time

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server = os.environ["HOST"], int(os.environ["PORT"])
for rest in (b"\1" + bytes(8) + b"\4anna", b"\2" + bytes(8) + b"\0\0\0\1\1\2", b"\3" + bytes(8)):
    sock.sendto(b"SG1" + rest, server)
    time.sleep(0.1)
print("anna 1")
sys.exit(int(sys.argv[1]))
