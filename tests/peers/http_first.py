"""The web server of a first lab: forty lines, one client at a time, GET and nothing else. HOST, PORT and ROOT as in the sheet."""
import os
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((os.environ["HOST"], int(os.environ["PORT"])))
server.listen(1)

while True:
    print("Ready to serve...")
    conn, address = server.accept()
    try:
        message = conn.recv(1024).decode()
        print(message)
        name = message.split()[1]
        if name == "/":
            name = "/index.html"
        with open(os.environ["ROOT"] + name, "rb") as file:
            content = file.read()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n")
        conn.sendall(content)
    except (IOError, IndexError):
        conn.send(b"HTTP/1.1 404 Not Found\r\n\r\n")
        conn.send(b"<html><body><h1>404 Not Found</h1></body></html>\r\n")
    conn.close()
