"""A correct chat server with asyncio, slow to start. The port is the argument."""
import asyncio
import sys


class Chat(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.names, self.seen = {}, {}

    def tell(self, addr, line):
        self.transport.sendto(line.encode(errors="replace"), addr)

    def tell_others(self, addr, line):
        for other in self.names:
            if other != addr:
                self.tell(other, line)

    def datagram_received(self, data, addr):
        line = "".join(c if c.isprintable() else " " for c in data.decode(errors="replace").rstrip())
        self.names.setdefault(addr, "%s:%d" % addr)
        word, _, rest = line.partition(" ")
        command = getattr(self, "do_" + word[1:], None) if word.startswith("/") else None
        if command:
            command(addr, rest)
        elif line:
            for each in self.names:
                self.tell(each, f"{self.names[addr]}: {line}")

    def do_who(self, addr, _):
        self.tell(addr, "* here: " + ", ".join(sorted(self.names.values())))

    def do_name(self, addr, name):
        if name.casefold() in (other.casefold() for at, other in self.names.items() if at != addr):
            return self.tell(addr, f"* the name {name} is taken")
        old, self.names[addr] = self.names[addr], name
        self.seen.pop(addr, None)
        self.tell(addr, f"* you are {name}")
        self.tell_others(addr, f"* {old} is now {name}")

    def do_quit(self, addr, _):
        self.tell(addr, "* bye")
        name = self.names.pop(addr)
        self.tell_others(addr, f"* {name} left")

    def do_say(self, addr, rest):
        number, _, text = rest.partition(" ")
        if not number.isdecimal():
            return
        if number not in self.seen.setdefault(addr, set()):
            self.seen[addr].add(number)
            self.tell_others(addr, f"{self.names[addr]}: {text}")
        self.tell(addr, f"#{number} {self.names[addr]}: {text}")


async def main():
    await asyncio.sleep(0.5)
    await asyncio.get_running_loop().create_datagram_endpoint(Chat, ("127.0.0.1", int(sys.argv[1])))
    await asyncio.Event().wait()


asyncio.run(main())
