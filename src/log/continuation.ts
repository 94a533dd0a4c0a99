// Which lines belong to the entry above them although they are not indented: the parts of stack traces.

// The first line of a trace; what is unindented below it, up to and with the error's own line, belongs to it.
const traceStart = /^(?:Traceback \(most recent call last\):|panic: |goroutine \d+ \[)/;

// Lines that carry a trace on after its first error line.
const traceLink =
  /^(?:During handling of the above exception, another exception occurred:|The above exception was the direct cause of the following exception:|Caused by: |\s*\.\.\. \d+ (?:more|common frames omitted)$)/;

const indented = /^[ \t]/;

/** Follows one entry's unrecognised lines and says which of them are part of a stack trace. */
export class TraceTracker {
  /** Inside a trace whose own error line has not come yet. */
  private isOpen = false;
  /** A trace, or something indented like the frames of one, came already. */
  private hasFrames = false;

  /** True when this line continues the entry above it; call it with every line below an entry, in order. */
  continues(line: string): boolean {
    if (traceStart.test(line)) {
      this.isOpen = true;
      this.hasFrames = true;
      return true;
    }
    if (indented.test(line)) {
      this.hasFrames = true;
      return true;
    }
    if (line === '' || (this.hasFrames && traceLink.test(line))) return true;
    if (!this.isOpen) return false;
    // The error's own line, e.g. `KeyError: 'tax'`, ends the trace.
    this.isOpen = false;
    return true;
  }
}

export function startsTrace(line: string): boolean {
  return traceStart.test(line);
}
