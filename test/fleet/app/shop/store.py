"""Keeps reservations and settled orders in one SQLite file, and logs in logfmt."""

import sqlite3
import threading
import time

from shop import logs, settings, wire

MAX_ROWS = 5000
SCHEMA = '''
create table if not exists orders (
  id integer primary key autoincrement, number integer, state text, amount text, currency text)
'''


class Store:
    def __init__(self, file, log):
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute('pragma journal_mode = wal')
        self._db.execute('pragma synchronous = off')
        self._db.execute(SCHEMA)
        self._lock = threading.Lock()
        self._log = log

    def serve(self, address):
        wire.JsonService({
            '/reserve': self.reserve,
            '/release': self.release,
            '/orders': self.settle,
        }).serve(address)

    def reserve(self, body):
        return self._write('reserved order', body, 'reserved')

    def release(self, body):
        return self._write('released order', body, 'released')

    def settle(self, body):
        return self._write('stored order', body, 'settled')

    def _write(self, message, body, state):
        started = time.monotonic()
        row = (body.get('order'), state, str(body.get('amount')), body.get('currency'))
        with self._lock:
            cursor = self._db.execute(
                'insert into orders (number, state, amount, currency) values (?, ?, ?, ?)', row)
            self._db.execute('delete from orders where id <= ?', (cursor.lastrowid - MAX_ROWS,))
        milliseconds = (time.monotonic() - started) * 1000
        write = self._log.warning if state == 'released' else self._log.info
        write(message, extra={'fields': {'order': row[0], 'dur': f'{milliseconds:.1f}ms'}})
        return 200, {'stored': cursor.lastrowid, 'state': state}


def main():
    log = logs.start('store')
    directory = settings.HOME / 'data'
    directory.mkdir(exist_ok=True)
    log.info('store listening', extra={'fields': {'file': directory / 'orders.db'}})
    Store(directory / 'orders.db', log).serve(settings.listen_address())


if __name__ == '__main__':
    main()
