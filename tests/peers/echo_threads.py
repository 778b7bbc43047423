"""A correct echo server, with one thread for each client."""
import os
import socketserver


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    with Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Echo) as server:
        print("listening on %s:%d" % server.server_address, flush=True)
        server.serve_forever()
