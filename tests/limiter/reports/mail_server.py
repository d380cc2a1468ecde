"""A mail server over real sockets: accepts mails, or refuses them as configured."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass(slots=True)
class MailServer:
    """``refuses``: address -> the code it is refused with. ``fails``: so many mails are refused for now, with 451."""

    port: int
    refuses: dict[str, int] = field(default_factory=dict)
    fails: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)


class Session(socketserver.StreamRequestHandler):
    """One conversation. Its class is made anew for each server, its ``data``."""

    data: MailServer

    def handle(self) -> None:
        self.say("220 tests")
        while line := self.rfile.readline().decode().strip():
            if not self.response(line):
                return

    def response(self, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        address = rest.partition("<")[2].partition(">")[0]
        match verb.upper():
            case "EHLO":
                self.say("250-tests\r\n250-AUTH PLAIN\r\n250 8BITMIME")
            case "AUTH":
                self.data.signed_in.append(rest)
                self.say("235 welcome")
            case "RCPT" if address in self.data.refuses:
                self.say(f"{self.data.refuses[address]} not here")
            case "DATA":
                self.take()
            case "QUIT":
                self.say("221 bye")
                return False
            case _:
                self.say("250 ok")
        return True

    def take(self) -> None:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        if self.data.fails:
            self.data.fails -= 1
            self.say("451 later")
            return
        found = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.data.mails.append(found)
        self.say("250 taken")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving() -> Iterator[MailServer]:
    kind: Any = type("SessionOfServer", (Session,), {})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as listener:
        listener.daemon_threads = True
        kind.data = server = MailServer(listener.server_address[1])
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
