"""Samples the stacks of a running CPython process from outside, by reading /proc/PID/mem.

The target is never stopped, never written to and does not cooperate. Sent over SSH on stdin to the
target's own interpreter, `/proc/PID/exe -I -S -c BOOTSTRAP`; then reads one JSON line from stdin:

    {"pid": 1234, "rateHz": 49, "seconds": 10}

and answers with JSON lines, flushed about every 250 ms:

    {"type":"meta","version":1,"pid":…,"rateHz":…,"python":"3.11.2","threads":3,"calibratedMs":…}
    {"type":"frame","id":0,"name":"Ledger.settle","file":"/srv/…","line":12}    line: of its `def`
    {"type":"stack","id":0,"frames":[[0,14]],"thread":"MainThread"}             outermost first
    {"type":"counts","t":1000,"stacks":[[0,49,31]]}     ms since start; samples, of these on a CPU
    {"type":"end","samples":…,"missed":…,"torn":…,"seconds":…,"samplerCpuSeconds":…,"rateGot":…,
     "reason":"done"|"target exited"|"channel closed"}

How it works. The layout of the interpreter's structures differs between versions and builds, so it
is not written down here: it is learnt from this very process, which runs the same binary. A thread
of ours waits at a known place, and the offsets are those at which its known addresses and numbers
are found (`Layout`). Only the base addresses differ in the target (address space randomisation).
A torn read (the target runs on while it is read) is recognised, since what should be a code object
does not have the code type; it is tried again, then counted as torn.

Exit codes: 0 sampled; 2 a wrong question; 3 this target cannot be sampled, one sentence on stderr
says why and what to do. CPython 3.7 or newer on Linux. `samples` and `missed` count rounds, one
round reads every thread; stacks of the main interpreter only.
"""
import gc
import json
import os
import select
import struct
import sys
import threading
import time

VERSION = 1
FLUSH_SECONDS = 0.25
REVALIDATE_SECONDS = 1.0
MAX_DEPTH = 256
MAX_THREADS = 1000
MAX_RATE_HZ = 1000
MAX_SECONDS = 3600
MAX_NAME = 4096
ATTEMPTS = 3
MAX_OPEN_THREADS = 100
WORD = struct.calcsize('P')
# From 3.11 on a frame is a small structure in a block of its thread, no longer an object.
HAS_SMALL_FRAMES = sys.version_info >= (3, 11)


class CannotSample(Exception):
    """Why this target cannot be sampled and what to do, as a sentence."""


class TargetGone(Exception):
    """The target ended, or became another program by exec."""


class Torn(Exception):
    """What was read does not fit together."""


# -------------------------------------------------------------------------------------- memory


class Memory:
    """Reads of one process's memory. The descriptor belongs to the address space it was opened
    for: after an exec or the end, reads give nothing."""

    def __init__(self, pid):
        self._fd = os.open('/proc/%d/mem' % pid, os.O_RDONLY)

    def read(self, address, size):
        """Exactly `size` bytes; raises OSError (not mapped) or TargetGone."""
        try:
            data = os.pread(self._fd, size, address)
        except OverflowError:
            raise OSError('no such address')
        if len(data) == size:
            return data
        if not data:
            raise TargetGone()
        raise OSError('the mapping ends')

    def words(self, address, count):
        return struct.unpack('%dP' % count, self.read(address, count * WORD))

    def word(self, address):
        return struct.unpack('P', self.read(address, WORD))[0]


class Mapping:
    """One line of /proc/PID/maps."""

    def __init__(self, line):
        fields = line.rstrip(b'\n').split(None, 5)
        start, end = fields[0].split(b'-')
        self.start, self.end = int(start, 16), int(end, 16)
        # Device and inode name the file; its path may differ between mount namespaces.
        self.file = (fields[3], fields[4])
        self.is_file = fields[4] != b'0'
        self.path = fields[5] if len(fields) > 5 else b''


def mappings(pid):
    with open('/proc/%d/maps' % pid, 'rb') as file:
        return [Mapping(line) for line in file]


def module_of(address, maps):
    """The (device, inode) and base address of the file whose static data holds an address. Zeroed
    data (.bss) lies in a mapping of no file right after the file's."""
    below = [entry for entry in maps if entry.is_file and entry.start <= address]
    if not below:
        raise CannotSample('the interpreter\'s own data was not found; use py-spy instead')
    file = max(below, key=lambda entry: entry.start).file
    return file, min(entry.start for entry in maps if entry.file == file)


