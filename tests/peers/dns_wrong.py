"""A DNS server, one thread a TCP client: correct, or wrong in one way. HOST, PORT and ZONE (a file, one record a line) are in the
environment; the argument is the way."""
import os, shlex, socket, socketserver, struct, sys, threading

WAY = sys.argv[1] if __name__ == "__main__" else "correct"
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "OPT": 41,
         "ANY": 255, "CAA": 257}
NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 3, 4, 5, 16


class Malformed(Exception):
    pass


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def wire_data(kind, words):
    if kind == "A":
        return socket.inet_aton(words[0])
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, words[0])
    if kind in ("NS", "CNAME", "PTR"):
        return wire_name(words[0])
    if kind == "MX":
        return (b"" if WAY == "mx-without-preference" else struct.pack(">H", int(words[0]))) + wire_name(words[1])
    if kind == "SRV":
        return struct.pack(">HHH", *map(int, words[:3])) + wire_name(words[3])
    if kind == "SOA":
        return wire_name(words[0]) + wire_name(words[1]) + struct.pack(">IIIII", *map(int, words[2:]))
    if kind == "TXT":
        if WAY == "txt-without-length":
            return "".join(words).encode()
        return b"".join(bytes([len(word)]) + word.encode() for word in words)
    if kind == "CAA":
        return bytes([int(words[0]), len(words[1])]) + words[1].encode() + words[2].encode()
    return bytes.fromhex("".join(words[2:]))  # \# LENGTH HEX


def load(path):
    """The zone: for each name, in lower case, its records as (type, TTL, data, owner as written)."""
    zone = {}
    with open(path) as file:
        for line in file:
            words = shlex.split(line.replace("\\#", "#"), comments=False)
            if not words or words[0].startswith(";"):
                continue
            owner, ttl, _, kind, *data = words
            number = TYPES[kind] if kind in TYPES else int(kind[4:])
            record = (number, int(ttl), wire_data(kind, ["#", *data[1:]] if data[0] == "#" else data), data)
            zone.setdefault(owner.lower(), []).append(record)
    return zone


ZONE = load(os.environ["ZONE"])
ORIGIN = next(name for name, records in ZONE.items() if any(kind == 6 for kind, *_ in records))


def exists(name):
    return any(owner == name or owner.endswith("." + name) for owner in ZONE)


def find(name, kind, answers, seen):
    """Adds the records of `name` to the answers; returns the code, the authority section, and whether the answer is our own."""
    if not (name == ORIGIN or name.endswith("." + ORIGIN)):
        return (NOERROR, [], True) if answers else (NXDOMAIN if WAY == "nxdomain-elsewhere" else REFUSED, [], False)
    parts = name[:-len(ORIGIN)].rstrip(".").split(".") if name != ORIGIN else []
    for i in range(len(parts) - 1, -1, -1):  # a zone cut on the way?
        cut = ".".join(parts[i:]) + "." + ORIGIN
        servers = [(cut, *record) for record in ZONE.get(cut, []) if record[0] == 2]
        if servers and WAY != "no-delegations":
            return NOERROR, servers, bool(answers)
    soa = [] if WAY == "no-soa" else [(ORIGIN, 6, min(ttl, int(words[-1])) if WAY != "soa-ttl" else ttl, data, words)
                                      for number, ttl, data, words in ZONE[ORIGIN] if number == 6]
    owner, records = name, ZONE.get(name)
    if records is None and exists(name) and WAY != "forgets-the-empty":
        return NOERROR, soa, True
    if records is None and WAY != "no-wildcards":
        rest = name
        while records is None and rest != ORIGIN:
            rest = rest.split(".", 1)[1]
            records = ZONE.get("*." + rest)
            if exists(rest) and WAY != "wildcards-anywhere":
                break
        owner = "*." + rest if WAY == "wildcard-owner" else name
    if records is None:
        return NOERROR if WAY == "noerror-for-all" else NXDOMAIN, soa, True
    for number, ttl, data, words in records:
        if number == 5 and kind not in (5, 255):
            answers.append((owner, number, ttl, data, words))
            target = words[0].lower()
            if WAY == "no-chains" or target in seen:
                return NOERROR, [], True
            return find(target, kind, answers, seen | {target})
    found = [(owner, *record) for record in records if record[0] == kind or kind == 255]
    if WAY == "ignores-the-type":
        found = [(owner, *record) for record in records]
    if WAY == "one-answer":
        found = found[:1]
    answers.extend(found)
    code = NXDOMAIN if WAY == "nxdomain-for-no-data" and not found else NOERROR
    return code, [] if found else soa, True


