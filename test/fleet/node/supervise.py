"""What starts, keeps and ends the processes of one demo node: PID 1 of its namespaces, or in
loopback mode the parent of everything the node runs.

    /usr/bin/python3 supervise.py SPEC.json        (fleet.ts writes the spec and holds our stdin)

It says one JSON event a line on stdout (`mounted`, `ready`, or `failed` with a message) and is told
`go` on stdin once the node has its network. Stdin is also the lifeline: when it ends, because the
one who started the fleet stopped or was killed, the node ends with every process in it. The line
`keep` cuts that tie.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

import enter

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
RESTART_SECONDS = 1.0
_libc = ctypes.CDLL(None)


class Lifeline:
    """Lines of stdin; `ended` once it is closed and nobody asked us to stay."""

    def __init__(self):
        self.ended = False
        self.watched = True
        self._pending = b''

    def wait_for(self, word):
        while not self.ended:
            if word in self.read_words():
                return
        sys.exit(0)

    def read_words(self):
        data = os.read(0, 4096)
        if not data:
            self.watched = False
            self.ended = True
        *lines, self._pending = (self._pending + data).split(b'\n')
        return [line.decode('ascii', 'replace') for line in lines]

    def on_readable(self):
        if 'keep' in self.read_words():
            self.watched = False


class Processes:
    """sshd and the services: started, started again when they end, reaped."""

    def __init__(self, spec, status):
        self._spec = spec
        self._status = status
        self._running = {}
        self._due = {}
        for service in [spec['sshd'], *spec['services']]:
            self._start(service)
        self._publish()

    def reap(self):
        ended = False
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            service = self._running.pop(pid, None)
            if service:
                self._due[service['name']] = (time.monotonic() + RESTART_SECONDS, service)
                ended = True
        if ended:
            self._publish()

    def restart_due(self):
        """Starts what is due; returns the seconds until the next, or None."""
        now = time.monotonic()
        due = [service for when, service in self._due.values() if when <= now]
        for service in due:
            del self._due[service['name']]
            self._start(service)
        if due:
            self._publish()
        return min((when - now for when, _ in self._due.values()), default=None)

    def services(self):
        return [{'name': service['name'], 'pid': pid}
                for pid, service in self._running.items() if service['name'] != 'sshd']

    def _start(self, service):
        user = {} if service['name'] == 'sshd' else enter.user_of(self._spec)
        process = subprocess.Popen(
            service['argv'], cwd=service['cwd'], env=service['env'], stdin=subprocess.DEVNULL,
            stdout=sys.stderr, stderr=sys.stderr, start_new_session=True, umask=0o022,
            preexec_fn=end_with_parent, **user)
        self._running[process.pid] = service
        # reap() waits for all children; a Popen that is dropped unwaited would complain
        process.returncode = 0

    def _publish(self):
        """`services.json` in the node's directory, which outside tells the present pids."""
        data = json.dumps(self.services()).encode()
        file = os.open('services.json.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644,
                       dir_fd=self._status)
        os.write(file, data)
        os.close(file)
        os.rename('services.json.new', 'services.json', src_dir_fd=self._status,
                  dst_dir_fd=self._status)


def end_with_parent():
    """In the child before exec: should the supervisor be killed, the kernel ends its services."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def say(event, **about):
    try:
        os.write(1, json.dumps({'event': event, **about}).encode() + b'\n')
    except BrokenPipeError:
        pass  # who started us is gone; the lifeline says the same


def descendants(ancestor):
    children = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/stat', 'rb') as file:
                    parent = int(file.read().rpartition(b')')[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, left = [], [ancestor]
    while left:
        for pid in children.get(left.pop(), []):
            found.append(pid)
            left.append(pid)
    return found


def end_all():
    """Kills every process below this one. Orphans come to us (subreaper), so none can slip away."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        pids = descendants(os.getpid())
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.01)


def wait_until_told_to_end(lifeline, processes):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    stop = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.append(True))
    while not stop and not lifeline.ended:
        timeout = None
        if processes:
            processes.reap()
            timeout = processes.restart_due()
        watched = [read_end] + ([0] if lifeline.watched else [])
        readable, _, _ = select.select(watched, [], [], timeout)
        if read_end in readable:
            os.read(read_end, 4096)
        if 0 in readable:
            lifeline.on_readable()


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        spec = json.load(file)
    status = os.open(spec['directory'], os.O_RDONLY | os.O_DIRECTORY)
    # before /proc is our own, it tells the pid by which the outside knows us
    outside_pid = int(os.readlink('/proc/self'))
    if spec['role'] == 'node' and spec['namespaces']:
        enter.mount_own_directories(spec)
    elif spec['role'] == 'node':
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    say('mounted', pid=outside_pid)
    lifeline = Lifeline()
    lifeline.wait_for('go')
    processes = None
    semaphore = spec.get('faketimeName')
    try:
        if spec['role'] == 'node':
            enter.finish(spec)
            processes = Processes(spec, status)
        say('ready', services=processes.services() if processes else [])
        wait_until_told_to_end(lifeline, processes)
    finally:
        end_all()
        if semaphore:
            enter.remove_faketime_memory(semaphore)


if __name__ == '__main__':
    try:
        main()
    except Exception as error:
        say('failed', message=f'{type(error).__name__}: {error}')
        raise
