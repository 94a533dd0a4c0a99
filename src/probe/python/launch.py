"""Starts one program on a node exactly as a plan says: directory, environment, umask, limits.

Sent over SSH on stdin to `python3 -c BOOTSTRAP`; then reads ONE JSON line, the plan, from stdin:

    {"argv": [...], "cwd": "...", "env": {NAME: value}, "umask": "0022",
     "limits": {"nofile": [soft, hard]},   soft limits are set, as far as the hard ones allow
     "mode": "run" | "exec" | "adapter",
     "stdin": "null" | "inherit",          default "null"; an adapter always inherits
     "inheritEnv": false,                  true: env is added to the environment we were given
     "heartbeatSeconds": 30,               optional: no byte on stdin for so long is a dead channel
     "parent": "r-...", "contextId": "...", "recorder": "<source of faultline_probe.py>" | null}

Text is UTF-8; lone surrogates stand for bytes that are not (surrogateescape). An env value may be
{"secretHash", "salt"}: a secret masked in a record, looked for on this node by its hash, so that
it never travels. A missing cwd, umask, limits or env is left as it is.

"run" runs argv under the recorder, "exec" and "adapter" run it plainly. With stdin "null" the
program reads /dev/null, and when our stdin ends (the channel is gone) its processes are ended:
TERM, 2 s, KILL. With "inherit" everything after the plan's line is the program's stdin.

Exit code and signal are the program's own. What keeps it from starting is one line on stderr,
`faultline: cannot start: <why>`, and exit code 97; what is only not as recorded is a line
`faultline: note: <what>`. Python 3.6 or newer, standard library only.
"""
import errno
import hashlib
import hmac
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import traceback

CANNOT_START = 97
TERM_SECONDS = 2.0
RECORD_SECONDS = 1.0
MAX_PLAN_BYTES = 64 << 20
LOGIN_SHELL_SECONDS = 10
MAX_PROCESSES = 20000
FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1,
             signal.SIGUSR2)
MASKED = re.compile('\u2039redacted:[0-9a-f]{8}\u203a')


class CannotStart(Exception):
    """Why the program cannot be started, as the end of a sentence."""


def to_bytes(text):
    try:
        return text.encode('utf-8', 'surrogateescape')
    except UnicodeEncodeError:
        return text.encode('utf-8', 'surrogatepass')


def to_text(raw):
    return raw.decode('utf-8', 'surrogateescape')


def say(kind, sentence):
    try:
        os.write(2, to_bytes('faultline: %s: %s\n' % (kind, sentence)))
    except OSError:
        pass  # a closed stderr is not our failure to report


# ---------------------------------------------------------------------------------------- plan


def read_plan():
    """The plan's line, and not a byte more: what follows may be the program's stdin. The
    bootstrap may have read ahead into sys.stdin's buffer; read1(1) takes from there first, and
    from the channel only the one byte."""
    line = bytearray()
    while True:
        byte = sys.stdin.buffer.read1(1)
        if not byte or byte == b'\n':
            break
        line += byte
        if len(line) > MAX_PLAN_BYTES:
            raise CannotStart('the plan is longer than 64 MiB')
    try:
        plan = json.loads(line.decode('utf-8', 'surrogatepass'))
        argv = [to_bytes(argument) for argument in plan['argv']]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CannotStart('the plan is not one line of JSON with argv')
    if not argv or not argv[0]:
        raise CannotStart('the plan names no command')
    for index, argument in enumerate(argv):
        if b'\0' in argument:
            raise CannotStart('argument %d holds a NUL byte' % index)
        if MASKED.search(to_text(argument)):
            raise CannotStart('argument %d is a secret that was masked in the record' % index)
    return plan, argv


def read_ahead():
    """Bytes after the plan that are already in sys.stdin's buffer. peek() would block on an empty
    buffer; with /dev/null in stdin's place it cannot."""
    kept = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(null, 0)
        return bytes(sys.stdin.buffer.peek())
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(null)


