"""Small scanners for tests: an ICAP service (RFC 3507) and a clamd, each in a thread, with habits to choose."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = "Eicar-Test-Signature"


class IcapHandler(socketserver.StreamRequestHandler):
    """One connection; the server's `habit` says how it answers."""

    def handle(self):
        with contextlib.suppress(ConnectionError, ValueError):
            while self.one():
                pass

    def one(self):
        first = self.rfile.readline()
        if not first:
            return False
        headers = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.strip().lower().decode()] = value.strip().decode()
        method = first.split()[0].decode()
        self.server.asked.append((method, headers))
        if method == "OPTIONS":
            return self.options()
        return self.modify(method, headers)

    def say(self, status, *lines, body=b""):
        tag = [f'ISTag: "{self.server.tag}"'] if self.server.tag else []
        head = "\r\n".join([f"ICAP/1.0 {status}", *tag, *lines, "", ""])
        self.wfile.write(head.encode() + body)
        return True

    def options(self):
        habit = self.server.habit
        if habit == "silent":
            self.server.released.wait(30)
            return False
        if habit == "web":
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return False
        if habit == "gone":
            return False
        if habit == "missing":
            return self.say("404 Service not found")
        methods = "REQMOD" if habit == "other-method" else "RESPMOD, REQMOD"
        preview = [] if habit == "no-preview" else ["Preview: 16"]
        preview += ["Options-TTL: 3600"] if habit == "remembered" else []
        return self.say("200 OK", f"Methods: {methods}", "Allow: 204", *preview, "Encapsulated: null-body=0")

    def modify(self, method, headers):
        habit = self.server.habit
        parts = dict(part.strip().split("=") for part in headers["encapsulated"].split(","))
        self.http = self.rfile.read(int(parts["res-body" if method == "RESPMOD" else "req-body"]))
        body, ieof = self.chunks()
        if "preview" in headers and not ieof:
            if habit == "early":
                return self.say("204 No Content")
            self.say("100 Continue")
            if habit == "midway":
                self.rfile.read(10)
                self.infected()
                while self.rfile.read1(65536):  # as real ones do, so that the answer is not lost with the connection
                    pass
                return False
            if habit.startswith("streams"):
                return self.pass_on(body, habit)
            body += self.chunks()[0]
        self.server.seen.append(body)
        if habit == "broken":
            return self.say("500 Server error")
        if habit == "echo":
            return self.message(body)
        if habit == "changer":
            return self.message(body[:-1] + b"?")
        if EICAR in body:
            return self.infected()
        return self.say("204 No Content")

    def infected(self):
        named = f"X-Infection-Found: Type=0; Resolution=2; Threat={SIGNATURE};"
        blocked = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        body = blocked + b"2\r\nno\r\n0\r\n\r\n"
        return self.say("200 OK", named, f"Encapsulated: res-hdr=0, res-body={len(blocked)}", body=body)

    def message(self, body):
        headers = b"HTTP/1.1 200 OK\r\n\r\n"
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part)
        told = f"Encapsulated: res-hdr=0, res-body={len(headers)}"
        return self.say("200 OK", told, body=headers + chunks + b"0\r\n\r\n")

    def pass_on(self, body, habit):
        """Send back each chunk as it comes; as "streams-changed", "-more" or "-cut", not quite what came."""
        headers = b"HTTP/1.1 200 OK\r\n\r\n"
        self.say("200 OK", f"Encapsulated: res-hdr=0, res-body={len(headers)}", body=headers)
        data = body
        while data:
            self.wfile.write(b"%x;a=b\r\n%s\r\n" % (len(data), data))
            size = int(self.rfile.readline(), 16)
            data = self.rfile.read(size)
            body += data
            if size:
                self.rfile.read(2)
                data = data.swapcase() if habit == "streams-changed" else data
        self.server.seen.append(body)
        if habit == "streams-cut":
            return False
        self.wfile.write(b"0\r\n\r\n" if habit != "streams-more" else b"1\r\n.\r\n0\r\n\r\n")
        return True

    def chunks(self):
        body = b""
        while True:
            line = self.rfile.readline().strip()
            size = int(line.split(b";")[0], 16)
            if size == 0:
                self.rfile.readline()
                return body, b"ieof" in line
            body += self.rfile.read(size)
            self.rfile.read(2)


class ClamdHandler(socketserver.StreamRequestHandler):
    """One INSTREAM."""

    def handle(self):
        if self.rfile.read(10) != b"zINSTREAM\0":
            return
        body = b""
        while size := struct.unpack(">I", self.rfile.read(4))[0]:
            if self.server.habit == "limit":
                self.wfile.write(b"INSTREAM size limit exceeded. ERROR\0")
                return
            body += self.rfile.read(size)
        self.server.seen.append(body)
        self.wfile.write(f"stream: {SIGNATURE} FOUND\0".encode() if EICAR in body else b"stream: OK\0")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextlib.contextmanager
def running_scanner(handler=IcapHandler, habit=""):
    """Run one on a free port; yield it, with `address`, what it was `asked` and the bodies that it has `seen`."""
    with _Server(("127.0.0.1", 0), handler) as server:
        server.habit, server.asked, server.seen, server.released = habit, [], [], threading.Event()
        server.tag = ""
        server.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
