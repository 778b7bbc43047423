// What the tests of the pages use of playwright-core. The package itself is no part of the module graph (see browser.ts).

interface Wait {
  timeout?: number;
}

/** What of a page is meant: a selector, found again at each step. */
export interface Locator {
  all(): Promise<Locator[]>;
  allTextContents(): Promise<string[]>;
  click(options?: Wait & { force?: boolean }): Promise<void>;
  count(): Promise<number>;
  evaluateAll<T>(body: (elements: object[]) => T): Promise<T>;
  fill(value: string): Promise<void>;
  filter(options: { hasText?: string | RegExp }): Locator;
  first(): Locator;
  focus(): Promise<void>;
  getAttribute(name: string): Promise<string | null>;
  getByRole(role: string, options?: { name?: string | RegExp }): Locator;
  hover(): Promise<void>;
  inputValue(): Promise<string>;
  isVisible(): Promise<boolean>;
  last(): Locator;
  locator(selector: string): Locator;
  nth(index: number): Locator;
  press(key: string): Promise<void>;
  pressSequentially(text: string): Promise<void>;
  textContent(): Promise<string | null>;
  waitFor(options?: Wait): Promise<void>;
}

interface Dialog {
  accept(): Promise<void>;
  dismiss(): Promise<void>;
  message(): string;
}

interface Download {
  path(): Promise<string>;
  suggestedFilename(): string;
}

interface ConsoleMessage {
  location(): { url: string };
  text(): string;
  type(): string;
}

interface Request {
  failure(): { errorText: string } | null;
  url(): string;
}

/** What happens in a page, and what is passed on then. */
interface Events {
  console: ConsoleMessage;
  dialog: Dialog;
  download: Download;
  pageerror: Error;
  requestfailed: Request;
}

export interface Page {
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  click(selector: string, options?: Wait & { force?: boolean }): Promise<void>;
  close(): Promise<void>;
  context(): BrowserContext;
  emulateMedia(options: { colorScheme?: "light" | "dark"; reducedMotion?: "reduce" }): Promise<void>;
  /** Of an expression as text: the page has types of its own. */
  evaluate<T = unknown>(expression: string): Promise<T>;
  fill(selector: string, value: string): Promise<void>;
  frameLocator(selector: string): { locator(selector: string): Locator };
  getByRole(role: string, options?: { name?: string | RegExp }): Locator;
  goBack(options?: { waitUntil?: "commit" | "load" }): Promise<unknown>;
  goto(url: string): Promise<unknown>;
  hover(selector: string): Promise<void>;
  locator(selector: string, options?: { hasText?: string | RegExp }): Locator;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => unknown): void;
  once<E extends keyof Events>(event: E, listener: (value: Events[E]) => unknown): void;
  press(selector: string, key: string): Promise<void>;
  reload(): Promise<unknown>;
  screenshot(options: { fullPage?: boolean; path?: string }): Promise<unknown>;
  selectOption(selector: string, value: string): Promise<string[]>;
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  textContent(selector: string): Promise<string | null>;
  title(): Promise<string>;
  url(): string;
  waitForEvent<E extends keyof Events>(event: E): Promise<Events[E]>;
  waitForSelector(selector: string, options?: Wait): Promise<unknown>;
  waitForTimeout(milliseconds: number): Promise<void>;
  waitForURL(url: string): Promise<void>;
}

export interface BrowserContext {
  newPage(): Promise<Page>;
  pages(): Page[];
  waitForEvent(event: "page"): Promise<Page>;
}

export interface Browser {
  close(): Promise<void>;
  newContext(): Promise<BrowserContext>;
  newPage(options?: { viewport?: { width: number; height: number } }): Promise<Page>;
}

export interface Playwright {
  readonly chromium: { connectOverCDP(url: string): Promise<Browser> };
}
