/**
 * The style of the page, on top of that of all pages.
 *
 * @module
 */
export const style = `
main { --width: none; padding: 0.75rem 1rem; display: flex; flex-direction: column; height: 100vh; }
:root { --hue-0: light-dark(#0a55b8, #86b7ff); --hue-1: light-dark(#8a4300, #ffb36b);
  --hue-2: light-dark(#116a3a, #6fdc9d);
  --hue-3: light-dark(#7b2d9b, #dba4f5); --hue-4: light-dark(#8c1c3c, #ff9db4); --hue-5: light-dark(#005f6b, #66d9e8); }
main { max-width: none; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1rem; }
h1 { margin: 0; }
h2 { margin: 0 0 0.25rem; font-size: 1rem; }
#tools { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem; font-size: 0.875rem; }
#tools button, #tools input, select { padding: 0.2rem 0.6rem; }
select { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--edge); border-radius: 6px;
  max-width: 14rem; }
#status, #keys { margin: 0; font-size: 0.875rem; color: var(--muted); }
#views { flex: 1; min-height: 0; display: flex; gap: 1rem; margin: 0.5rem 0; }
#scroll { flex: 1 1 24rem; min-width: 0; overflow: auto scroll; border: 1px solid var(--line); border-radius: 6px;
  position: relative; overflow-anchor: none; }
#lanes { position: sticky; top: 0; z-index: 1; height: 2.5rem; background: var(--raised); min-width: 100%; }
#lanes span { position: absolute; top: 0.5rem; transform: translateX(-50%); max-width: 22rem; font-size: 0.875rem;
  font-weight: 500; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
#picture { position: relative; min-width: 100%; }
#picture svg { position: absolute; left: 0; display: block; font: 12px/1 system-ui, sans-serif; }
.lane { stroke: var(--edge); }
.arrow { cursor: pointer; }
.arrow line, .arrow path { stroke: currentcolor; fill: none; }
.arrow .head { fill: currentcolor; stroke: none; }
.arrow text, .mark text { fill: var(--text); paint-order: stroke; stroke: var(--page); stroke-width: 3px; }
.arrow .hit { stroke: transparent; stroke-width: 14px; }
.arrow .tie { stroke-dasharray: 2 3; }
.lost { color: var(--danger) !important; }
.mark { cursor: pointer; color: var(--muted); }
.mark circle { fill: currentcolor; }
.failure { color: var(--danger); }
.failure text { fill: var(--danger); }
.time { fill: var(--muted); font-variant-numeric: tabular-nums; }
[aria-selected="true"] line:not(.hit) { stroke-width: 4px; }
[aria-selected="true"] text { font-weight: 700; }
[aria-selected="true"] circle { stroke: var(--accent); stroke-width: 3px; }
#details { flex: 0 1 34rem; min-width: 0; overflow: auto; font-size: 0.875rem; }
#details p { margin: 0 0 0.5rem; }
#fields { list-style: none; margin: 0 0 0.75rem; padding: 0; }
#fields button { display: block; width: 100%; text-align: start; border: 0; border-radius: 3px; padding: 0.1rem 0.4rem;
  background: none; overflow-wrap: anywhere; }
#fields .lit { background: light-dark(#ffe9a8, #5c4a00); }
#bytes { font: 0.75rem/1.6 ui-monospace, monospace; white-space: pre; overflow-x: auto; margin: 0; }
#bytes .offset { color: var(--muted); }
#bytes i { font-style: normal; }
#bytes .lit { background: light-dark(#ffe9a8, #5c4a00); }
@media (max-width: 48rem) {
  main { height: auto; }
  #views { flex-direction: column; }
  #scroll { flex: none; height: 60vh; }
}
`;
