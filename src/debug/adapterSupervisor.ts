// What stands between the channel and a debug adapter on a node.

/**
 * A Python text (`python3 -I -S -c TEXT ARGV…`) that runs an adapter, hands it our stdin, and leaves none of
 * its processes behind: when the adapter ends, or does not end 1.5 s after our stdin has, everything it
 * started is killed. An adapter alone would only end its own debuggee's process group, and one that hangs
 * would not end at all.
 */
export const adapterSupervisor = `
import ctypes, os, select, signal, sys, time

GRACE_SECONDS = 1.5
KILL_SECONDS = 1.0

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def prctl(option, value):
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (AttributeError, OSError):
        pass  # not Linux


prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans of the adapter come to us
# A terminated supervisor does what it does when the channel closes.
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
DEFAULTS = {number: signal.getsignal(number) for number in ENDING}
for number in ENDING + (signal.SIGCHLD,):
    signal.signal(number, lambda *_: None)
wake, alarm = os.pipe()
os.set_blocking(wake, False)
os.set_blocking(alarm, False)
signal.set_wakeup_fd(alarm)
source, sink = os.pipe()
adapter = os.fork()
if adapter == 0:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in ENDING:
        signal.signal(number, DEFAULTS[number])
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(source, 0)
    for number in (wake, alarm, source, sink):
        os.close(number)
    for name in ('SIGPIPE', 'SIGXFSZ'):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        os.write(2, ('faultline: cannot start: %s: %s\\n' % (sys.argv[1], error.strerror)).encode())
    os._exit(97)
os.close(source)
os.set_blocking(sink, False)


def reap():
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == adapter:
            status = ended


def pump():
    """Hands stdin on until the adapter has ended (its status) or we are to (None)."""
    data = b''
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    while True:
        # A full pipe must not keep us from hearing that the channel has closed.
        poll.register(0, 0 if data else select.POLLIN)
        if data:
            poll.register(sink, select.POLLOUT)
        events = dict(poll.poll())
        if wake in events:
            signals = os.read(wake, 4096)
            status = reap()
            if status is not None or any(number in ENDING for number in signals):
                return status
        if data and sink in events:
            try:
                data = data[os.write(sink, data):]
            except BlockingIOError:
                pass
            except OSError:
                data = b''
            if not data:
                poll.unregister(sink)
        elif 0 in events:
            if data:
                return None
            data = os.read(0, 65536)
            if not data:
                return None


def descendants():
    children = {}
    try:
        entries = [entry for entry in os.listdir('/proc') if entry.isdigit()]
    except OSError:
        entries = []
    for entry in entries:
        try:
            with open('/proc/%s/stat' % entry, 'rb') as file:
                fields = file.read().rsplit(b')', 1)[1].split()
        except (OSError, IndexError):
            continue
        if fields[0] not in (b'Z', b'X'):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [os.getpid()]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def wait(seconds, status):
    until = time.monotonic() + seconds
    while status is None and time.monotonic() < until:
        time.sleep(0.02)
        status = reap()
    return status


status = pump()
os.close(sink)
if status is None:
    status = wait(GRACE_SECONDS, reap())
if status is None:
    try:
        os.killpg(adapter, signal.SIGKILL)
    except OSError:
        pass
until = time.monotonic() + KILL_SECONDS
while True:
    left = descendants()
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    ended = reap()
    status = status if ended is None else ended
    if not left or time.monotonic() > until:
        break
    time.sleep(0.02)
if status is None or os.WIFSIGNALED(status):
    os._exit(1)
os._exit(os.WEXITSTATUS(status))
`;
