/**
 * The style of the page, on top of that of all pages.
 *
 * @module
 */
export const style = `
:root { --hue-0: light-dark(#0a55b8, #86b7ff); --hue-1: light-dark(#8a4300, #ffb36b);
  --hue-2: light-dark(#116a3a, #6fdc9d);
  --hue-3: light-dark(#7b2d9b, #dba4f5); --hue-4: light-dark(#8c1c3c, #ff9db4); --hue-5: light-dark(#005f6b, #66d9e8);
  --lit: light-dark(#ffe9a8, #5c4a00); }
main { max-width: none; padding: 0.75rem 1rem; display: flex; flex-direction: column; height: 100vh; height: 100dvh; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 0.35rem 1rem; }
h1 { margin: 0; font-size: 1.125rem; }
h2 { margin: 0 0 0.25rem; font-size: 1rem; overflow-wrap: anywhere; }
#tools, #pairs { display: flex; flex-wrap: wrap; align-items: center; gap: 0.35rem; font-size: 0.875rem; }
#tools .group { display: flex; }
#tools .group > * { border-radius: 0; margin-inline-start: -1px; }
#tools .group > :first-child { border-radius: 6px 0 0 6px; margin: 0; }
#tools .group > :last-child { border-radius: 0 6px 6px 0; }
#tools button, #tools a, select, #network button { padding: 0.2rem 0.6rem; }
#tools a { border: 1px solid var(--edge); border-radius: 6px; background: var(--raised); color: inherit;
  text-decoration: none; }
#tools [aria-pressed="true"] { background: var(--accent); color: var(--page); border-color: var(--accent); }
select { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--edge); border-radius: 6px;
  max-width: 14rem; }
#pairs { margin: 0.5rem 0 0; padding: 0; list-style: none; }
#pairs a { padding: 0.1rem 0.5rem; border: 1px solid var(--line); border-radius: 999px; text-decoration: none; }
#pairs [aria-current] { background: var(--raised); border-color: var(--accent); color: var(--text); }
#status { margin: 0; font-size: 0.875rem; color: var(--muted); }
#views { flex: 1; min-height: 0; display: flex; gap: 1rem; margin: 0.5rem 0; }
#scroll { flex: 1 1 34rem; min-width: 0; overflow: auto scroll; border: 1px solid var(--line); border-radius: 8px;
  position: relative; overflow-anchor: none; }
#lanes { position: sticky; top: 0; z-index: 1; height: 2.75rem; background: var(--raised); min-width: 100%;
  border-bottom: 1px solid var(--line); }
#lanes span { position: absolute; top: 0.5rem; transform: translateX(-50%); max-width: 15rem; font-size: 0.875rem;
  font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; padding: 0.1rem 0.6rem;
  border: 1px solid var(--edge); border-radius: 6px; background: var(--page); }
#lanes .first { left: 4px !important; transform: none; }
#lanes .last { left: auto !important; right: 4px; transform: none; }
#picture { position: relative; min-width: 100%; min-height: calc(100% - 2.75rem); }
#picture svg { position: absolute; left: 0; contain: strict; display: block; font: 13px/1 system-ui, sans-serif; }
.lane { stroke: var(--edge); stroke-width: 2; }
.relay { fill: var(--raised); }
.passage { stroke: currentcolor; stroke-width: 1.5; stroke-dasharray: 3 3; }
.arrow, .mark { cursor: pointer; }
.arrow line, .arrow path { stroke: currentcolor; fill: none; }
.arrow .head { fill: currentcolor; stroke: none; }
.arrow text, .mark text { fill: var(--text); }
.arrow text { paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; }
.arrow .more { fill: var(--muted); font-size: 11px; }
.arrow .hit { stroke: transparent; stroke-width: 14px; }
.arrow:hover line:not(.hit) { stroke-width: 4px; }
.arrow .tie { stroke-dasharray: 2 3; }
.lost { color: var(--danger) !important; }
.mark { color: var(--edge); }
.mark text { font-size: 12px; fill: var(--muted); }
.mark circle { fill: currentcolor; }
.mark .note { fill: var(--raised); stroke: var(--line); }
.mark:hover .note { stroke: var(--accent); }
.failure { color: var(--danger); }
.failure text { fill: var(--danger); }
.arrow .time, .mark .time { fill: var(--muted); font-size: 11px; font-variant-numeric: tabular-nums; }
[aria-selected="true"] line:not(.hit) { stroke-width: 4px; }
[aria-selected="true"] text { font-weight: 600; }
[aria-selected="true"] .note { stroke: var(--accent); stroke-width: 2; }
#side { flex: 0 1 32rem; min-width: 0; display: flex; flex-direction: column; gap: 0.75rem;
  font-size: 0.875rem; }
#details { flex: 1; min-height: 0; overflow: auto; }
#details p { margin: 0 0 0.5rem; color: var(--muted); }
#fields { list-style: none; margin: 0 0 0.75rem; padding: 0; }
#fields button { display: block; width: 100%; text-align: start; border: 0; border-radius: 3px; padding: 0.1rem 0.4rem;
  background: none; overflow-wrap: anywhere; }
#fields b { font-weight: 400; color: var(--muted); }
#fields .lit, #bytes .lit { background: var(--lit); }
#fields .lit b { color: inherit; }
#bytes { font: 0.72rem/1.6 ui-monospace, monospace; white-space: pre; overflow-x: auto; margin: 0; padding: 0.5rem;
  border-radius: 6px; background: var(--raised); }
#bytes .offset { color: var(--muted); }
#bytes i { font-style: normal; }
#network { border: 1px solid var(--line); border-radius: 8px; padding: 0.4rem 0.75rem; max-height: 60%; overflow: auto; }
#network summary { cursor: pointer; overflow-wrap: anywhere; }
#network table { width: auto; margin: 0.4rem 0; }
#network th, #network td { padding: 0.1rem 0.5rem 0.1rem 0; border: 0; font-size: 0.875rem; }
#network input { width: 5.5rem; padding: 0.1rem 0.4rem; }
#network p { margin: 0.25rem 0; color: var(--muted); }
code { font-family: ui-monospace, monospace; }
#legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; margin: 0; font-size: 0.8125rem; color: var(--muted); }
#legend svg { width: 34px; height: 10px; vertical-align: middle; stroke: currentcolor; fill: none; stroke-width: 2; }
#legend kbd { font: inherit; border: 1px solid var(--line); border-radius: 4px; padding: 0 0.3em; }
@media (max-width: 48rem) {
  main { height: auto; padding: 0.5rem; }
  #views { flex-direction: column; }
  #scroll { flex: none; height: 62vh; }
}
`;
