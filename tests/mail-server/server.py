"""A mail server (aiosmtpd) on free ports of loopback, with and without TLS. Takes mail and says so.

Usage: server.py CERTIFICATE KEY. The first line of standard output names the ports, each later one is a mail that was
taken, all in JSON. Ends when standard input is closed. Logs in `rolecall` with the password `in-and-out`.
"""

import asyncio
import base64
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    """Refuses recipients by what their names say."""

    def __init__(self, listener):
        self.listener = listener

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "nobody":
            return "550 5.1.1 There is no such mailbox"
        if name == "later":
            return "450 4.2.1 The mailbox is busy"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        say({
            "listener": self.listener,
            "tls": server.transport.get_extra_info("cipher") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "hello": session.host_name,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "mail": base64.b64encode(envelope.original_content).decode(),
        })
        return "250 2.0.0 Queued as 4711"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"rolecall", b"in-and-out")
    return AuthResult(success=good, handled=False, auth_data=data)


async def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    log_in = {"authenticator": authenticate, "auth_required": True}
    listeners = {
        "starttls": ({"tls_context": context, "require_starttls": True, **log_in}, None),
        "implicit": ({"auth_require_tls": False, **log_in}, context),
        "plain": ({}, None),
    }
    ports = {}
    for name, (options, tls) in listeners.items():
        def protocol(name=name, options=options):
            return SMTP(Handler(name), hostname="localhost", **options)
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
        ports[name] = server.sockets[0].getsockname()[1]
    say(ports)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
