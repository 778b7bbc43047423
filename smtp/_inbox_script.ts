/**
 * The script of the inbox' pages. It runs in the browser, and is a string so that the inbox also runs by URL. (It has no
 * template literals of its own, because their backquotes would end the string.)
 *
 * @module
 */
export const script = `const main = document.querySelector("main");
const status = document.querySelector("#status");
const readOnly = "readOnly" in main.dataset;

/** Asks the server for a change. Returns whether it was made; if not, the page says why. */
async function change(method, path) {
  try {
    const response = await fetch(path, { method });
    const body = await response.text(); // to its end: leaving the page would cancel what is still on its way
    if (response.ok || response.status === 404) return true; // 404: somebody else has deleted it
    status.textContent = JSON.parse(body).detail;
  } catch (error) {
    status.textContent = "The inbox cannot be reached: " + error.message;
  }
  return false;
}

const api = (id) => "/api/mails/" + encodeURIComponent(id);

/** Shows times in the time zone of the reader: today's without their date. */
function localize(root) {
  for (const time of root.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    const isToday = date.toDateString() === new Date().toDateString();
    time.title = date.toLocaleString();
    time.textContent = main.dataset.page === "mail"
      ? date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" })
      : isToday
      ? date.toLocaleTimeString(undefined, { timeStyle: "short" })
      : date.toLocaleDateString(undefined, { dateStyle: "medium" });
  }
}
localize(document);

if (main.dataset.page === "list") showList();
else showMail();

function showList() {
  const mails = document.querySelector("#mails");
  let shown = "";
  let running = false;

  /** Asks whether the list has changed. Without a change the response is 304, and the browser takes its own copy. */
  async function refresh() {
    if (running || document.hidden) return;
    running = true;
    try {
      const response = await fetch(location.href, { cache: "no-cache", signal: AbortSignal.timeout(10000) });
      if (!response.ok) return;
      const html = await response.text();
      if (html !== shown) update(new DOMParser().parseFromString(html, "text/html"));
      shown = html;
    } catch {
      // The server has stopped, or is busy: the next time it may answer.
    } finally {
      running = false;
    }
  }

  function update(page) {
    const wanted = [...page.querySelectorAll("#mails > li")];
    localize(page);
    const old = new Map([...mails.children].map((row) => [row.dataset.id, row]));
    const ids = new Set(wanted.map((row) => row.dataset.id));
    for (const [id, row] of old) if (!ids.has(id)) removeRow(row);
    // A row that stays is not touched: the focus stays where it is, and a click does not miss.
    let at = mails.firstElementChild;
    for (const row of wanted) {
      const kept = old.get(row.dataset.id);
      if (kept) {
        kept.className = row.className;
        kept.querySelector(".state").textContent = row.querySelector(".state").textContent;
        at = kept.nextElementSibling;
      } else mails.insertBefore(document.importNode(row, true), at);
    }
    for (const part of ["#summary", "#empty", "#pages", "#tools"]) {
      const before = document.querySelector(part);
      const after = page.querySelector(part);
      if (before.innerHTML === after.innerHTML) continue;
      const path = before.contains(document.activeElement) ? document.activeElement.id : "";
      before.innerHTML = after.innerHTML; // the server's own page: everything foreign in it is escaped
      if (path) document.getElementById(path)?.focus();
    }
    document.title = page.title;
  }

  /** Removes a row. The focus goes from it to the next one. */
  function removeRow(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    const target = next?.querySelector(document.activeElement?.className === "delete" ? ".delete" : "a");
    const hadFocus = row.contains(document.activeElement);
    row.remove();
    if (hadFocus) (target ?? document.querySelector("[name=q]")).focus();
  }

  async function remove(row) {
    const subject = row.querySelector(".subject").textContent;
    if (!await change("DELETE", api(row.dataset.id))) return;
    removeRow(row);
    status.textContent = "Deleted: " + subject;
    await refresh();
  }

  mails.addEventListener("click", (event) => {
    const button = event.target.closest(".delete");
    if (button) remove(button.closest("li"));
  });
  mails.addEventListener("keydown", (event) => {
    const row = event.target.closest("li");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (event.key === "Delete" && !readOnly) remove(row);
    else if (next) next.querySelector("a").focus();
    else return;
    event.preventDefault();
  });
  document.querySelector("#tools").addEventListener("click", async (event) => {
    if (event.target.id !== "clear") return;
    if (!confirm("Delete " + event.target.dataset.total + " mails? They cannot be restored.")) return;
    const q = new URLSearchParams(location.search).get("q");
    if (await change("DELETE", "/api/mails" + (q ? "?q=" + encodeURIComponent(q) : ""))) status.textContent = "Deleted.";
    document.querySelector("[name=q]").focus();
    await refresh();
  });
  setInterval(refresh, 1000);
  document.addEventListener("visibilitychange", refresh);
  addEventListener("pageshow", refresh);
}

function showMail() {
  const path = api(main.dataset.id);
  if (!readOnly && "unread" in main.dataset) change("PUT", path + "/read");
  document.querySelector("#mark")?.addEventListener("click", async () => {
    if (await change("DELETE", path + "/read")) location.href = "/";
  });
  document.querySelector("#delete")?.addEventListener("click", async () => {
    if (await change("DELETE", path)) location.href = "/";
  });
  const frame = document.querySelector("iframe");
  if (!frame) return;
  const prepare = () => {
    const mail = frame.contentDocument;
    if (!mail?.body || mail.URL === "about:blank") return;
    for (const link of mail.querySelectorAll("a, area")) {
      const href = link.getAttribute("href") ?? link.getAttribute("xlink:href") ?? "";
      if (href.startsWith("#")) link.target = "_self"; // a place in this mail
      else if (/^\\s*(https?:|mailto:)/i.test(href)) {
        link.setAttribute("target", "_blank");
        link.setAttribute("rel", "noopener noreferrer");
      } else { // a path has no meaning in a mail, and other schemes may start programs
        link.removeAttribute("href");
        link.removeAttribute("xlink:href");
      }
    }
    frame.style.height = "0"; // a frame's content is never lower than the frame
    frame.style.height = Math.min(20000, Math.max(120, mail.documentElement.scrollHeight + 4)) + "px";
  };
  frame.addEventListener("load", prepare);
  if (frame.contentDocument?.readyState === "complete") prepare(); // it was loaded before this script
}
`;
