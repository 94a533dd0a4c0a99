"""The Python interpreters of a node and the distributions each of them can import.

Runs on the node under any Python from 3.4 on, given on stdin, with -I -S -B. It imports built-in modules alone,
as `json`, `re` and `subprocess` would cost more than all the work here. Nothing is written. Interpreters are
found by listing directories; each different program is started once for its version, with the same switches,
so no `.pth` or `sitecustomize` of the user's runs. A program that another user could have put there is never
started. Packages are the names of `*.dist-info` and `*.egg-info` in the directories that the interpreter
would import from.

Output: text of `field NUL value NUL` pairs. `python` begins an interpreter, `package` is `name NUL version`,
`note` says what could not be done. Names are normalised (PEP 503). Bytes pass through unchanged.
"""

import os
import sys
import time

MAX_INTERPRETERS = 64
MAX_PROCESSES = 20000
START_LIMIT_S = 3.0

HOME = os.environ.get("HOME", "")
VENV_NAMES = ("venv", ".venv", "env")


OUT = []


def say(*values):
    # Not os.fsencode: an old Python in the C locale has ASCII there, and files may hold UTF-8.
    OUT.append(b"".join(value.encode("utf-8", "surrogateescape") + b"\0" for value in values))


def listdir(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def read_text(path, limit=65536):
    """The start of a text file, or None."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(fd, limit).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    finally:
        os.close(fd)


def is_python_name(name):
    """python, python3, python3.11, pypy3, but not python3-config or python3.11-gdb."""
    for stem in ("python", "pypy"):
        if name.startswith(stem):
            return all(char.isdigit() or char == "." for char in name[len(stem):])
    return False


# --- Where interpreters are ---------------------------------------------------------------------------------


def on_path():
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        # A shim is a script that chooses an interpreter; the ones it chooses from are found below.
        if directory.startswith("/") and not directory.rstrip("/").endswith("/shims"):
            yield directory


def in_directories():
    """(how it was found, directory that may hold interpreters)"""
    for directory in on_path():
        yield "PATH", directory
    for directory in ("/usr/bin", "/usr/local/bin"):
        yield "system", directory
    for root in (os.environ.get("PYENV_ROOT", ""), HOME + "/.pyenv" if HOME else ""):
        if root:
            for name in listdir(root + "/versions"):
                yield "pyenv", root + "/versions/" + name + "/bin"


def venvs():
    """(how it was found, virtual environment) in likely places: where variables point to, beside the code in
    /srv, /opt and /var/www, in the working directory and at home."""
    for name in sorted(os.environ):
        if name == "HOME" or name.endswith(("_HOME", "_ROOT", "_DIR")):
            for inner in VENV_NAMES:
                yield "$" + name + "/" + inner, os.environ[name] + "/" + inner
    if "VIRTUAL_ENV" in os.environ:
        yield "$VIRTUAL_ENV", os.environ["VIRTUAL_ENV"]
    for parent in code_directories():
        for inner in VENV_NAMES:
            yield "venv", parent + "/" + inner


def code_directories():
    try:
        yield os.getcwd()
    except OSError:
        pass  # The working directory is gone.
    for root in ("/srv", "/opt", "/var/www"):
        yield root
        for name in listdir(root)[:200]:
            yield root + "/" + name
            if root != "/opt":
                for inner in listdir(root + "/" + name)[:50]:
                    yield root + "/" + name + "/" + inner


def of_processes():
    """Programs of running Python processes, as they were called: that is what tells a virtual environment."""
    pids = [name for name in listdir("/proc") if name.isdigit() and name != str(os.getpid())]
    if len(pids) > MAX_PROCESSES:
        say("note", "only %d of %d processes were looked at" % (MAX_PROCESSES, len(pids)))
    seen = set()
    for pid in pids[:MAX_PROCESSES]:
        try:
            program = program_of(pid)
        except (OSError, ValueError):
            continue  # It ended meanwhile, or is not ours to look at.
        if program is not None and program not in seen:
            seen.add(program)
            yield program


def program_of(pid):
    """The name a Python process was called by, in full; None for other processes."""
    real = os.readlink("/proc/" + pid + "/exe")
    if real.endswith(" (deleted)") or not is_python_name(os.path.basename(real)):
        return None
    called = (read_text("/proc/" + pid + "/cmdline", 4096) or "").split("\0")[0]
    for program in candidates(pid, called):
        if real_path(program) == real:
            return program
    return real


def real_path(path):
    """As os.path.realpath, which fails when a link vanishes while it is followed."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return path


def candidates(pid, called):
    """Full names that a process called `called` may have been started by."""
    if called.startswith("/"):
        yield called
    elif "/" in called:
        try:
            yield os.path.normpath(os.path.join(os.readlink("/proc/" + pid + "/cwd"), called))
        except OSError:
            pass
    elif called:
        environ = read_text("/proc/" + pid + "/environ", 1 << 18) or ""
        for line in environ.split("\0"):
            if line.startswith("PATH="):
                for directory in line[5:].split(":"):
                    yield directory + "/" + called


# --- What an interpreter is ---------------------------------------------------------------------------------


class Interpreter:
    def __init__(self, executable):
        self.executable = executable
        self.real = real_path(executable)
        self.found_by = []
        self.in_use = False
        self.config = None
        # <venv>/bin/python: the file pyvenv.cfg lies beside bin.
        self.home = os.path.dirname(os.path.dirname(executable))
        text = read_text(self.home + "/pyvenv.cfg")
        if text is not None:
            pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
            self.config = {key.strip().lower(): value.strip() for key, value in pairs}

    @property
    def key(self):
        """A virtual environment is a thing of its own; other names of one program are one interpreter."""
        return real_path(self.home) if self.config is not None else self.real


class Interpreters:
    def __init__(self):
        self.by_key = {}
        self.is_full = False

    def add(self, executable, how):
        if not os.access(executable, os.X_OK) or os.path.isdir(executable):
            return None
        found = Interpreter(executable)
        known = self.by_key.get(found.key)
        if known is None:
            if len(self.by_key) >= MAX_INTERPRETERS:
                if not self.is_full:
                    say("note", "only the first %d interpreters were looked at" % MAX_INTERPRETERS)
                self.is_full = True
                return None
            known = self.by_key[found.key] = found
        if how not in known.found_by:
            known.found_by.append(how)
        return known

    def collect(self):
        for program in of_processes():
            found = self.add(program, "process")
            if found is not None:
                found.in_use = True
        for how, directory in venvs():
            if not directory.startswith("/") or not os.path.exists(directory + "/pyvenv.cfg"):
                continue
            for name in ("python", "python3"):
                if self.add(directory + "/bin/" + name, how) is not None:
                    break
        seen = set()
        for how, directory in in_directories():
            if directory in seen:
                continue
            seen.add(directory)
            # The longest name first would say python3.11: people know it as python3.
            for name in sorted(filter(is_python_name, listdir(directory)), key=preference):
                self.add(directory + "/" + name, how)


def preference(name):
    return (0 if name == "python3" else 1 if name == "python" else 2, name)


# --- Its version --------------------------------------------------------------------------------------------

ASK = (
    "import sys;i=sys.implementation if hasattr(sys,'implementation') else None;"
    "sys.stdout.write('\\0'.join(('%d.%d.%d'%sys.version_info[:3]+"
    "('' if sys.version_info[3]=='final' else {'alpha':'a','beta':'b','candidate':'rc'}[sys.version_info[3]]"
    "+str(sys.version_info[4])),"
    "i.name if i else 'cpython',sys.prefix)))"
)


def is_trusted(program):
    """Whether only root or this user can have chosen what it does."""
    try:
        status = os.stat(program)
    except OSError:
        return False
    is_ours = status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022
    return is_ours and is_python_name(os.path.basename(program))


def own_answer():
    release = "" if sys.version_info[3] == "final" else (
        {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]] + str(sys.version_info[4])
    )
    return ["%d.%d.%d" % sys.version_info[:3] + release, sys.implementation.name, sys.prefix]


