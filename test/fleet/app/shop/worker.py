"""Does the shop's work: quotes, parcel routes and audits in this process, settlements as a task.

Logs as Synapse does: `time - logger - line number - level - request id - message`.
"""

import threading
import time

from shop import context, ledger, logs, parcels, pricing, settings, tasks, wire


DEFAULTS = {'order': 1000, 'amount': '118.90', 'currency': 'EUR', 'parcels': 3, 'export': False}


class Worker:
    def __init__(self, store_url, log):
        self._store_url = store_url
        self._log = log
        # a settlement is a process of its own; two at a time leave the node usable
        self._task_slots = threading.BoundedSemaphore(2)

    def serve(self, address):
        jobs = {
            'quote': self.quote,
            'route': self.route,
            'audit': self.audit,
            'settle': self.settle,
        }
        wire.JsonService({
            f'/jobs/{name}': self._logged(name, job) for name, job in jobs.items()
        }).serve(address)

    def quote(self, order):
        return 200, {'total': str(pricing.price_basket(order.get('items', 12), order['order']))}

    def route(self, order):
        return 200, {'stops': parcels.route_parcels(order.get('stops', 12), order['order'])}

    def audit(self, order):
        return 200, {'checksum': ledger.checksum_ledger(order['order'])}

    def settle(self, order):
        head = {name: order[name] for name in ('order', 'amount', 'currency')}
        wire.call(f'{self._store_url}/reserve', head)
        with self._task_slots:
            result = tasks.run_settlement(order)
        if result.failed:
            wire.call(f'{self._store_url}/release', head)
            self._log.error('settle failed order=%s exit=%s run=%s%s',
                            order['order'], result.exit_code, result.run or '-',
                            '\n' + result.stderr if result.stderr else '')
            return 500, {'error': f'settle failed: {result.last_line}', 'run': result.run}
        wire.call(f'{self._store_url}/orders', head)
        self._log.info('settled order=%s run=%s', order['order'], result.run or '-')
        return 200, {'settlement': result.output, 'run': result.run}

    def _logged(self, name, job):
        def run(body):
            order = with_defaults(body)
            self._log.info('received job %s order=%s', name, order['order'])
            started = time.monotonic()
            try:
                status, answer = job(order)
            except Exception as error:
                self._log.exception('job %s order=%s raised', name, order['order'])
                status, answer = 500, {'error': f'{name} failed: {error}'}
            milliseconds = (time.monotonic() - started) * 1000
            self._log.info('processed job %s order=%s status=%d in %.1fms',
                           name, order['order'], status, milliseconds)
            return status, answer

        return run


def with_defaults(body):
    """An order as the jobs expect it; what the caller left out is filled in."""
    return {**DEFAULTS, **body}


def main():
    log = logs.start('worker')
    with context.bound(None):
        log.info('worker %s listening, store at %s', settings.NODE, settings.store_url())
    Worker(settings.store_url(), log).serve(settings.listen_address())


if __name__ == '__main__':
    main()
