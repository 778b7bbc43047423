"""The load of `deno task bench` for SMTP with TLS: mails on some connections at a time, each with STARTTLS.

    load_smtp.py PORT CONNECTIONS SIZE SECONDS

Prints how many mails were taken, and in how many seconds. The certificate is not checked: it is the bench's own.
"""
import smtplib
import ssl
import sys
import threading
import time

port, connections, size, seconds = [float(arg) for arg in sys.argv[1:]]
mail = b"Subject: load\r\n\r\n" + (b"x" * 70 + b"\r\n") * (int(size) // 72)
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
sent = [0] * int(connections)
failures = []
start = 0.0


def begin():
    global start
    start = time.monotonic()


ready = threading.Barrier(int(connections), begin)  # time counts from when all have their connection


def send(i):
    try:
        with smtplib.SMTP("127.0.0.1", int(port), "client.example") as client:
            client.starttls(context=context)
            client.ehlo()
            ready.wait()
            while time.monotonic() < start + seconds:
                client.sendmail("a@example.com", ["b@example.com"], mail)
                sent[i] += 1
    except (OSError, smtplib.SMTPException, threading.BrokenBarrierError) as error:
        failures.append(error)
        ready.abort()


threads = [threading.Thread(target=send, args=(i,)) for i in range(int(connections))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failures:
    sys.exit(f"a mail was not taken: {failures[0]}")
print(sum(sent), time.monotonic() - start)
