// @vscode/native-watchdog in plain JavaScript: ends this process when its parent is gone.
const CHECK_INTERVAL_MS = 2000;
const PARENT_GONE = 87;

/** @type {NodeJS.Timeout | undefined} */
let timer;

/** @param {number} parentPid */
exports.start = (parentPid) => {
  timer ??= setInterval(() => {
    try {
      process.kill(parentPid, 0);
    } catch {
      process.exit(PARENT_GONE);
    }
  }, CHECK_INTERVAL_MS).unref();
};

/** @param {number | undefined} code */
exports.exit = (code) => process.exit(code ?? 0);