def start(program):
    """Starts a program that says its version on a pipe. Returns (pid, file descriptor)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(writer, 1)
            os.dup2(null, 2)
            os.execv(program, [program, "-E", "-s", "-S", "-B", "-c", ASK])
        finally:
            os._exit(127)
    os.close(writer)
    return pid, reader


def finish(pid, reader, deadline):
    """The three answers of a started program, or None when it gave none in time."""
    import select
    import signal

    answer = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.time()))
        if not ready:
            os.kill(pid, signal.SIGKILL)
            break
        chunk = os.read(reader, 4096)
        if not chunk:
            break
        answer += chunk
    os.close(reader)
    os.waitpid(pid, 0)
    parts = answer.decode("utf-8", "surrogateescape").split("\0")
    return parts if len(parts) == 3 else None


def ask_versions(programs):
    """Starts the programs, a few at a time. {real path: [version, implementation, prefix]}"""
    answers = {}
    own = real_path(sys.executable)
    if own in programs:
        answers[own] = own_answer()
    others = sorted(program for program in programs if program != own and is_trusted(program))
    for first in range(0, len(others), 4):
        deadline = time.time() + START_LIMIT_S
        running = [(program,) + start(program) for program in others[first:first + 4]]
        for program, pid, reader in running:
            answers[program] = finish(pid, reader, deadline)
    return answers


# --- Its packages -------------------------------------------------------------------------------------------


def site_directories(interpreter, version, prefix):
    """Where it imports distributions from, in the order of `sys.path`."""
    minor = ".".join(version.split(".")[:2])
    own = interpreter.home if interpreter.config is not None else prefix
    is_open = interpreter.config is None or (
        interpreter.config.get("include-system-site-packages", "").lower() == "true"
    )
    found = list(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if interpreter.config is not None:
        found += library_directories(own, minor)
    if is_open:
        if HOME and not os.environ.get("PYTHONNOUSERSITE"):
            found.append(HOME + "/.local/lib/python" + minor + "/site-packages")
        if prefix == "/usr":
            # Debian's Python looks here for what pip and apt installed.
            found += library_directories("/usr/local", minor)
            found.append("/usr/lib/python" + version.split(".")[0] + "/dist-packages")
        found += library_directories(prefix, minor)
    return [directory for directory in found if directory.startswith("/")]


def library_directories(prefix, minor):
    names = (
        "/lib/python" + minor + "/site-packages",
        "/lib64/python" + minor + "/site-packages",
        "/lib/python" + minor + "/dist-packages",
        # PyPy
        "/lib/pypy" + minor + "/site-packages",
        "/site-packages",
    )
    return [prefix + name for name in names]


def packages(directories):
    """[(normalised name, version)], of the first directory that has each; .pth files add directories."""
    found = {}
    seen = set()
    queue = list(directories)
    while queue and len(seen) < 256:
        directory = queue.pop(0)
        real = real_path(directory)
        if real in seen:
            continue
        seen.add(real)
        for name in listdir(directory):
            if name.endswith((".dist-info", ".egg-info")):
                package, version = distribution(directory, name)
                if package and package not in found:
                    found[package] = version
            elif name.endswith(".pth"):
                for line in (read_text(directory + "/" + name) or "").splitlines():
                    line = line.strip()
                    if line and not line.startswith(("#", "import ", "import\t")):
                        queue.append(os.path.join(directory, line))
    return sorted(found.items())


def distribution(directory, entry):
    """`name-1.2.dist-info`, `name-1.2-py3.11.egg-info`, or `name.egg-info` whose version is in a file."""
    stem = entry.rsplit(".", 1)[0]
    if stem.startswith("~"):
        return None, None  # What pip left when it could not delete an old version.
    name, _, version = stem.partition("-")
    if entry.endswith(".egg-info"):
        version = version.partition("-py")[0]
    if not version:
        version = version_in(directory + "/" + entry)
    return normalise(name), version


def version_in(path):
    for name in ("/PKG-INFO", "/METADATA", ""):
        text = read_text(path + name, 8192)
        if text is not None:
            for line in text.splitlines():
                if line.lower().startswith("version:"):
                    return line[8:].strip()
                if not line:
                    break
    return ""


def normalise(name):
    """PEP 503: runs of - _ . are one -, lower case."""
    parts = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(part for part in parts if part)


def written_answer(interpreter):
    """What a virtual environment's own file says, where its program could not be asked."""
    config = interpreter.config or {}
    version = config.get("version") or config.get("version_info") or ""
    numbers = version.split(".")[:3]
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers):
        return None
    return [".".join(numbers), "cpython", os.path.dirname(config.get("home", ""))]


