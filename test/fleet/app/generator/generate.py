"""Load for the demo fleet: about two requests a second, the same sequence for the same seed.

    python3 generate.py http://10.231.3.11:7461 [--after URL]… [--rate 2] [--seed 7]

Waits for the services named by --after. The first requests are scripted, so that a fresh fleet soon
shows one failure of each kind.
"""

import argparse
import json
import random
import threading
import time
import urllib.error
import urllib.request

# weights: a settlement costs a process of its own, so it is the rarest
PATHS = {'/quote': 45, '/route': 22, '/audit': 18, '/settle': 15}
CURRENCIES = ['EUR', 'EUR', 'USD', 'JPY']
OPENING = [
    ('/quote', {'order': 1001}),
    ('/settle', {'order': 1002, 'worker': 'work-1'}),
    ('/settle', {'order': 1003, 'worker': 'work-2', 'currency': 'JPY', 'amount': '15800'}),
    ('/settle', {'order': 1004, 'worker': 'work-3', 'export': True}),
]
IN_FLIGHT = 4

# a proxy named in the environment is not for calls between nodes
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def requests(seed):
    """An endless, repeatable sequence of (path, body)."""
    yield from OPENING
    chance = random.Random(seed)
    order = 1100
    while True:
        order += 1
        path = chance.choices(list(PATHS), PATHS.values())[0]
        body = {'order': order}
        if path == '/settle':
            body['currency'] = chance.choice(CURRENCIES)
            body['export'] = chance.random() < 0.25
            body['amount'] = str(chance.randrange(900, 90000) / 100)
            body['parcels'] = chance.randrange(2, 6)
            if body['currency'] == 'JPY':
                body['amount'] = str(chance.randrange(900, 90000))
        yield path, body


def wait_for(url):
    while True:
        try:
            with _opener.open(f'{url}/health', timeout=2):
                return
        except OSError:
            time.sleep(0.1)


def send(url, body, slots):
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {'Content-Type': 'application/json'})
    try:
        with _opener.open(request, timeout=40):
            pass
    except urllib.error.HTTPError as error:
        error.close()  # a failing request is part of the show
    except OSError:
        pass  # the gateway restarts: the next request finds it again
    finally:
        slots.release()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('gateway')
    parser.add_argument('--after', action='append', default=[])
    parser.add_argument('--rate', type=float, default=2.0)
    parser.add_argument('--seed', type=int, default=7)
    options = parser.parse_args()
    for url in [options.gateway, *options.after]:
        wait_for(url)
    slots = threading.BoundedSemaphore(IN_FLIGHT)
    pauses = random.Random(options.seed + 1)
    for path, body in requests(options.seed):
        slots.acquire()
        threading.Thread(
            target=send, args=(options.gateway + path, body, slots), daemon=True).start()
        time.sleep(min(2.0, pauses.expovariate(options.rate)))


if __name__ == '__main__':
    main()
