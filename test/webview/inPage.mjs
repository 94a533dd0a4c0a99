// What tests put into the page of the flame graph before its own script runs: VS Code's API object
// and theme, and the few things a test does inside the page. Plain browser code, sent as a file.

/** @typedef {{ bodyClass: string, variables: Readonly<Record<string, string>> }} Theme */

/**
 * What Playwright puts on the window.
 *
 * @typedef {object} Bridge
 * @property {(message: unknown) => void} testSend
 * @property {(state: unknown) => void} testSetState
 * @property {{ theme: Theme, state: unknown }} testGiven
 * @property {() => unknown} acquireVsCodeApi
 * @property {object} flameTest
 */

{
  const bridge = /** @type {Window & Bridge} */ (/** @type {unknown} */ (window));

  bridge.acquireVsCodeApi = () => ({
    postMessage: (/** @type {unknown} */ message) => bridge.testSend(message),
    getState: () => bridge.testGiven.state,
    setState: (/** @type {unknown} */ state) => bridge.testSetState(state),
  });

  document.addEventListener('securitypolicyviolation', (event) => {
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
  });

  /** @param {Theme} theme */
  const dress = (theme) => {
    document.body.className = theme.bodyClass;
    for (const [name, value] of Object.entries(theme.variables)) {
      document.documentElement.style.setProperty(`--vscode-${name}`, value);
    }
  };
  new MutationObserver((_, observer) => {
    if (document.body === null) return;
    observer.disconnect();
    dress(bridge.testGiven.theme);
  }).observe(document, { childList: true, subtree: true });

  /** @type {Readonly<Record<string, new (values: number[]) => unknown>>} */
  const arrays = { Float64Array, Int32Array, Uint32Array };

  /**
   * Typed arrays came as `{ array: name, values }`.
   *
   * @param {unknown} value
   * @returns {unknown}
   */
  const revive = (value) => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    const { array, values } = /** @type {{ array?: string, values?: number[] }} */ (value);
    const make = array === undefined ? undefined : arrays[array];
    if (make !== undefined && values !== undefined) return new make(values);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, revive(each)]));
  };

  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  bridge.flameTest = {
    dress,

    /**
     * A message as if from the panel.
     *
     * @param {unknown} data
     */
    receive(data) {
      window.dispatchEvent(new MessageEvent('message', { data: revive(data) }));
    },

    /** Two animation frames: what was asked for is then drawn. */
    async settle() {
      await nextFrame();
      await nextFrame();
    },

    /** @returns {Promise<number>} ms from the wheel to the next frame, median of 40 zoom steps */
    async zoomStepMs() {
      const element = document.querySelector('.flame-scroll');
      if (element === null) return Infinity;
      const { left, top } = element.getBoundingClientRect();
      const steps = [];
      for (let step = 0; step < 40; step++) {
        const startedAt = performance.now();
        const deltaY = step < 20 ? -100 : 100;
        element.dispatchEvent(
          new WheelEvent('wheel', {
            deltaY,
            clientX: left + 500,
            clientY: top + 100,
            cancelable: true,
          }),
        );
        await nextFrame();
        steps.push(performance.now() - startedAt);
      }
      return steps.sort((a, b) => a - b)[20] ?? Infinity;
    },

    /** Of the canvas: its width in pixels, its width on the page, and a pixel of its first call. */
    canvas() {
      const canvas = document.querySelector('canvas');
      if (canvas === null) return undefined;
      const pixel = canvas.getContext('2d')?.getImageData(canvas.width - 30, 30, 1, 1).data;
      return {
        width: canvas.width,
        cssWidth: canvas.clientWidth,
        pixel: [...(pixel ?? [])],
        pageWidth: document.body.scrollWidth,
      };
    },

    /** What hostile text may have made. */
    made() {
      return {
        elements: document.querySelectorAll(
          '#root script, #root img, #root svg, #root a, #root iframe',
        ).length,
        isPolluted: 'alert' in Object.prototype || 'onerror' in Object.prototype,
      };
    },
  };
}
