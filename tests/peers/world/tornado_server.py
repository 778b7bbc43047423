"""Tornado's WebSocketHandler, as its documentation has it."""
import asyncio
import os

import tornado.web
import tornado.websocket


class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))

    def check_origin(self, origin):
        return True


async def main():
    tornado.web.Application([("/", Echo)]).listen(int(os.environ["PORT"]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
