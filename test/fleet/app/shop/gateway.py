"""The way in: gives each request its context id, picks a worker and logs the way pino does.

Every path takes an optional `worker` in its body, to ask for a certain one.
"""

import itertools
import threading

from shop import context, logs, settings, wire

PATHS = ('/settle', '/quote', '/route', '/audit')


class NoSuchWorker(Exception):
    pass


class Gateway:
    def __init__(self, workers, log):
        self._workers = workers
        self._log = log
        self._turns = itertools.cycle(sorted(workers))
        self._lock = threading.Lock()

    def serve(self, address):
        routes = {path: self._forward_to(path) for path in PATHS}
        wire.JsonService(
            routes, self._log_request, self._log_response, context.new_request_id).serve(address)

    def _forward_to(self, path):
        def forward(body):
            try:
                name, url = self._pick(body.get('worker'))
            except NoSuchWorker as error:
                return 400, self._answer(error=str(error))
            try:
                result = wire.call(f'{url}/jobs{path}', body)
            except wire.CallFailed as error:
                self._log.error(f'{name} failed {path}', exc_info=True,
                                extra={'fields': {'worker': name, 'upstreamStatus': error.status}})
                return 502, self._answer(worker=name, **error.body)
            return 200, self._answer(worker=name, **result)

        return forward

    def _pick(self, wanted):
        if wanted is None:
            with self._lock:
                wanted = next(self._turns)
        if wanted not in self._workers:
            raise NoSuchWorker(f'there is no worker {wanted!r}')
        return wanted, self._workers[wanted]

    def _answer(self, **body):
        return {'requestId': context.current(), **body}

    def _log_request(self, method, url):
        self._log.info('incoming request', extra={'fields': {'method': method, 'url': url}})

    def _log_response(self, method, url, status, milliseconds):
        fields = {'method': method, 'url': url, 'statusCode': status,
                  'responseTime': round(milliseconds, 1)}
        write = self._log.error if status >= 500 else self._log.info
        write('request errored' if status >= 500 else 'request completed', extra={'fields': fields})


def main():
    log = logs.start('gateway')
    workers = settings.worker_urls()
    log.info('gateway listening', extra={'fields': {'workers': sorted(workers)}})
    Gateway(workers, log).serve(settings.listen_address())


if __name__ == '__main__':
    main()
