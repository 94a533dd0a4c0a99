"""Fixed-width lines of a ledger."""

__version__ = '0.3.1'


def ledger_line(number, cents):
    return f'{number:06d} {cents:>12d} {(number * 7) % 97:02d}\n'.encode('ascii')
