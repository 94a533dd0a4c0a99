// @vscode/spdlog in plain JavaScript, as far as VS Code uses it: log files with levels.
const fs = require('node:fs');
const path = require('node:path');

/** Position = level. */
const LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical'];
const INFO = 2;

let level = INFO;

class Logger {
  /** @type {number | undefined} */
  #file;
  #level = level;
  #isRaw = false;

  /**
   * @param {string} _kind
   * @param {string} _name
   * @param {string} file
   */
  constructor(_kind, _name, file) {
    try {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      this.#file = fs.openSync(file, 'a');
    } catch {
      // Without a file there is nobody to tell: VS Code's log is this log.
    }
    for (const [position, name] of LEVELS.entries()) {
      Object.assign(this, { [name]: (/** @type {string} */ text) => this.#write(position, text) });
    }
    Object.assign(this, { warn: (/** @type {string} */ text) => this.#write(3, text) });
  }

  /**
   * @param {number} position
   * @param {string} text
   */
  #write(position, text) {
    if (position < this.#level || this.#file === undefined) return;
    const time = new Date().toISOString().replace('T', ' ').replace('Z', '');
    const line = this.#isRaw ? text : `${time} [${LEVELS[position]}] ${text}\n`;
    try {
      fs.writeSync(this.#file, line);
    } catch {
      // A full disk must not stop the editor.
    }
  }

  getLevel() {
    return this.#level;
  }

  /** @param {number} next */
  setLevel(next) {
    this.#level = next;
  }

  setPattern() {}

  clearFormatters() {
    this.#isRaw = true;
  }

  flush() {}

  drop() {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#file = undefined;
  }
}

/**
 * @param {string} name
 * @param {string} file
 */
const createLogger = async (name, file) => new Logger('rotating', name, file);

exports.version = '0';
exports.Logger = Logger;
exports.setFlushOn = () => {};
exports.createRotatingLogger = createLogger;
exports.createAsyncRotatingLogger = createLogger;
/** @param {number} next */
exports.setLevel = (next) => {
  level = next;
};
