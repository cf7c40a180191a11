"""A mail server for tests. It keeps every mail it was given, read by Python's own library, and misbehaves as it is told.

post_office.py PORT FOLDER [--tls starttls|implicit] [--login USER:PASSWORD] [--mode MODE]

Addresses decide too: `gone@` is unknown (550), `grey@` comes at the second attempt (451), `full@` never (452).
Modes: ok, drop (hangs up after the mail, having kept it), silent (says nothing), slow (says a letter a second),
       busy (421 to the sender), spam (554 to the mail), later (451 to the first mail).
"""

import argparse
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

arguments = argparse.ArgumentParser()
arguments.add_argument("port", type=int)
arguments.add_argument("folder")
arguments.add_argument("--tls")
arguments.add_argument("--login")
arguments.add_argument("--mode", default="ok")
arguments = arguments.parse_args()


def addresses(header):
    return [str(address.addr_spec) for address in header.addresses] if header else []


def read(data):
    """All of a mail, by a reader that forgives nothing."""
    mail = email.message_from_bytes(data, policy=email.policy.strict)
    parts = [part for part in mail.walk() if not part.is_multipart()]
    for part in mail.walk():
        if part.defects:
            raise ValueError(part.defects)
    return {
        "headers": [[name, str(value)] for name, value in mail.items()],
        "to": addresses(mail["to"]),
        "from": addresses(mail["from"]),
        "type": mail.get_content_type(),
        "parts": [{"type": part.get_content_type(), "content": part.get_content()} for part in parts],
        "longest_line": max(len(line) for line in data.split(b"\r\n")),
        "ascii": data.isascii(),
    }


class Clerk:
    seen = set()
    kept = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        if arguments.mode == "busy":
            return "421 too many guests"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "gone":
            return "550 5.1.1 nobody of that name"
        if name == "full":
            return "452 4.2.2 mailbox full"
        if name == "grey" and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if arguments.mode == "spam":
            return "554 5.7.1 looks like spam"
        if arguments.mode == "later" and "later" not in self.seen:
            self.seen.add("later")
            return "451 4.3.0 not now"
        data = envelope.content
        kept = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
            "login": session.auth_data.decode() if session.auth_data else None,
            "hello": session.host_name,
        }
        try:
            kept["mail"] = read(data)
        except Exception as error:  # whatever it is, the test must see it
            kept["error"] = repr(error)
        Clerk.kept += 1
        name = os.path.join(arguments.folder, f"{Clerk.kept:04}.json")
        with open(name + ".part", "w") as file:
            json.dump(kept, file)
        os.rename(name + ".part", name)
        if arguments.mode == "drop":
            server.transport.abort()
        return f"250 kept as {Clerk.kept}"


def login(server, session, envelope, mechanism, data):
    given = f"{data.login.decode()}:{data.password.decode()}"
    return AuthResult(success=given == arguments.login, handled=False, auth_data=data.login)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain("server.pem", "server.key")
    return made


def desk():
    more = {}
    if arguments.tls == "starttls":
        more.update(tls_context=context(), require_starttls=True)
    if arguments.login:
        more.update(authenticator=login, auth_required=True, auth_require_tls=arguments.tls == "starttls")
    return SMTP(Clerk(), hostname="post.example", **more)


async def silent(reader, writer):
    await asyncio.sleep(600)


async def slow(reader, writer):
    for letter in "220 " + "x" * 500:
        writer.write(letter.encode())
        await asyncio.sleep(1)


async def main():
    encrypted = context() if arguments.tls == "implicit" else None
    if arguments.mode in ("silent", "slow"):
        server = await asyncio.start_server({"silent": silent, "slow": slow}[arguments.mode], "127.0.0.1", arguments.port)
    else:
        server = await asyncio.get_running_loop().create_server(desk, "127.0.0.1", arguments.port, ssl=encrypted)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
sys.exit(0)