def describe(interpreter, answer):
    version, implementation, prefix = answer
    is_venv = interpreter.config is not None
    say("python", interpreter.executable)
    say("real", interpreter.real)
    say("version", version)
    say("implementation", implementation)
    say("prefix", interpreter.home if is_venv else prefix)
    say("basePrefix", prefix)
    say("isVenv", "1" if is_venv else "0")
    say("inUse", "1" if interpreter.in_use else "0")
    for how in interpreter.found_by:
        say("foundBy", how)
    for name, package_version in packages(site_directories(interpreter, version, prefix)):
        say("package", name, package_version)


def tell_all():
    interpreters = Interpreters()
    interpreters.collect()
    found = list(interpreters.by_key.values())
    answers = ask_versions({interpreter.real for interpreter in found})
    for interpreter in found:
        answer = answers.get(interpreter.real) or written_answer(interpreter)
        if answer is not None:
            describe(interpreter, answer)
            continue
        is_asked = interpreter.real in answers
        why = " did not say its version" if is_asked else " may be another user's and was not started"
        say("note", interpreter.executable + why)


def main():
    try:
        tell_all()
    except Exception as error:
        # What was found so far is worth more than nothing; nobody sees a traceback here.
        say("note", "the search ended early: %s: %s" % (type(error).__name__, error))
    data = b"".join(OUT)
    while data:
        data = data[os.write(1, data):]


main()