def inherit_stdin():
    """Makes fd 0 what follows the plan. Only if some of it was read ahead does a process (an
    orphan at once, so that the program has no child it does not know) have to carry it."""
    ahead = read_ahead()
    if not ahead:
        return
    read_end, write_end = os.pipe()
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            os.close(read_end)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            carry(ahead, write_end)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(write_end)
    os.dup2(read_end, 0)
    os.close(read_end)


def carry(data, target):
    try:
        while data:
            left = memoryview(data)
            while left:
                left = left[os.write(target, left):]
            data = os.read(0, 65536)
    except OSError:
        pass  # the program has closed its stdin
    os._exit(0)


# --------------------------------------------------------------------------------- environment


def started_with():
    """The environment this process was given. Not os.environ: Python adds LC_CTYPE to it when it
    starts in the C locale (PEP 538)."""
    try:
        with open('/proc/self/environ', 'rb') as file:
            return parse_environment(file.read())
    except OSError:
        return dict(os.environb)


def parse_environment(block):
    env = {}
    for entry in block.split(b'\0'):
        name, equals, value = entry.partition(b'=')
        if equals and name:
            env.setdefault(name, value)
    return env


def planned_environment(plan):
    """name → value as bytes, secrets found."""
    env = started_with() if plan.get('inheritEnv') or plan.get('env') is None else {}
    places = SecretPlaces()
    for name, value in (plan.get('env') or {}).items():
        raw_name = to_bytes(name)
        if isinstance(value, dict):
            value = places.find(name, value)
            if value is None:
                env.pop(raw_name, None)
                continue
        else:
            value = to_bytes(value)
        if b'\0' in raw_name or b'\0' in value or b'=' in raw_name or not raw_name:
            raise CannotStart('the variable %r cannot be set: its name or value is not valid'
                              % name[:80])
        env[raw_name] = value
    return env


class SecretPlaces:
    """Where a masked secret may still be on this node: our own environment, that of this user's
    processes, a login shell. Each is read once, and only when a secret is wanted."""

    def __init__(self):
        self._known = []
        self._unread = [self._own, self._processes, self._login_shell]

    def find(self, name, reference):
        """The value with the recorded hash, else the first value of that name, with a note, else
        None, with a note."""
        key = reference['salt'].encode('ascii')
        raw_name, other = to_bytes(name), None
        for where, env in self._environments():
            value = env.get(raw_name)
            if value is None:
                continue
            if hmac.new(key, value, hashlib.sha256).hexdigest()[:8] == reference['secretHash']:
                return value
            other = other or (where, value)
        if other is None:
            say('note', '%s is left out: its recorded value is a secret that this node has nowhere'
                % name)
            return None
        say('note', '%s is not the recorded secret: the value of %s was taken' % (name, other[0]))
        return other[1]

    def _environments(self):
        for known in self._known:
            yield known
        while self._unread:
            for found in self._unread.pop(0)():
                self._known.append(found)
                yield found

    def _own(self):
        return [('this session', started_with())]

    def _processes(self):
        found = []
        try:
            pids = [entry for entry in os.listdir('/proc') if entry.isdigit()]
        except OSError:
            return found
        for pid in pids[:MAX_PROCESSES]:
            try:
                if os.stat('/proc/' + pid).st_uid != os.geteuid():
                    continue
                with open('/proc/%s/environ' % pid, 'rb') as file:
                    found.append(('process ' + pid, parse_environment(file.read(8 << 20))))
            except OSError:
                continue  # it has just ended, or is not ours to read
        return found

    def _login_shell(self):
        import pwd
        mark = b'\0@faultline@\0'
        try:
            shell = pwd.getpwuid(os.geteuid()).pw_shell or '/bin/sh'
            # A dash before the name is what makes any shell a login shell; start-up files may
            # print, hence the mark. The command means the same to sh, fish and csh.
            done = subprocess.run(
                ['-' + os.path.basename(shell), '-c', "printf '\\0@faultline@\\0'; env -0"],
                executable=shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, timeout=LOGIN_SHELL_SECONDS, start_new_session=True)
        except (KeyError, OSError, subprocess.SubprocessError):
            return []
        return [('the login shell', parse_environment(done.stdout.partition(mark)[2]))]