def read_question(packet):
    """The question, its bytes, and whether there is an OPT record, with its size and version."""
    if len(packet) < 12:
        raise Malformed
    questions, answers, authority, additional = struct.unpack(">HHHH", packet[4:12])
    at, labels = 12, []
    try:
        while packet[at]:
            size = packet[at]
            if size > 63:
                raise Malformed
            labels.append(packet[at + 1:at + 1 + size].decode("latin1"))
            at += 1 + size
        kind, _ = struct.unpack(">HH", packet[at + 1:at + 5])
    except (IndexError, struct.error):
        raise Malformed
    at += 5
    edns = None
    try:
        for _ in range(answers + authority + additional):
            if packet[at]:
                raise Malformed
            number, size, _, version, _, length = struct.unpack(">HHBBHH", packet[at + 1:at + 11])
            at += 11 + length
            if number == 41:
                edns = size, version
    except (IndexError, struct.error):
        raise Malformed
    if questions != 1 or at != len(packet):
        raise Malformed
    return ".".join(labels) + ".", kind, packet[12:12 + len(wire_name(".".join(labels))) + 4], edns


def record_bytes(record, name):
    owner, number, ttl, data, _ = record
    # The owner is a pointer to the question where it is the same name.
    written = b"\xc0\x0c" if owner.lower() == name.lower() and WAY != "no-question" else wire_name(owner)
    ttl = struct.pack("<I" if WAY == "little-endian-ttl" else ">I", ttl)
    return written + struct.pack(">HH", number, 1) + ttl + struct.pack(">H", len(data)) + data


def respond(packet, udp):
    """The response to a query; None when there is none."""
    if len(packet) < 12:
        if WAY == "dies-on-garbage":
            os._exit(1)
        return None
    if packet[2] & 0x80 and WAY != "answers-answers":
        return None
    ident = b"\0\x07" if WAY == "fixed-id" else packet[:2]
    opcode = packet[2] >> 3 & 15

    def header(code, counts, bits=0):
        flags = 0x8000 | opcode << 11 | bits | (packet[2] & 1) << 8 | code & 15
        return ident + struct.pack(">HHHHH", flags, *counts)

    if opcode != 0 and WAY != "any-opcode":
        return header(NOTIMP, (0, 0, 0, 0))
    try:
        name, kind, question, edns = read_question(packet)
    except Malformed:
        return None if WAY == "silent-when-malformed" else header(FORMERR, (0, 0, 0, 0))
    if WAY == "no-edns":
        edns = None
    if WAY == "always-edns":
        edns = edns or (512, 0)
    opt = lambda code: b"\0" + struct.pack(">HHBBHH", 41, 1232, code >> 4, 0, 0, 0) if edns else b""
    if edns and edns[1] > 0 and WAY != "any-version":
        return header(BADVERS, (1, 0, 0, 1)) + question + opt(BADVERS)
    answers = []
    known = name if WAY == "minds-the-case" else name.lower()
    if WAY == "minds-the-case" and known != known.lower():
        code, authority, own = NXDOMAIN, [], True
    elif kind == 255 and WAY == "nothing-for-any":
        code, authority, own = NXDOMAIN, [], True
    else:
        code, authority, own = find(known, kind, answers, {known})
    # The servers of a delegation need their addresses: glue.
    extra = [(words[0], *record) for _, number, _, _, words in authority if number == 2
             for record in ZONE.get(words[0].lower(), []) if record[0] in (1, 28)] if WAY != "no-glue" else []
    if WAY == "lower-case":
        question = question[:-4].lower() + question[-4:]
    if WAY == "no-question":
        question = b""
    body = lambda records: b"".join(record_bytes(record, name) for record in records)
    bits = 0x400 if own and WAY != "not-authoritative" else 0
    if WAY == "always-authoritative":
        bits = 0x400
    counts = (1 if question else 0, len(answers), len(authority), len(extra) + (1 if edns else 0))
    if WAY == "wrong-counts":
        counts = (counts[0], counts[1] + 1, counts[2], counts[3])
    whole = header(code, counts, bits) + question + body(answers) + body(authority) + body(extra) + opt(0)
    if udp and WAY != "never-truncates" and len(whole) > max(512, min(1232, edns[0] if edns else 512)):
        if WAY == "cuts-silently":
            return whole[:512]
        return header(code, (counts[0], 0, 0, 1 if edns else 0), bits | 0x200) + question + opt(0)
    return whole


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        self.request.settimeout(60)
        try:
            while len(size := self.rfile.read(2)) == 2:
                packet = self.request.recv(512) if WAY == "reads-once" else self.rfile.read(struct.unpack(">H", size)[0])
                reply = respond(packet, False)
                if reply is None:
                    return
                self.wfile.write((b"" if WAY == "no-length-on-tcp" else struct.pack(">H", len(reply))) + reply)
                if WAY == "one-a-connection":
                    return
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 5


if __name__ == "__main__":
    address = os.environ["HOST"], int(os.environ["PORT"])
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(address)
    if WAY != "no-tcp":
        stream = Server(address, Stream)
        threading.Thread(target=stream.serve_forever, daemon=True).start()
    while True:
        packet, client = datagrams.recvfrom(4096)
        reply = respond(packet, True)
        if reply is not None:
            datagrams.sendto(reply, client)
            if WAY == "answers-twice":
                datagrams.sendto(reply, client)
