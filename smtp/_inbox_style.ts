/**
 * The style of the inbox' pages.
 *
 * @module
 */
export const style = `
:root { --width: 72rem; }
header, .bar, #pages { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center; justify-content: space-between; }
header h1 { font-size: 1.5rem; margin: 0; }
header h1 a { color: inherit; text-decoration: none; }
form { display: flex; flex: 1 1 14rem; min-width: 0; max-width: 34rem; gap: 0.5rem; }
form input { flex: 1; width: 100%; }
#tools { min-width: 6.5rem; text-align: end; }
#clear:hover, #delete:hover, .delete:hover { color: var(--danger); border-color: var(--danger); }
#status:empty { display: none; }
#status, .note { padding: 0.5rem 0.75rem; border-radius: 6px; background: var(--raised); }
#summary, .footer { color: var(--muted); font-size: 0.875rem; }
#mails { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); }
#mails:empty { display: none; }
#mails li { display: flex; align-items: center; border-bottom: 1px solid var(--line); }
#mails li:hover, #mails li:focus-within { background: var(--raised); }
#mails a {
  flex: 1; min-width: 0; display: grid; gap: 0 1rem; padding: 0.6rem 0.5rem 0.6rem 0; color: inherit; text-decoration: none;
  grid-template: "state from subject time" "state to excerpt size" / 0.5rem minmax(0, 16rem) minmax(0, 1fr) max-content;
}
#mails a:focus-visible { outline-offset: -2px; }
#mails a > * { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-height: 1lh; }
#mails .state { grid-area: state; align-self: center; min-height: 0; height: 0.5rem; border-radius: 50%; text-indent: 1rem; }
.unread .state { background: var(--accent); }
.from { grid-area: from; } .to { grid-area: to; } .subject { grid-area: subject; } .excerpt { grid-area: excerpt; }
#mails time { grid-area: time; text-align: end; } .size { grid-area: size; text-align: end; }
.unread .from, .unread .subject { font-weight: 650; }
.to, .excerpt, .size, #mails time { color: var(--muted); font-size: 0.875rem; font-variant-numeric: tabular-nums; }
svg { vertical-align: -0.1em; }
.delete { border-color: transparent; background: none; padding: 0.5rem 0.7rem; margin-inline-end: 0.25rem; color: var(--muted); }
#empty p { padding: 4rem 1rem; text-align: center; color: var(--muted); }
#pages { margin-top: 1rem; font-variant-numeric: tabular-nums; }
.bar span { display: flex; gap: 0.75rem; align-items: center; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15rem 1rem; overflow-wrap: anywhere; }
dt { color: var(--muted); }
dd { margin: 0; }
.files { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.5rem; }
.files li { border: 1px solid var(--line); border-radius: 6px; padding: 0.3rem 0.7rem; overflow-wrap: anywhere; min-width: 0; }
.files li span { color: var(--muted); font-size: 0.875rem; }
h2#files { font-size: 1rem; margin: 1rem 0 0; }
iframe { width: 100%; height: 60vh; border: 1px solid var(--line); border-radius: 6px; background: #fff; color-scheme: light; margin: 0.5rem 0; }
details { margin: 1rem 0; }
summary { cursor: pointer; font-weight: 600; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 0.9375rem/1.6 ui-monospace, monospace; }
#header th { white-space: nowrap; vertical-align: top; }
#header td { font-size: 0.875rem; }
@media (max-width: 44rem) {
  #mails a {
    gap: 0 0.75rem;
    grid-template: "state from time" "state subject size" "state excerpt excerpt" "state to to" / 0.5rem minmax(0, 1fr) max-content;
  }
  #mails li { align-items: start; }
  form { order: 1; flex-basis: 100%; }
  #header th, #header td { display: block; white-space: normal; }
  #header th { border: 0; padding-bottom: 0; }
}
`;
