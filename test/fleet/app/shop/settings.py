"""What a service reads from its environment, in one place."""

import os
import socket
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
NODE = os.environ.get('SHOP_NODE') or socket.gethostname()


def listen_address():
    """(host, port) of SHOP_LISTEN, e.g. `10.231.3.11:7461`."""
    host, _, port = os.environ.get('SHOP_LISTEN', '127.0.0.1:7461').rpartition(':')
    return host, int(port)


def store_url():
    return os.environ['SHOP_STORE_URL']


def worker_urls():
    """Name → URL, from SHOP_WORKERS=`work-1=http://…,work-2=http://…`."""
    pairs = os.environ['SHOP_WORKERS'].split(',')
    return dict(pair.split('=', 1) for pair in pairs)
