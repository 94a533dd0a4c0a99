# Finds the entries that hold a hit, for logSearch.sh. Runs in mawk, gawk, BusyBox awk and the one true awk.
#
# FL_INPUT  hits: grep's output with numbers and the lines around each hit (12:hit, 13-below, --)
#           lines: what is searched for, an empty line, a whole file
#           ends: the end of a file, of which every entry is wanted
# FL_BASE   number of the line before the first one; empty: lines are not counted
# FL_PARTIAL  1 when the first line is the rest of one
# Prints 12:text for each line of a wanted entry; exits with 3 when lines with \001 (binary) were left out.
#
# An entry may be given more lines than it has (the reader knows better), but never fewer.

BEGIN {
  starts = ENVIRON["FL_STARTS"]
  input = ENVIRON["FL_INPUT"]
  base = ENVIRON["FL_BASE"]
  # What stands above the first entry in a cut end is the rest of another entry.
  isCut = base != "0"
  if (input == "lines") readNeedles()
  maxBytes = 1048576
}

input == "hits" && $0 == "--" {
  put()
  isKnown = inTrace = 0
  next
}

input == "hits" {
  match($0, /[:-]/)
  take(substr($0, 1, RSTART - 1), substr($0, RSTART + 1), substr($0, RSTART, 1) == ":")
  next
}

input == "lines" {
  take(NR - needleCount - 1, $0, holdsNeedle($0))
  next
}

NR == 1 && ENVIRON["FL_PARTIAL"] { next }

index($0, "\001") {
  binaryHits++
  next
}

isCut && $0 ~ starts { count = isCut = 0 }

{ keep(base == "" ? "" : base + NR, $0) }

!isCut { printKept() }

END {
  if (input == "ends") printKept()
  else put()
  if (binaryHits) exit 3
}

function readNeedles(  needle) {
  while ((getline needle) > 0 && needle != "") needles[++needleCount] = needle
}

function holdsNeedle(line,  i) {
  for (i = 1; i <= needleCount; i++) if (index(line, needles[i])) return 1
  return 0
}

function take(number, line, hit) {
  if (index(line, "\001")) {
    if (hit) binaryHits++
    return
  }
  if (begins(line)) put()
  if (hit) isHit = 1
  bytes += length(line)
  if (count == 0 || bytes <= maxBytes) keep(number, line)
}

function keep(number, line) {
  numbers[++count] = number
  lines[count] = substr(line, 1, maxBytes)
}

function printKept(  i) {
  for (i = 1; i <= count; i++) print numbers[i] ":" lines[i]
  count = 0
}

# Once a first line of a known format was seen, only another one ends an entry. Before that it is plain
# text, where every line that is neither indented nor part of a stack trace is an entry.
function begins(line) {
  if (line ~ starts) {
    isKnown = 1
    return 1
  }
  if (isKnown) return 0
  if (line ~ /^(Traceback |panic: |goroutine |Caused by: |During handling of |The above exception )/) {
    inTrace = 1
    return 0
  }
  if (line == "" || line ~ /^[ \t]/) return 0
  if (inTrace) {
    inTrace = 0
    return 0
  }
  return 1
}

function put() {
  if (isHit) printKept()
  count = bytes = isHit = 0
}
