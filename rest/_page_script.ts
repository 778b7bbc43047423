/**
 * The script of the page at `/`. It runs in the browser, and is a string so that the server also runs by URL. (It has no
 * template literals of its own, because their backquotes would end the string.)
 *
 * @module
 */
export const script = `const rows = document.querySelector("#users");
const status = document.querySelector("#status");
const more = document.querySelector("#more");
const add = document.querySelector("#add");
const find = document.querySelector("#find");

/** Sends a request. Throws the problem that the server reports. */
async function call(path, init) {
  const response = await fetch(path, init);
  if (response.ok) return response;
  const problem = await response.json();
  throw new Error(problem.status + " " + problem.title + ": " + problem.detail);
}

function showError(error) {
  status.textContent = error.message;
}

function addRow(user) {
  const row = rows.insertRow();
  row.setAttribute("role", "row");
  const addCell = (content) => {
    const cell = row.insertCell();
    cell.setAttribute("role", "cell");
    cell.dir = "auto"; // a name may be written from right to left
    cell.append(content); // a string becomes text, even if it looks like HTML
  };
  for (const text of [user.id, user.name, user.email]) addCell(String(text));
  const button = document.createElement("button");
  button.textContent = "Delete";
  // A screen reader lists the buttons without their rows.
  button.setAttribute("aria-label", "Delete " + user.name + ", " + user.email);
  button.addEventListener("click", () => deleteUser(user.id, row));
  addCell(button);
}

async function deleteUser(id, row) {
  if (row.ariaBusy) return; // the second click of a double click
  row.ariaBusy = "true";
  try {
    await call("/users/" + id, { method: "DELETE" });
    status.textContent = "204 No Content: user " + id + " was deleted";
    // The focus would be lost with its button. Let it go to the next user.
    const neighbor = row.nextElementSibling ?? row.previousElementSibling;
    if (row.contains(document.activeElement)) (neighbor?.querySelector("button") ?? find.elements.q).focus();
    row.remove();
  } catch (error) {
    row.ariaBusy = null;
    showError(error);
  }
}

let newestRequest = 0;
let nextPath = "";

/** Loads a page of the list, and replaces the rows or appends to them. */
async function load(path, append) {
  // Responses can arrive in another order than the requests were sent: only the response to the newest one is shown.
  const number = ++newestRequest;
  try {
    const response = await call(path);
    const users = await response.json();
    if (number !== newestRequest) return;
    if (!append) rows.replaceChildren();
    users.forEach(addRow);
    nextPath = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1] ?? "";
    more.hidden = nextPath === "";
  } catch (error) {
    if (number === newestRequest) showError(error);
  }
}

async function search() {
  await load("/users?q=" + encodeURIComponent(new FormData(find).get("q")), false);
}

add.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const response = await call("/users", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(add))),
    });
    status.textContent = "201 Created: " + response.headers.get("location");
    add.reset();
    await search();
  } catch (error) {
    showError(error);
  }
});
find.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
find.addEventListener("input", search);
more.addEventListener("click", () => load(nextPath, true));
search();
`;
