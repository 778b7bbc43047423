"""The client of the first lab, as courses teach it. HOST and PORT are in the environment."""
import os
import socket

with socket.create_connection((os.environ["HOST"], int(os.environ["PORT"]))) as conn:
    conn.sendall(b"Hello from the client!")
    print("Received from server:", conn.recv(1024).decode())
