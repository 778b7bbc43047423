"""A correct mail server with asyncio. It listens on ::, which also takes IPv4, logs, and offers no extension. The arguments are
the folder for the mails and the port."""
import asyncio
import itertools
import os
import re
import socket
import sys

FOLDER, PORT = sys.argv[1], int(sys.argv[2])
NUMBERS = itertools.count(1)
ADDRESS = r'<(?:(?:[^\s<>@"]+|"(?:[^"\\]|\\.)*")@[^\s<>@]+)>'


class Closed(Exception):
    pass


async def line_of(reader, writer):
    while True:
        try:
            return (await reader.readuntil(b"\r\n"))[:-2]
        except asyncio.IncompleteReadError:
            raise Closed
        except asyncio.LimitOverrunError as error:
            while True:  # skip the rest of the line
                await reader.readexactly(error.consumed)
                try:
                    await reader.readuntil(b"\r\n")
                    break
                except asyncio.LimitOverrunError as again:
                    error = again
                except asyncio.IncompleteReadError:
                    raise Closed
            writer.write(b"500 line too long\r\n")


async def content_of(reader, writer):
    lines = []
    while (line := await line_of(reader, writer)) != b".":
        lines.append(line.removeprefix(b"."))
    return b"".join(line + b"\r\n" for line in lines)


async def serve(reader, writer):
    def say(text):
        print(peer, "<", text)
        writer.write(f"{text}\r\n".encode())

    peer = writer.get_extra_info("peername")[1]
    greeted, sender, recipients = False, None, []
    try:
        say("220 asyncio at your service")
        while True:
            await writer.drain()
            line = (await line_of(reader, writer)).decode("utf-8", "replace")
            print(peer, ">", line[:80])
            verb, argument = line[:4].upper(), line[5:]
            if re.fullmatch(r"(?:EHLO|HELO) .+", line, re.I):
                greeted, sender, recipients = True, None, []
                say("250 hello")
            elif verb == "MAIL" and greeted and sender is None:
                if not re.fullmatch(rf"FROM:(?:{ADDRESS}|<>)(?: .*)?", argument, re.I):
                    say("501 write MAIL FROM:<address>")
                elif not re.fullmatch(r"FROM:\S*(?:\".*\"\S*)?", argument, re.I):
                    say("555 no parameter is known here")
                else:
                    sender = argument
                    say("250 sender noted")
            elif verb == "RCPT" and sender is not None:
                if re.fullmatch(rf"TO:(?:{ADDRESS}|<postmaster>)", argument, re.I):
                    recipients.append(argument)
                    say("250 recipient noted")
                else:
                    say("501 write RCPT TO:<address>")
            elif verb == "DATA" and recipients:
                say("354 go on")
                content = await content_of(reader, writer)
                if re.search(rb"\r(?!\n)|(?<!\r)\n", content):
                    say("554 a CR or LF alone in the mail")
                else:
                    path = os.path.join(FOLDER, f"{next(NUMBERS):05}.eml")
                    with open(path, "wb") as file:
                        file.write(content)
                    say("250 kept")
                sender, recipients = None, []
            elif verb in ("MAIL", "RCPT", "DATA"):
                say("503 not now")
            elif verb == "RSET":
                sender, recipients = None, []
                say("250 forgotten")
            elif verb == "NOOP":
                say("250 nothing done")
            elif verb == "VRFY":
                say("252 send it and see")
            elif verb == "QUIT":
                say("221 so long")
                await writer.drain()
                return
            else:
                say("500 what?")
    except (Closed, OSError):
        print(peer, "is gone")
    finally:
        writer.close()


async def main():
    both = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    server = await asyncio.start_server(serve, sock=both)
    print("mails go to", FOLDER)
    async with server:
        await server.serve_forever()


asyncio.run(main())
