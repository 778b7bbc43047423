/**
 * Checks pages with axe-core, as far as a program can: contrast, names of controls, landmarks, headings.
 *
 * @module
 */
import { load } from "./browser.ts";
import type { Page } from "./types/playwright.d.ts";

interface Findings {
  violations: { id: string; nodes: { html: string }[] }[];
}

/** What axe-core finds in a page, in light and in dark. */
export async function accessibility(page: Page): Promise<string[]> {
  const found: string[] = [];
  const axe = await load("npm:axe-core@4.14.1") as { source: string };
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe.source); // by the debugger: the page's policy allows no script but its own
    const { violations } = await page.evaluate<Findings>("axe.run({ iframes: false })");
    found.push(
      ...violations.map(({ id, nodes }) => `${colorScheme}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`),
    );
  }
  await page.emulateMedia({ colorScheme: "light" });
  return found;
}
