"""Checks a day's ledger with a checksum over its lines (Adler-32, spelt out)."""

from ledgerfmt import ledger_line

LINES = 4500
MODULUS = 65521


def checksum_ledger(seed):
    low, high = 1, 0
    for number in range(LINES):
        for byte in ledger_line(number, (seed * (number + 11)) % 99991):
            low = (low + byte) % MODULUS
            high = (high + low) % MODULUS
    return f'{high:04x}{low:04x}'
