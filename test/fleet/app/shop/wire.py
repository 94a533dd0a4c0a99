"""JSON over HTTP between the services: a server with a table of routes, and a function to call."""

import json
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shop import context

MAX_BODY_BYTES = 64 * 1024


class CallFailed(Exception):
    """Another service answered with an error, or not at all (status 0)."""

    def __init__(self, url, status, body):
        self.url, self.status, self.body = url, status, body
        super().__init__(body.get('error') or f'{url} answered {status}')


def call(url, body, timeout=40):
    """POSTs `body`, hands the current context id on, and returns the answer's body."""
    headers = {'Content-Type': 'application/json'}
    if context.current():
        headers[context.HEADER] = context.current()
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with _opener.open(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise CallFailed(url, error.code, _read_json(error)) from None
    except OSError as error:
        raise CallFailed(url, 0, {'error': f'{url} did not answer: {error}'}) from None


# a proxy named in the environment is not for calls between nodes
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _read_json(stream):
    try:
        return json.load(stream)
    except ValueError:
        return {}


class JsonService:
    """Serves `routes`: path → function(body) returning (status, body).

    `on_request(method, url)` and `on_response(method, url, status, milliseconds)` are for an access
    log; `new_context()` gives the id of a request that came without one.
    """

    def __init__(self, routes, on_request=None, on_response=None, new_context=None):
        self.routes = {'/health': lambda body: (200, {'status': 'ok'}), **routes}
        self.on_request = on_request or (lambda *args: None)
        self.on_response = on_response or (lambda *args: None)
        self.new_context = new_context or (lambda: None)

    def serve(self, address):
        ThreadingHTTPServer.daemon_threads = True
        ThreadingHTTPServer(address, self._handler()).serve_forever()

    def _handler(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 60

            def do_GET(self):
                is_known = self.path == '/health'
                self._respond(*service.answer(self.path, {}) if is_known else _NOT_FOUND)

            def do_POST(self):
                sent = context.accepted(self.headers.get(context.HEADER))
                with context.bound(sent or service.new_context()):
                    self._answer_logged()

            def _answer_logged(self):
                started = time.monotonic()
                service.on_request(self.command, self.path)
                status, body = service.answer(self.path, self._body())
                service.on_response(
                    self.command, self.path, status, (time.monotonic() - started) * 1000)
                self._respond(status, body)

            def _body(self):
                length = int(self.headers.get('Content-Length') or 0)
                if not 0 <= length <= MAX_BODY_BYTES:
                    return None
                try:
                    body = json.loads(self.rfile.read(length) or b'{}')
                except ValueError:
                    return None
                return body if isinstance(body, dict) else None

            def _respond(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                if context.current():
                    self.send_header(context.HEADER, context.current())
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                """The services write their own access lines."""

        return Handler

    def answer(self, path, body):
        route = self.routes.get(path)
        if route is None:
            return _NOT_FOUND
        if body is None:
            return 400, {'error': 'the body is not a JSON object'}
        return route(body)


_NOT_FOUND = 404, {'error': 'no such path'}