# -------------------------------------------------------------------------------------- layout


def position(words, wanted, what):
    """Byte offset of a word in what was read of this process's own memory."""
    try:
        return words.index(wanted) * WORD
    except ValueError:
        raise CannotSample('this build of Python keeps its %s in a way this sampler does not know; '
                           'use py-spy instead' % what)


class Layout:
    """Where things are in the interpreter's structures, learnt from this process.

    `runtime`, `code_type` and `none` are offsets from the base of `module`, the file that holds the
    interpreter; all others are offsets in bytes from the beginning of their structure.
    """

    def __init__(self):
        try:
            import ctypes
        except ImportError:
            raise CannotSample('the Python of this process has no ctypes module; install it (on '
                               'Debian: libpython3-stdlib) or use py-spy')
        api = self._api = ctypes.pythonapi
        for name, arguments in (('PyInterpreterState_Head', []),
                                ('PyInterpreterState_ThreadHead', [ctypes.c_void_p]),
                                ('PyThreadState_Next', [ctypes.c_void_p])):
            getattr(api, name).restype = ctypes.c_void_p
            getattr(api, name).argtypes = arguments
        self._memory = Memory(os.getpid())
        maps = mappings(os.getpid())
        runtime = ctypes.addressof(ctypes.c_char.in_dll(api, '_PyRuntime'))
        self.module, base = module_of(runtime, maps)
        self.runtime = runtime - base
        self.code_type = id(type(position.__code__)) - base
        self.none = id(None) - base
        self._learn_objects()
        self._learn_interpreter(runtime)

    def _words(self, address, size):
        """Words of this process from an address on: `size` bytes, less if they are not mapped."""
        while size >= WORD:
            try:
                return self._memory.words(address, size // WORD)
            except OSError:
                size //= 2
        return ()

    def _numbers(self, address, size):
        """The same as 32-bit numbers, signed."""
        raw = struct.pack('%dP' % (size // WORD), *self._words(address, size // WORD * WORD))
        return struct.unpack('%di' % (len(raw) // 4), raw)

    def _learn_objects(self):
        """An object's head (longer in debug and free-threaded builds), and where a str keeps its
        characters. How wide they are, and whether the text is ASCII (then its head is shorter), is
        told by some bits of its state; the unused bits there are random."""
        widths = ((0x61, 1), (0xe9, 1), (0x20ac, 2), (0x1f600, 4))
        samples = [(chr(point) * length, width, point < 128)
                   for point, width in widths for length in range(3, 40)]
        ascii_text, latin_text = samples[0][0], samples[40][0]
        words = self._words(id(ascii_text), 16 * WORD)
        self.object_type = position(words, id(str), 'objects')
        self.object_length = position(words, len(ascii_text), 'objects')
        self.string_state = self.object_length + 2 * WORD  # after the length comes the hash
        known = [(self._numbers(id(text) + self.string_state, WORD)[0], width, is_ascii)
                 for text, width, is_ascii in samples]
        self.string_width_shift = self._common_shift(7, [(each[0], each[1]) for each in known])
        self.string_ascii_shift = self._common_shift(1, [(each[0], each[2]) for each in known])
        self.ascii_start = sys.getsizeof(ascii_text) - len(ascii_text) - 1
        self.text_start = sys.getsizeof(latin_text) - len(latin_text) - 1
        self.bytes_start = bytes.__basicsize__ - 1

    @staticmethod
    def _common_shift(mask, pairs):
        """Where in a state a bit field is: the lowest place that holds every wanted value."""
        for shift in range(30):
            if all((state >> shift) & mask == wanted for state, wanted in pairs):
                return shift
        return position((), 0, 'strings')

    def _learn_interpreter(self, runtime):
        """Starts a thread that waits at a known place, two calls deep, and finds its state."""
        api = self._api
        interpreter = api.PyInterpreterState_Head()
        self.interpreter = position(self._words(runtime, 1 << 14), interpreter, 'interpreter')
        head_before = api.PyInterpreterState_ThreadHead(interpreter)
        before = self._words(interpreter, 1 << 16)
        waiting, release, ids = threading.Event(), threading.Lock(), {}
        release.acquire()

        def known_inner():
            ids['thread'] = threading.get_ident()
            ids['native'] = native_id()
            waiting.set()
            release.acquire()

        def known_outer():
            known_inner()

        thread = threading.Thread(target=known_outer, daemon=True)
        thread.start()
        waiting.wait()
        # Until it is inside acquire(), where its frame stays as it is. Not by time.sleep(), which
        # can fail with EINVAL under libfaketime.
        select.select([], [], [], 0.02)
        try:
            head = api.PyInterpreterState_ThreadHead(interpreter)
            after = self._words(interpreter, len(before) * WORD)
            pairs = list(zip(before, after))
            self.threads = position(pairs, (head_before, head), 'threads')
            state = self._words(head, 2048)
            self.next_thread = position(state, api.PyThreadState_Next(head), 'threads')
            self._learn_thread_id(state, ids)
            self._learn_frames(state, known_inner.__code__, known_outer.__code__)
            self._learn_code(known_inner.__code__, position.__code__)
        finally:
            release.release()
            thread.join()
        self.state_size = max(self.next_thread, self.thread_id, self.newest_frame) + WORD

    def _learn_thread_id(self, state, ids):
        """The kernel's number of a thread is in its state from 3.11 on. Before, the state has only
        pthread_self(), the address of the C library's own structure, and the number is in that."""
        self.pthread_native_id = None
        if ids['native'] in state:
            self.thread_id = position(state, ids['native'], 'threads')
            return
        self.thread_id = position(state, ids['thread'], 'threads')
        try:
            self.pthread_native_id = self._numbers(ids['thread'], 2048).index(ids['native']) * 4
        except ValueError:
            raise CannotSample('the threads of this C library are not known to this sampler; use '
                               'py-spy instead')

    def _learn_frames(self, state, inner, outer):
        """The way from a thread's state to its newest frame, directly or by one structure more
        (3.11 and 3.12), and in a frame the code, the caller and the instruction."""
        frame = None
        for index, value in enumerate(state):
            for hop in (None, 0, WORD, 2 * WORD, 3 * WORD):
                address = value if hop is None else (self._words(value + hop, WORD) or (0,))[0]
                found = self._frame_parts(address, inner, outer)
                if found:
                    self.newest_frame, self.frame_hop = index * WORD, hop
                    self.frame_code, self.frame_caller = found
                    frame = address
                    break
            if frame is not None:
                break
        else:
            position((), 0, 'frames')
        if HAS_SMALL_FRAMES:
            start = id(inner) + type(inner).__basicsize__
            places = [index * WORD for index, word in enumerate(self._words(frame, 20 * WORD))
                      if start - 2 <= word < start + len(inner.co_code)]
            # Free-threaded builds run copies of the code: then the line stays that of the `def`.
            self.frame_instruction = places[0] if places else None
        else:
            self.frame_instruction, self.instruction_bytes = self._last_instruction()
        self.frame_size = WORD + max(self.frame_code, self.frame_caller,
                                     self.frame_instruction or 0)

    def _frame_parts(self, address, inner, outer):
        """(offset of the code, offset of the caller) when this is known_inner's frame. The low bits
        of the pointer to the code are a tag from 3.14 on."""
        if address < 4096 or address % WORD:
            return None
        words = self._words(address, 20 * WORD)
        for code_at, value in enumerate(words):
            if value & ~7 != id(inner):
                continue
            for caller_at, caller in enumerate(words):
                if caller >= 4096 and caller_at != code_at:
                    of_caller = self._words(caller + code_at * WORD, WORD)
                    if of_caller and of_caller[0] & ~7 == id(outer):
                        return code_at * WORD, caller_at * WORD
        return None

    def _last_instruction(self):
        """(offset of f_lasti in a frame object, bytes it counts in), up to 3.10: from two frames
        that differ in nothing but how far they have come."""
        def known_steps():
            yield 1
            yield 2

        first, second = known_steps(), known_steps()
        for steps in (first, second, second):
            next(steps)
        wanted = (first.gi_frame.f_lasti, second.gi_frame.f_lasti)
        pairs = list(zip(self._numbers(id(first.gi_frame), 20 * WORD),
                         self._numbers(id(second.gi_frame), 20 * WORD)))
        for count in (1, 2):
            place = (wanted[0] // count, wanted[1] // count)
            if place in pairs:
                return pairs.index(place) * 4, count
        return position((), 0, 'frames')

    def _learn_code(self, code, other):
        size = self.code_size = type(code).__basicsize__
        words = self._words(id(code), size)
        self.code_file = position(words, id(code.co_filename), 'code')
        self.code_name = position(words, id(getattr(code, 'co_qualname', code.co_name)), 'code')
        table = code.co_linetable if hasattr(code, 'co_linetable') else code.co_lnotab
        self.code_lines = position(words, id(table), 'code')
        pairs = list(zip(self._numbers(id(code), size), self._numbers(id(other), size)))
        place = (code.co_firstlineno, other.co_firstlineno)
        if place not in pairs:
            position((), 0, 'code')
        self.code_first_line = pairs.index(place) * 4


def native_id():
    """The kernel's number of the calling thread."""
    if hasattr(threading, 'get_native_id'):
        return threading.get_native_id()
    return int(os.readlink('/proc/thread-self').rsplit('/', 1)[1])  # 3.7


# --------------------------------------------------------------------------------------- lines
# Three formats of the table from instruction to line: Objects/lnotab_notes.txt (up to 3.9),
# Objects/lnotab_notes.txt of 3.10, Objects/locations.md (from 3.11). Each decoder gives
# [(end offset in bytes, line or None)], ascending.


def decode_lnotab(table, first_line):
    ranges, offset, line = [], 0, first_line
    for at in range(0, len(table) - 1, 2):
        step, delta = table[at], table[at + 1]
        if step:
            offset += step
            ranges.append((offset, line))
        line += delta - 256 if delta >= 128 else delta
    ranges.append((1 << 30, line))
    return ranges


def decode_linetable(table, first_line):
    ranges, offset, line = [], 0, first_line
    for at in range(0, len(table) - 1, 2):
        delta = table[at + 1] - 256 if table[at + 1] >= 128 else table[at + 1]
        offset += table[at]
        if delta == -128:
            ranges.append((offset, None))
            continue
        line += delta
        ranges.append((offset, line))
    return ranges


def decode_locations(table, first_line):
    ranges, offset, line, at = [], 0, first_line, 0
    size = len(table)
    while at < size:
        head = table[at]
        at += 1
        code, length = (head >> 3) & 15, (head & 7) + 1
        offset += length * 2
        if code == 15:
            ranges.append((offset, None))
        else:
            if code in (13, 14):
                delta, at = signed_varint(table, at)
                line += delta
            elif code in (10, 11, 12):
                line += code - 10
            ranges.append((offset, line))
        # What is left of the entry are columns: bytes without the top bit.
        while at < size and not table[at] & 128:
            at += 1
    return ranges


def signed_varint(table, at):
    value, shift = 0, 0
    while True:
        byte = table[at]
        at += 1
        value |= (byte & 63) << shift
        shift += 6
        if not byte & 64:
            break
    return (-(value >> 1) if value & 1 else value >> 1), at


DECODE_LINES = (decode_locations if sys.version_info >= (3, 11) else
                decode_linetable if sys.version_info >= (3, 10) else decode_lnotab)


# -------------------------------------------------------------------------------------- target


class Code:
    """A code object of the target."""

    __slots__ = ('name', 'file', 'first_line', 'is_internal', 'identity', 'frame_id', '_ranges',
                 '_lines')

    def __init__(self, identity, name, file, first_line, ranges):
        self.identity, self.name, self.file = identity, name, file
        # Frames nobody wrote: where C code enters the interpreter (3.12), and between a class and
        # its __init__ (from 3.13 on).
        self.is_internal = name == '<interpreter trampoline>' or (
            name == file == '__init__' and first_line == 0)
        self.first_line, self._ranges = first_line, ranges
        self.frame_id = None
        self._lines = {}

    def line_at(self, offset):
        """The line of an instruction, by its offset in bytes; that of the `def` when unknown."""
        line = self._lines.get(offset)
        if line is None:
            found = next((each for end, each in self._ranges if offset < end), None)
            line = self._lines[offset] = self.first_line if found is None else found
        return line


class Target:
    """The process being sampled."""

    def __init__(self, pid, layout):
        self._layout = layout
        self._memory = Memory(pid)
        bases = [entry.start for entry in mappings(pid) if entry.file == layout.module]
        if not bases:
            raise CannotSample('process %d does not run the Python that is installed now (it may '
                               'have been upgraded since); restart it or use py-spy' % pid)
        base = min(bases)
        self._code_type, self._none = base + layout.code_type, base + layout.none
        try:
            self._interpreter = self._memory.word(base + layout.runtime + layout.interpreter)
        except OSError:
            self._interpreter = 0
        if not self._interpreter:
            raise CannotSample('process %d has no interpreter now: it is starting or ending; try '
                               'again' % pid)
        self._unpack = struct.Struct('P').unpack_from
        self._unpack_number = struct.Struct('i').unpack_from
        self._codes = {}
        self._fresh = set()
        self._native_ids = {}

    def thread_states(self):
        """(kernel's thread number, address of its state, newest frame or 0) of each thread."""
        layout, unpack = self._layout, self._unpack
        state = self._memory.word(self._interpreter + layout.threads)
        for _ in range(MAX_THREADS):
            if not state:
                return
            data = self._read(state, layout.state_size)
            native = self._native_id(unpack(data, layout.thread_id)[0])
            yield native, state, self._hop(unpack(data, layout.newest_frame)[0])
            state = unpack(data, layout.next_thread)[0]
        raise Torn()

    def newest_frame(self, state):
        return self._hop(self._unpack(self._read(state + self._layout.newest_frame, WORD))[0])

    def _hop(self, address):
        """In 3.11 and 3.12 the state names a structure that names the frame."""
        if address and self._layout.frame_hop is not None:
            return self._unpack(self._read(address + self._layout.frame_hop, WORD))[0]
        return address

    def _native_id(self, value):
        if self._layout.pthread_native_id is None:
            return value & 0xffffffff
        known = self._native_ids.get(value)
        if known is None:
            data = self._read(value + self._layout.pthread_native_id, 4) if value else bytes(4)
            known = self._native_ids[value] = self._unpack_number(data)[0]
        return known

    def _read(self, address, size):
        try:
            return self._memory.read(address, size)
        except OSError:
            raise Torn()

    def stack(self, frame):
        """(((Code, line), ...) from the newest frame outwards, at most MAX_DEPTH and then a None if
        there were more; the address of the outermost frame, 0 when it was not reached)."""
        layout, unpack = self._layout, self._unpack
        code_at, caller_at, size = layout.frame_code, layout.frame_caller, layout.frame_size
        calls, outermost, seen = [], 0, set()
        window, start = b'', 0
        while frame:
            if frame in seen:
                raise Torn()  # a frame that was given out again, and so its own caller
            seen.add(frame)
            at = frame - start
            if at < 0 or at + size > len(window):
                window, start = self._window(frame, size)
                at = frame - start
            address = unpack(window, at + code_at)[0] & ~7
            # The interpreter's own entry frames hold None instead of code.
            code = None if address == self._none else self._code(address)
            if code is not None and not code.is_internal:
                if len(calls) == MAX_DEPTH:
                    calls.append(None)
                    return tuple(calls), 0
                calls.append((code, code.line_at(self._instruction(window, at, address))))
                outermost = frame
            frame = unpack(window, at + caller_at)[0]
        return tuple(calls), outermost

    def _instruction(self, window, at, code):
        """Offset of the instruction that a frame is at, in bytes from the first."""
        layout = self._layout
        if layout.frame_instruction is None:
            return -1
        place = at + layout.frame_instruction
        if HAS_SMALL_FRAMES:
            return self._unpack(window, place)[0] - code - layout.code_size
        return self._unpack_number(window, place)[0] * layout.instruction_bytes

    def _window(self, frame, size):
        """(bytes, their address) that hold a frame. From 3.11 on callers lie just below, in one
        block: its page is read with it, which is quicker and tears less than twenty reads."""
        below = frame & 0xfff
        if HAS_SMALL_FRAMES and below:
            try:
                return self._memory.read(frame - below, below + size), frame - below
            except OSError:
                pass  # the block begins inside this page
        return self._read(frame, size), frame

    def _code(self, address):
        """The code object at an address; raises Torn when there is none. One that is known is
        looked at again each REVALIDATE_SECONDS: another may have got a freed one's address."""
        known = self._codes.get(address)
        if known is not None and address in self._fresh:
            return known
        layout = self._layout
        head = self._read(address, layout.code_size)
        if self._unpack(head, layout.object_type)[0] != self._code_type:
            raise Torn()
        identity = tuple(self._unpack(head, at)[0]
                         for at in (layout.code_name, layout.code_file, layout.code_lines))
        if known is None or known.identity != identity:
            first_line = self._unpack_number(head, layout.code_first_line)[0]
            name, file, table = identity
            try:
                ranges = DECODE_LINES(self._bytes(table), first_line)
            except IndexError:
                raise Torn()
            known = Code(identity, self._string(name), self._string(file), first_line, ranges)
            self._codes[address] = known
        self._fresh.add(address)
        return known

    def _string(self, address):
        layout = self._layout
        head = self._read(address, layout.string_state + 4)
        length = self._unpack(head, layout.object_length)[0]
        state = self._unpack_number(head, layout.string_state)[0]
        width = state >> layout.string_width_shift & 7
        is_ascii = state >> layout.string_ascii_shift & 1
        if width not in (1, 2, 4):
            raise Torn()
        start = layout.ascii_start if is_ascii else layout.text_start
        data = self._read(address + start, min(length, MAX_NAME) * width)
        encoding = {1: 'latin-1', 2: 'utf-16', 4: 'utf-32'}[width]
        if width > 1:
            encoding += '-le' if sys.byteorder == 'little' else '-be'
        try:
            return data.decode(encoding, 'surrogatepass' if width > 1 else 'strict')
        except ValueError:
            raise Torn()

    def _bytes(self, address):
        length = self._unpack(self._read(address + self._layout.object_length, WORD))[0]
        if length > 1 << 22:
            raise Torn()
        return self._read(address + self._layout.bytes_start, length)

    def doubt(self):
        """What was read once may have changed: look again when it is next met."""
        self._fresh.clear()
        self._native_ids.clear()


class ThreadClock:
    """Whether a thread is on a CPU, and whether it has run at all, from /proc/PID/task/TID."""

    def __init__(self, pid):
        self._pid = pid
        self._folder = '/proc/%d/task/' % pid
        self._open = {}
        self._outer = {}

    def read(self, native):
        """(is on a CPU, mark of its CPU time or None); None for a thread that is not there. Equal
        marks of a thread that is not on a CPU: it has not run in between."""
        tid = self._outer.get(native, native)
        state = self._text(tid, 'stat')
        if state is None:
            tid = self._outer_id(native)
            state = None if tid is None else self._text(tid, 'stat')
            if state is None:
                return None
        letter = state[state.rindex(b')') + 2:][:1]
        if letter == b'R':
            return True, None
        return False, self._text(tid, 'schedstat')

    def keep_only(self, natives):
        """Closes what belongs to threads that are gone."""
        wanted = {self._outer.get(native, native) for native in natives}
        for key in [key for key in self._open if key[0] not in wanted]:
            os.close(self._open.pop(key))

    def name(self, native):
        tid = self._outer.get(native, native)
        if tid == self._pid:
            return 'MainThread'
        own, main = self._text(tid, 'comm'), self._text(self._pid, 'comm')
        if own and own != main:
            return '%s (%d)' % (own.decode('utf-8', 'replace').strip(), native)
        return 'Thread %d' % native

    def _outer_id(self, native):
        """Our number for a thread whose own PID namespace calls it `native`."""
        try:
            for entry in os.listdir(self._folder):
                status = self._text(int(entry), 'status') or b''
                for line in status.split(b'\n'):
                    if line.startswith(b'NSpid:') and int(line.split()[-1]) == native:
                        self._outer[native] = int(entry)
                        return int(entry)
        except OSError:
            pass
        return None

    def _text(self, tid, file):
        """A file's text now, else None. The descriptors that each round needs stay open."""
        key = (tid, file)
        fd = self._open.get(key)
        try:
            if fd is None:
                fd = os.open('%s%d/%s' % (self._folder, tid, file), os.O_RDONLY)
                if file in ('stat', 'schedstat') and len(self._open) < 2 * MAX_OPEN_THREADS:
                    self._open[key] = fd
            try:
                return os.pread(fd, 4096, 0)
            finally:
                if key not in self._open:
                    os.close(fd)
        except OSError:
            # The thread has ended. Its number may come again: the descriptor must go.
            if key in self._open:
                os.close(self._open.pop(key))
            return None


# ------------------------------------------------------------------------------------- sampling


class Report:
    """The JSON lines: frames and stacks are told once, then only counted."""

    def __init__(self):
        self._lines = []
        self._frames = 0
        self._stacks = {}
        self._counts = {}
        self._left_out = None

    def add(self, message):
        self._lines.append(json.dumps(message, separators=(',', ':')))

    def stack_id(self, thread, calls):
        """The number of a stack (innermost call first) on a thread."""
        key = (thread, calls)
        known = self._stacks.get(key)
        if known is None:
            frames = [[self._frame(call), 0 if call is None else call[1]]
                      for call in reversed(calls)]
            known = self._stacks[key] = len(self._stacks)
            self.add({'type': 'stack', 'id': known, 'frames': frames, 'thread': thread})
        return known

    def _frame(self, call):
        if call is None:
            if self._left_out is None:
                self._left_out = self._new_frame('(outer frames left out)', '', 0)
            return self._left_out
        code = call[0]
        if code.frame_id is None:
            code.frame_id = self._new_frame(code.name, code.file, code.first_line)
        return code.frame_id

    def _new_frame(self, name, file, line):
        number = self._frames
        self._frames += 1
        self.add({'type': 'frame', 'id': number, 'name': name, 'file': file, 'line': line})
        return number

    def count(self, stack, on_cpu):
        counts = self._counts.setdefault(stack, [0, 0])
        counts[0] += 1
        counts[1] += on_cpu

    def flush(self, elapsed):
        """Writes what there is; `elapsed` is in seconds."""
        if self._counts:
            self.add({'type': 'counts', 't': round(elapsed * 1000, 1),
                      'stacks': [[stack] + pair for stack, pair in self._counts.items()]})
            self._counts = {}
        if self._lines:
            data = ('\n'.join(self._lines) + '\n').encode('ascii')
            self._lines = []
            while data:
                data = data[os.write(1, data):]


class Sampler:
    """Reads the stacks of all threads, again and again."""

    def __init__(self, pid, target, report):
        self._target, self._report = target, report
        self._clock = ThreadClock(pid)
        self._last = {}
        self._names = {}
        self._name_count = 0
        self._met = set()
        self.torn = 0

    def round(self):
        """One sample of each thread. Raises TargetGone."""
        for attempt in range(ATTEMPTS):
            try:
                states = list(self._target.thread_states())
                break
            except (Torn, OSError):
                continue
        else:
            self.torn += 1
            return
        for native, state, frame in states:
            self._thread(native, state, frame)

    def _thread(self, native, state, frame):
        self._met.add(native)
        clock = self._clock.read(native)
        if clock is None or not frame:
            return  # it has just ended, or runs no Python
        on_cpu, mark = clock
        last = self._last.get(native)
        # A thread that has not run since its stack was read still has that stack.
        if mark is not None and last is not None and last[0] == mark and last[1] == frame:
            self._report.count(last[2], False)
            return
        found = self._whole_stack(state, frame, last and last[3])
        if found is None:
            self.torn += 1
            return
        calls, frame, root = found
        if calls:
            stack = self._report.stack_id(self._name(native), calls)
            self._last[native] = (mark, frame, stack, root)
            self._report.count(stack, on_cpu)

    def _whole_stack(self, state, frame, known_root):
        """(calls, newest frame, outermost frame); None when each attempt was torn. A frame that
        ended while it was read has lost its callers: so a stack has to end at the frame where
        this thread's stack ended before, or else twice at the same one."""
        before = None
        for _ in range(ATTEMPTS):
            try:
                if not frame:
                    return (), 0, known_root
                calls, root = self._target.stack(frame)
                if root in (0, known_root, before):
                    return calls, frame, root or known_root
                before = root
            except Torn:
                before = None
            try:
                frame = self._target.newest_frame(state)
            except Torn:
                return None
        return None

    def _name(self, native):
        name = self._names.get(native)
        if name is None:
            # A program that starts a thread per request shall not make a name for each.
            self._name_count += 1
            name = self._clock.name(native) if self._name_count <= MAX_THREADS else 'other threads'
            self._names[native] = name
        return name

    def doubt(self):
        """Threads may have ended and their numbers been given again: what was not met since the
        last time is forgotten."""
        self._target.doubt()
        for known in (self._names, self._last):
            for native in [native for native in known if native not in self._met]:
                del known[native]
        self._clock.keep_only(self._met)
        self._met = set()


def sample(pid, target, rate_hz, seconds, report):
    """Samples until the time is over, the target is gone or our stdin ends; the `end` message."""
    sampler = Sampler(pid, target, report)
    interval = 1.0 / rate_hz
    started = due = time.monotonic()
    flush_at, doubt_at = started + FLUSH_SECONDS, started + REVALIDATE_SECONDS
    rounds, missed, reason = 0, 0, 'done'
    while True:
        now = time.monotonic()
        if now - started >= seconds:
            break
        if now >= flush_at:
            report.flush(now - started)
            flush_at = now + FLUSH_SECONDS
        if now >= doubt_at:
            sampler.doubt()
            doubt_at = now + REVALIDATE_SECONDS
        if due > now:
            if not wait(due - now):
                reason = 'channel closed'
                break
            continue
        late = int((now - due) / interval)
        missed += late
        due += (late + 1) * interval
        try:
            sampler.round()
        except TargetGone:
            reason = 'target exited'
            break
        rounds += 1
    elapsed = time.monotonic() - started
    report.flush(elapsed)
    return {'type': 'end', 'samples': rounds, 'missed': missed, 'torn': sampler.torn,
            'seconds': round(elapsed, 3), 'samplerCpuSeconds': round(time.process_time(), 3),
            'rateGot': round(rounds / elapsed, 2) if elapsed else 0, 'reason': reason}


def wait(seconds):
    """Sleeps; False when our stdin has ended: nobody is there any more."""
    if not select.select([0], [], [], seconds)[0]:
        return True
    try:
        return bool(os.read(0, 4096))
    except OSError:
        return False


# ------------------------------------------------------------------------------------ the question


def read_question():
    """(pid, rateHz, seconds) from one JSON line; raises ValueError with what is wrong. Some of it
    may already be in the buffer, where a bootstrap has read it."""
    line = sys.stdin.buffer.readline(1 << 16)
    try:
        question = json.loads(line.decode('utf-8'))
        pid = question['pid']
        rate, seconds = question.get('rateHz', 49), question.get('seconds', 10)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError('the question is not one line of JSON with a pid')
    for name, value, most in (('pid', pid, 1 << 31), ('rateHz', rate, MAX_RATE_HZ),
                              ('seconds', seconds, MAX_SECONDS)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
            raise ValueError('%s must be a number above 0 and at most %d' % (name, most))
    return int(pid), rate, seconds


def open_target(pid, layout):
    try:
        return Target(pid, layout)
    except PermissionError:
        raise CannotSample('process %d may not be read: connect as its user or as root, or use '
                           'py-spy where it is allowed to' % pid)
    except (FileNotFoundError, ProcessLookupError, TargetGone):
        raise CannotSample('there is no process %d (any more)' % pid)


def check_interpreter(pid):
    if sys.implementation.name != 'cpython' or sys.version_info < (3, 7):
        raise CannotSample('process %d runs %s %d.%d; this sampler knows CPython from 3.7 on, use '
                           'py-spy' % ((pid, sys.implementation.name) + sys.version_info[:2]))
    if not sys.platform.startswith('linux'):
        raise CannotSample('this sampler reads /proc, which only Linux has; use py-spy')


def main():
    try:
        pid, rate_hz, seconds = read_question()
    except ValueError as error:
        sys.stderr.write('faultline: %s\n' % error)
        return 2
    try:
        check_interpreter(pid)
        started = time.monotonic()
        target = open_target(pid, Layout())
        threads = sum(1 for _ in target.thread_states())
    except (CannotSample, Torn, TargetGone) as error:
        sentence = str(error) or 'process %d is starting or ending; try again' % pid
        sys.stderr.write('faultline: %s\n' % sentence)
        return 3
    gc.disable()  # nothing here makes cycles; a collection would only be a pause
    report = Report()
    report.add({'type': 'meta', 'version': VERSION, 'pid': pid, 'rateHz': rate_hz,
                'seconds': seconds, 'python': '%d.%d.%d' % sys.version_info[:3],
                'threads': threads, 'calibratedMs': round((time.monotonic() - started) * 1000, 1)})
    try:
        report.flush(0)
        report.add(sample(pid, target, rate_hz, seconds, report))
        report.flush(0)
    except BrokenPipeError:
        pass  # nobody reads any more
    return 0


if __name__ == '__main__':
    sys.exit(main())
