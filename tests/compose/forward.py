"""Lets containers reach a server that listens on the host's loopback only.

forward.py ADDRESS PORT TARGET_PORT: accepts on ADDRESS:PORT, a bridge's own address, and passes
bytes to and from 127.0.0.1:TARGET_PORT until it is ended.
"""

import asyncio
import contextlib
import sys


async def pump(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError, OSError):
        writer.write_eof()


async def main(address, port, target):
    async def serve(reader, writer):
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, back), pump(there, writer))
        back.close()
        writer.close()

    server = await asyncio.start_server(serve, address, port)
    async with server:
        await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