# ------------------------------------------------------------------------------------- process


def set_directory(cwd):
    if cwd is None:
        return
    try:
        os.chdir(to_bytes(cwd))
    except OSError as error:
        why = {errno.ENOENT: 'does not exist', errno.ENOTDIR: 'is not a directory',
               errno.EACCES: 'may not be entered by this user'}
        raise CannotStart('the directory %s %s' % (cwd, why.get(error.errno, error.strerror)))


def set_umask(umask):
    if umask is None:
        return
    try:
        os.umask(int(umask, 8) & 0o777)
    except (TypeError, ValueError):
        raise CannotStart('%r is no umask' % (umask,))


def set_limits(limits):
    """Soft limits; a limit of another node or user that cannot be had here is a note."""
    import resource
    for name, pair in sorted((limits or {}).items()):
        number = getattr(resource, 'RLIMIT_' + name.upper(), None)
        if number is None or not isinstance(pair, list) or not pair:
            say('note', 'the limit %s is not known here' % name)
            continue
        wanted = resource.RLIM_INFINITY if pair[0] == -1 else pair[0]
        soft, hard = resource.getrlimit(number)
        if wanted == soft:
            continue
        fits = hard == resource.RLIM_INFINITY or (
            wanted != resource.RLIM_INFINITY and wanted <= hard)
        try:
            resource.setrlimit(number, (wanted if fits else hard, hard))
        except (ValueError, OSError, OverflowError) as error:
            say('note', 'the limit %s could not be set: %s' % (name, error))
            continue
        if not fits:
            say('note', 'the limit %s is %s here, recorded was %s'
                % (name, hard, 'unlimited' if pair[0] == -1 else pair[0]))


def start_program(argv, env):
    """Replaces this process by the program; never returns."""
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        why = ('there is no such program' if error.errno == errno.ENOENT else error.strerror)
        raise CannotStart('%s: %s' % (to_text(argv[0]), why))


def start_recorded(argv, env, plan, supervisor):
    """Becomes the recorder of the program; never returns."""
    os.environb.clear()
    os.environb.update(env)
    namespace = {'__name__': 'faultline_probe'}
    exec(compile(plan['recorder'], 'faultline_probe', 'exec'), namespace)
    namespace['run'](argv, context=plan.get('contextId'), parent=plan.get('parent'),
                     deaf_to=supervisor)


def cannot_start(error):
    """Says why and ends; what nobody foresaw is shown whole."""
    if not isinstance(error, CannotStart):
        traceback.print_exception(type(error), error, error.__traceback__)
        sys.stderr.flush()
    say('cannot start', str(error) or type(error).__name__)
    os._exit(CANNOT_START)


# ----------------------------------------------------------------------------------- supervise


def prctl(option, value):
    """Linux's prctl(2); False where there is none."""
    try:
        import ctypes
        return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0
    except (ImportError, OSError, AttributeError):
        return False


def pause(seconds):
    """A sleep that also works under libfaketime, where time.sleep() can fail with EINVAL."""
    select.select([], [], [], seconds)


PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """Runs the program in a session of its own with /dev/null as stdin, and ends all of its
    processes when the channel is gone. Without a pty sshd tells nobody but the readers of its
    pipes; a program that does not read would live on for ever."""

    def __init__(self, heartbeat_seconds):
        self._heartbeat = heartbeat_seconds
        # Orphans of the program become our children, so a daemon that left its session is found.
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.pid = 0

    def start(self, become):
        """become() runs in the child and never returns normally."""
        own = os.getpid()
        kept = {number: signal.signal(number, self._forward) for number in FORWARDED
                if signal.getsignal(number) != signal.SIG_IGN}
        kept[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        self.pid = os.fork()
        if self.pid:
            return
        try:
            signal.set_wakeup_fd(-1)
            for number, handler in kept.items():
                signal.signal(number, handler)
            os.close(self._wake_read)
            os.close(self._wake_write)
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != own:
                os._exit(CANNOT_START)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            if null > 0:
                os.close(null)
            become()
        except BaseException as error:
            cannot_start(error)

    def _forward(self, number, _frame):
        self._signal_group(number)

    def _signal_group(self, number):
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass  # ended meanwhile

    def wait(self):
        """The program's wait status."""
        heard = time.monotonic()
        while True:
            status = self._reap()
            if status is not None:
                return status
            timeout = None
            if self._heartbeat:
                timeout = heard + self._heartbeat - time.monotonic()
                if timeout <= 0:
                    return self._end_all()
            ready = select.select([0, self._wake_read], [], [], timeout)[0]
            if self._wake_read in ready:
                self._drain_wake()
            if 0 in ready:
                if not self._read_stdin():
                    return self._end_all()
                heard = time.monotonic()

    def _drain_wake(self):
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass

    @staticmethod
    def _read_stdin():
        """Whether the channel is still there; what it sends is only a sign of life."""
        try:
            return bool(os.read(0, 65536))
        except OSError:
            return False

    def _reap(self):
        """The program's wait status, else None. Orphans that became ours are taken away too."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self.pid:
                found = status

    def _end_all(self):
        """TERM to everything, KILL after 2 s to what is left; the recorder, our own child, gets a
        moment more to write how it ended."""
        status = None
        self._signal_group(signal.SIGTERM)
        for pid in self._descendants():
            self._signal(pid, signal.SIGTERM, unless_group=self.pid)
        status, left = self._watch(TERM_SECONDS, status)
        if left:
            for pid in left:
                if pid != self.pid:
                    self._signal(pid, signal.SIGKILL)
            status, left = self._watch(RECORD_SECONDS, status)
            for pid in left:
                self._signal(pid, signal.SIGKILL)
            status, _ = self._watch(RECORD_SECONDS, status)
        return status if status is not None else signal.SIGKILL

    def _watch(self, seconds, status):
        """(status, the processes still there) once all have ended or the time is over."""
        until = time.monotonic() + seconds
        while True:
            left = self._descendants()
            # After looking: what ended in between is reaped and not forgotten.
            ended = self._reap()
            status = status if ended is None else ended
            if not left or time.monotonic() >= until:
                return status, left
            pause(0.02)

    @staticmethod
    def _signal(pid, number, unless_group=None):
        try:
            if unless_group is None or os.getpgid(pid) != unless_group:
                os.kill(pid, number)
        except OSError:
            pass  # ended meanwhile

    def _descendants(self):
        """Pids of all our living descendants; without /proc, the child while it lives."""
        children = {}
        try:
            entries = os.listdir('/proc')
        except OSError:
            entries = []
        for entry in entries:
            if not entry.isdigit():
                continue
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


def end_like(status):
    """Ends this process as the wait status says the program ended."""
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    import resource
    number = os.WTERMSIG(status)
    # The program has left its core file; ours would only overwrite it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def main():
    plan, argv = read_plan()
    mode = plan.get('mode', 'exec')
    if mode not in ('run', 'exec', 'adapter'):
        raise CannotStart('%r is no mode' % (mode,))
    if mode == 'run' and not plan.get('recorder'):
        raise CannotStart('the plan has no recorder')
    env = planned_environment(plan)
    set_directory(plan.get('cwd'))
    set_umask(plan.get('umask'))
    set_limits(plan.get('limits'))

    def become(supervisor=None):
        if mode == 'run':
            start_recorded(argv, env, plan, supervisor)
        start_program(argv, env)

    # The interpreter ignores SIGPIPE and SIGXFSZ and exec would pass that on; the recorder undoes
    # it for its own child and needs it until then.
    if mode != 'run':
        for name in ('SIGPIPE', 'SIGXFSZ'):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
    if mode == 'adapter' or plan.get('stdin') == 'inherit':
        inherit_stdin()
        become()
    supervisor = Supervisor(plan.get('heartbeatSeconds'))
    own = os.getpid()
    supervisor.start(lambda: become(own))
    end_like(supervisor.wait())


if __name__ == '__main__':
    try:
        main()
    except Exception as reason:
        cannot_start(reason)
