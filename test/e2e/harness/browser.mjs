/**
 * The workbench as a user has it: opened in Debian's Chromium, worked with mouse and keyboard, read
 * from the screen. Nothing here calls a command from inside.
 */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { outDir } from '../../tools/project.mjs';
import { Stop } from '../../tools/stop.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').Locator} Locator */
/** @typedef {import('playwright-core').FrameLocator} FrameLocator */

/** The first start of a workbench on a busy machine. */
const OPEN_TIMEOUT_MS = 120_000;

/** Everything after it. */
const ACTION_TIMEOUT_MS = 30_000;

/** Longer than VS Code's menus ignore the mouse after they open, and than they take to close. */
const MENU_SETTLE_MS = 400;
const MENU_CLICK_TIMEOUT_MS = 3000;

/** Lists draw what is visible only: how far the wheel turns to see more, in pixels. */
const SCROLL_STEP_PX = 200;

/** @typedef {'dark' | 'light' | 'high-contrast'} Theme */

/**
 * @typedef {object} TreeItem
 * @property {string} label
 * @property {string} description the dimmed text beside the label
 * @property {number} level 1 = at the root
 * @property {boolean | undefined} isExpanded undefined for a leaf
 * @property {boolean} isSelected
 * @property {boolean} isFirst whether it is the view's first item
 */

/** @typedef {string | RegExp} Text whole text, or a pattern in it */

/** @typedef {Awaited<ReturnType<typeof openWorkbench>>} Workbench */

/** @returns {string[]} Debian packages that the browser needs and that are not there */
export function missingBrowserPackages() {
  const missing = [];
  if (findChromium() === undefined) missing.push('chromium');
  // Without any font a page has boxes for letters.
  const hasFonts = process.platform !== 'linux' || existsSync('/usr/share/fonts/truetype');
  if (!hasFonts) missing.push('fonts-dejavu-core');
  return missing;
}

/** @returns {string | undefined} */
function findChromium() {
  return [
    process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ].find((file) => existsSync(file));
}

/** @returns {Promise<import('playwright-core').Browser>} */
export function launchBrowser() {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    throw new Stop('Chromium is missing: install Debian\'s "chromium", or name one in CHROMIUM.');
  }
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', // Chromium's own sandbox does not start for root; the page is our own.
      '--disable-gpu',
      // Webviews and the server share 127.0.0.1; newer Chromium asks the user about that.
      '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/**
 * Opens a workbench in a browser of its own. Close it in a `finally`.
 *
 * @param {string} url of `startCodeServer`
 * @param {{ theme?: Theme, width?: number, height?: number }} [options]
 */
