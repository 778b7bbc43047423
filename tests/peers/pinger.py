"""A pinger over UDP: correct, or wrong in one way. HOST and PORT are in the environment; the argument is the way."""
import os
import socket
import sys
import time

way = sys.argv[1]
server = (os.environ["HOST"], int(os.environ["PORT"]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
lost = 0
for number in range(0 if way == "counts-from-0" else 1, 6 if way == "five-pings" else 11):
    start = time.monotonic()
    if way == "canned":
        print(f"Reply {number}: 0.1 ms")
        continue
    sock.sendto(f"Ping {number} {time.time()}".encode(), server)
    while True:
        sock.settimeout(None if way == "waits-forever" else max(0.001, start + 1 - time.monotonic()))
        try:
            reply = sock.recv(1024).decode()
        except socket.timeout:
            if way == "ends-at-a-loss":
                sys.exit(0)
            if way != "hides-losses":
                print(f"Ping {number}: Request timed out")
            lost += 1
            break
        if way == "any-reply" or reply.startswith(f"Ping {number} "):
            took = (time.monotonic() - start) * 1000
            print(f"Ping {number}: reply" if way == "no-time" else f"Ping {number}: {took:.2f} ms")
            break
if way != "no-summary":
    print(f"10 sent, {lost} lost" if way == "no-percent" else f"10 sent, {lost * 10}% loss")
