"""Runs a settlement as a process of its own, under Faultline's recorder where the node has it."""

import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import dataclass

from shop import context, settings

RECORDER = os.environ.get('FAULTLINE_PROBE', '/opt/faultline/faultline_probe.py')
TIMEOUT_SECONDS = 30
_RUN_LINE = re.compile(r'^faultline: run (r-\S+)\s*$', re.MULTILINE)
_log = logging.getLogger('shop.tasks')


@dataclass(frozen=True)
class TaskResult:
    exit_code: int
    run: str  # the run record's id; None without the recorder
    output: object  # what the task printed as JSON; None when it printed nothing of the kind
    stderr: str  # without the recorder's own line

    @property
    def failed(self):
        return self.exit_code != 0 or self.output is None

    @property
    def last_line(self):
        return self.stderr.rsplit('\n', 1)[-1]


def settle_command(order):
    command = [
        sys.executable, '-m', 'shop.settle',
        '--order', str(order['order']),
        '--amount', str(order['amount']),
        '--currency', str(order['currency']),
        '--parcels', str(order['parcels']),
    ]
    return command + ['--export'] if order['export'] else command


def recorded(command):
    if not os.path.exists(RECORDER):
        return command
    request_id = context.current()
    about = ['--context', request_id] if request_id else []
    return ['python3', RECORDER, 'run', *about, '--', *command]


def run_settlement(order):
    command = recorded(settle_command(order))
    _log.info('starting task settle order=%s', order['order'])
    done = subprocess.run(command, cwd=settings.HOME, stdin=subprocess.DEVNULL, capture_output=True,
                          encoding='utf-8', errors='replace', timeout=TIMEOUT_SECONDS)
    runs = _RUN_LINE.findall(done.stderr)
    return TaskResult(
        exit_code=done.returncode,
        run=runs[-1] if runs else None,
        output=_result(done.stdout),
        stderr=_RUN_LINE.sub('', done.stderr).strip(),
    )


def _result(stdout):
    try:
        return json.loads(stdout)
    except ValueError:
        return None
