/**
 * Progress of long steps: one live line with the elapsed time on a terminal, plain lines elsewhere.
 * Node's own modules only: used before anything is installed.
 */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;

/** Without a terminal a line a second helps nobody; one in ten seconds shows that it is alive. */
const PLAIN_INTERVAL_MS = 10_000;

/** @typedef {(detail: string) => void} OnProgress what is being done right now, in a few words */

/** @param {number} ms */
export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/**
 * Runs `work` and shows that it runs. Its result, or its failure, is passed on.
 *
 * @template T
 * @param {string} title
 * @param {(onProgress: OnProgress) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const startedAt = Date.now();
  const elapsed = () => seconds(Date.now() - startedAt);
  const line = process.stdout.isTTY ? liveLine(title, elapsed) : plainLines(title, elapsed);
  try {
    const value = await work(line.onProgress);
    line.end(`✓ ${title} (${elapsed()})`);
    return value;
  } catch (error) {
    line.end(`✗ ${title} (${elapsed()})`);
    throw error;
  }
}

/**
 * @param {string} title
 * @param {() => string} elapsed
 */
function liveLine(title, elapsed) {
  let frame = 0;
  let detail = '';
  const draw = () => {
    const text = `${FRAMES[frame++ % FRAMES.length]} ${title} ${elapsed()}${detail && ` · ${detail}`}`;
    process.stdout.write(`\r\x1b[K${text.slice(0, process.stdout.columns - 1)}`);
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  return {
    onProgress: (/** @type {string} */ text) => {
      detail = text;
    },
    end: (/** @type {string} */ text) => {
      clearInterval(timer);
      process.stdout.write(`\r\x1b[K${text}\n`);
    },
  };
}

/**
 * @param {string} title
 * @param {() => string} elapsed
 */
function plainLines(title, elapsed) {
  console.log(`… ${title}`);
  let detail = '';
  const timer = setInterval(() => {
    console.log(`  ${title}: ${elapsed()}${detail && `, ${detail}`}`);
  }, PLAIN_INTERVAL_MS);
  return {
    onProgress: (/** @type {string} */ text) => {
      detail = text;
    },
    end: (/** @type {string} */ text) => {
      clearInterval(timer);
      console.log(text);
    },
  };
}