export async function openWorkbench(url, { theme = 'dark', width = 1400, height = 900 } = {}) {
  const browser = await launchBrowser();
  try {
    const context = await browser.newContext({ viewport: { width, height } });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await context.newPage();
    page.setDefaultTimeout(ACTION_TIMEOUT_MS);
    await page.emulateMedia(media(theme));
    await page.goto(url, { timeout: OPEN_TIMEOUT_MS });
    await page.waitForSelector('.monaco-workbench .part.statusbar', { timeout: OPEN_TIMEOUT_MS });
    return { ...workbench(page, theme), close: () => browser.close() };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

/**
 * VS Code follows the system's colours (`window.autoDetectColorScheme`), so a test changes those.
 *
 * @param {Theme} theme
 */
function media(theme) {
  return /** @type {const} */ ({
    colorScheme: theme === 'light' ? 'light' : 'dark',
    forcedColors: theme === 'high-contrast' ? 'active' : 'none',
    reducedMotion: 'reduce',
  });
}

/**
 * @param {Page} page
 * @param {Theme} firstTheme
 */
function workbench(page, firstTheme) {
  let theme = firstTheme;
  const quickInput = page.locator('.quick-input-widget');
  const activeEditor = page.locator('.editor-group-container.active .editor-instance');

  /** @param {string} title of a view, as in its header */
  const view = (title) =>
    page.locator('.pane').filter({ has: page.locator(`.pane-header[aria-label^="${title} "]`) });

  /**
   * @param {string} viewTitle
   * @param {Text} label
   */
  const row = (viewTitle, label) =>
    view(viewTitle)
      .locator('.monaco-list-row[role=treeitem]')
      .filter({ has: page.locator('.label-name', { hasText: exactly(label) }) })
      .first();

  /**
   * Scrolls a tree until the item is drawn.
   *
   * @param {string} viewTitle
   * @param {Text} label
   */
  async function revealTreeItem(viewTitle, label) {
    await expandView(viewTitle);
    const item = row(viewTitle, label);
    const list = view(viewTitle).locator('.monaco-list').first();
    const deadline = Date.now() + ACTION_TIMEOUT_MS;
    let direction = -1; // First up to the top, then down; new items may also be on their way.
    while (!(await item.isVisible())) {
      const shown = await treeItems(viewTitle);
      if (Date.now() > deadline) {
        const labels = shown.map((one) => one.label).join(', ');
        throw new Error(`The view "${viewTitle}" has no item "${label}". It shows: ${labels}`);
      }
      if (shown[0]?.isFirst === true) direction = 1;
      if (shown.length > 0) {
        await list.hover();
        await page.mouse.wheel(0, direction * SCROLL_STEP_PX);
      }
      await page.waitForTimeout(100);
    }
    await item.scrollIntoViewIfNeeded();
    return item;
  }

  /** @param {string} title */
  async function expandView(title) {
    const header = view(title).locator('.pane-header');
    await header.waitFor();
    if ((await header.getAttribute('aria-expanded')) === 'false') await header.click();
  }

  /**
   * What a view shows; items below the fold are not drawn and not listed.
   *
   * @param {string} viewTitle
   * @returns {Promise<TreeItem[]>}
   */
  async function treeItems(viewTitle) {
    await expandView(viewTitle);
    return view(viewTitle)
      .locator('.monaco-list-row[role=treeitem]')
      .evaluateAll((rows) =>
        rows
          .map((row) => ({
            position: Number(row.getAttribute('data-index')),
            label: row.querySelector('.label-name')?.textContent ?? '',
            description: row.querySelector('.label-description')?.textContent ?? '',
            level: Number(row.getAttribute('aria-level')),
            isExpanded: row.hasAttribute('aria-expanded')
              ? row.getAttribute('aria-expanded') === 'true'
              : undefined,
            isSelected: row.getAttribute('aria-selected') === 'true',
          }))
          .sort((a, b) => a.position - b.position)
          .map(({ position, ...item }) => ({ ...item, isFirst: position === 0 })),
      );
  }

  /**
   * The quick pick's entry with this label.
   *
   * @param {Text} label
   */
  const pickEntry = (label) =>
    quickInput
      .locator('.monaco-list-row')
      .filter({ has: page.locator('.label-name', { hasText: exactly(label) }) })
      .first();

  return {
    page,

    /** @param {Theme} next */
    async setTheme(next) {
      theme = next;
      await page.emulateMedia(media(next));
      // Colours arrive with the theme's file; webviews get them after that.
      const base = { dark: 'vs-dark', light: 'vs', 'high-contrast': 'hc-black' }[next];
      await page.waitForSelector(`.monaco-workbench.${base}`);
      await page.waitForTimeout(300);
    },

    /**
     * Saves test/out/screenshots/THEME/NAME.png.
     *
     * @param {string} name
     * @returns {Promise<string>} the file
     */
    async screenshot(name) {
      const file = path.join(outDir, 'screenshots', theme, `${name}.png`);
      mkdirSync(path.dirname(file), { recursive: true });
      await page.screenshot({ path: file, animations: 'disabled' });
      return file;
    },

    /**
     * Runs a command by the command palette (F1).
     *
     * @param {string} title as the palette shows it: "Category: Title"
     */
    async runCommand(title) {
      await page.keyboard.press('F1');
      const input = quickInput.locator('input.input');
      await input.waitFor();
      await input.fill(`>${title}`);
      await pickEntry(title).click();
    },

    /**
     * Shows a view container.
     *
     * @param {string} title as the activity bar names it
     */
    async openContainer(title) {
      const button = page.locator(
        `.activitybar .action-label[aria-label="${title}"], .activitybar .action-label[aria-label^="${title} "]`,
      );
      await button.first().waitFor({ timeout: OPEN_TIMEOUT_MS });
      const isOpen = await page
        .locator(`.part.sidebar .title-label h2`, { hasText: title })
        .isVisible();
      // A badge may lie over the icon; a click on it is one on the icon all the same.
      if (!isOpen) await button.first().click({ force: true });
    },

    treeItems,

    /**
     * Waits until an item of a view is as wanted.
     *
     * @param {string} viewTitle
     * @param {(items: TreeItem[]) => boolean} isWanted
     * @param {number} [timeoutMs]
     * @returns {Promise<TreeItem[]>}
     */
    async waitForTree(viewTitle, isWanted, timeoutMs = ACTION_TIMEOUT_MS) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const items = await treeItems(viewTitle);
        if (isWanted(items)) return items;
        if (Date.now() > deadline) {
          const shown = items.map(({ label, description }) => `${label} (${description})`);
          throw new Error(
            `The view "${viewTitle}" never came to it. It shows: ${shown.join(', ')}`,
          );
        }
        await page.waitForTimeout(200);
      }
    },

    /**
     * Clicks an item; with `toggle` it is added to the selection, as Ctrl+click does.
     *
     * @param {string} viewTitle
     * @param {Text} label
     * @param {{ toggle?: boolean }} [options]
     */
    async clickTreeItem(viewTitle, label, { toggle = false } = {}) {
      const item = await revealTreeItem(viewTitle, label);
      // On the text: a row's middle may lie under its inline actions.
      await item.locator('.label-name').click({ modifiers: toggle ? ['Control'] : [] });
    },

    /**
     * @param {string} viewTitle
     * @param {Text} label
     */
    async expandTreeItem(viewTitle, label) {
      const item = await revealTreeItem(viewTitle, label);
      if ((await item.getAttribute('aria-expanded')) === 'true') return;
      await item.locator('.monaco-tl-twistie').click();
    },

    /**
     * Clicks an inline action of an item: the icons that appear at its right.
     *
     * @param {string} viewTitle
     * @param {Text} label
     * @param {string} action its title
     */
    async clickTreeAction(viewTitle, label, action) {
      const item = await revealTreeItem(viewTitle, label);
      await item.hover();
      await item.locator(`.actions .action-label[aria-label^="${action}"]`).click();
    },

    /**
     * Chooses an entry of an item's context menu.
     *
     * @param {string} viewTitle
     * @param {Text} label
     * @param {string} entry
     */
    async clickTreeMenu(viewTitle, label, entry) {
      const item = await revealTreeItem(viewTitle, label);
      await item.locator('.label-name').click({ button: 'right' });
      const action = page.locator('.monaco-menu .action-item .action-label', {
        hasText: exactly(entry),
      });
      await action.waitFor();
      // A menu takes no click in its first moments, so that the click that opened it chooses nothing.
      const deadline = Date.now() + ACTION_TIMEOUT_MS;
      while (await action.isVisible()) {
        if (Date.now() > deadline) throw new Error(`The menu entry "${entry}" takes no click.`);
        await page.waitForTimeout(MENU_SETTLE_MS);
        // It fails when the menu closes under the pointer, which is as good.
        await action.click({ timeout: MENU_CLICK_TIMEOUT_MS }).catch(() => undefined);
        await page.waitForTimeout(MENU_SETTLE_MS);
      }
    },

    /**
     * Clicks an icon in a view's header.
     *
     * @param {string} viewTitle
     * @param {string} action
     */
    async clickViewAction(viewTitle, action) {
      await expandView(viewTitle);
      await view(viewTitle).hover();
      await view(viewTitle).locator(`.pane-header .action-label[aria-label^="${action}"]`).click();
    },

    /**
     * Chooses an entry of the quick pick that is open.
     *
     * @param {Text} label
     */
    async pick(label) {
      await pickEntry(label).click();
    },

    /**
     * Types into the input box that is open and confirms it.
     *
     * @param {string} text
     */
    async answer(text) {
      const input = quickInput.locator('input.input');
      await input.waitFor();
      await input.fill(text);
      await input.press('Enter');
    },

    /**
     * Waits for a notification.
     *
     * @param {Text} text
     * @returns {Promise<Locator>} to read it or click its buttons
     */
    async notification(text) {
      const toast = page.locator('.notification-toast', { hasText: text }).last();
      await toast.waitFor();
      return toast;
    },

    /** Closes all notifications, so that they hide nothing. */
    async clearNotifications() {
      const close = page.locator('.notification-toast .codicon-notifications-clear');
      while ((await close.count()) > 0) {
        await page.locator('.notification-toast').first().hover();
        await close.first().click();
        await page.waitForTimeout(100);
      }
    },

    /**
     * A button of the modal dialog that is open.
     *
     * @param {string} title
     */
    async clickDialogButton(title) {
      await page.locator('.monaco-dialog-box .monaco-button', { hasText: exactly(title) }).click();
    },

    /**
     * The inside of a webview, panel or view, by its title.
     *
     * @param {Text} title
     * @returns {Promise<FrameLocator>} locate, click and read in it as in a page
     */
    async webviewFrame(title) {
      const deadline = Date.now() + OPEN_TIMEOUT_MS;
      const frames = page.locator('iframe.webview.ready');
      for (;;) {
        for (const frame of await frames.all()) {
          const inner = frame.contentFrame().locator('iframe#active-frame');
          const innerTitle = await inner.getAttribute('title', { timeout: 1000 }).catch(() => null);
          if (innerTitle !== null && exactly(title).test(innerTitle)) return inner.contentFrame();
        }
        if (Date.now() > deadline) throw new Error(`No webview "${title}" appeared.`);
        await page.waitForTimeout(200);
      }
    },

    /** @returns {Promise<string[]>} titles of the open editors, left to right */
    async editorTitles() {
      return page.locator('.tabs-container .tab .label-name').allTextContents();
    },

    /**
     * Waits until an editor of this title is in front.
     *
     * @param {Text} title
     */
    async waitForEditor(title) {
      await page
        .locator('.tabs-container .tab.active .label-name', { hasText: exactly(title) })
        .first()
        .waitFor();
    },

    /**
     * What the active editor shows; lines below the fold are not drawn and not part of it.
     *
     * @returns {Promise<string>}
     */
    async editorText() {
      return linesOf(activeEditor.last());
    },

    /**
     * The two sides of the diff editor in front.
     *
     * @returns {Promise<{ original: string, modified: string }>}
     */
    async diffText() {
      const side = (/** @type {string} */ name) =>
        linesOf(activeEditor.locator(`.monaco-diff-editor .editor.${name}`).first());
      return { original: await side('original'), modified: await side('modified') };
    },

    /**
     * Clicks a CodeLens of the active editor.
     *
     * @param {Text} title
     */
    async clickCodeLens(title) {
      await activeEditor.locator('.codelens-decoration a', { hasText: title }).first().click();
    },
  };
}

/**
 * @param {Text} text
 * @returns {RegExp}
 */
function exactly(text) {
  if (text instanceof RegExp) return text;
  return new RegExp(`^\\s*${text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}\\s*$`);
}

/** @typedef {{ textContent: string | null, style: { top: string } }} DrawnLine */

/**
 * The lines that an editor has drawn, from top to bottom.
 *
 * @param {Locator} editor
 * @returns {Promise<string>}
 */
function linesOf(editor) {
  return editor
    .locator('.view-lines')
    .first()
    .evaluate((lines) => {
      const drawn = /** @type {unknown} */ ([...lines.querySelectorAll('.view-line')]);
      return (
        /** @type {DrawnLine[]} */ (drawn)
          .sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top))
          // Editors draw blanks as no-break spaces.
          .map((line) => (line.textContent ?? '').replaceAll('\u00a0', ' '))
          .join('\n')
      );
    });
}
