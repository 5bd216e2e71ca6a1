"use strict";
/* What every page has: texts of marks at once, tables that sort and filter, charts by keyboard, a network and
   its table that point at each other, and a page that asks for itself again while something runs. */
const mcusim = (() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function say(text, x, y) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.min(y + 16, innerHeight - tip.offsetHeight - 4) + "px";
  }

  const told = (node) => node instanceof Element && node.closest("[data-tip]");
  document.addEventListener("mousemove", (event) => {
    const node = told(event.target);
    if (node) say(node.dataset.tip, event.clientX, event.clientY);
    else if (!event.target.closest?.(".map")) say("");
  });
  document.addEventListener("focusin", (event) => {
    const node = told(event.target);
    if (!node) return say("");
    const place = node.getBoundingClientRect();
    say(node.dataset.tip, place.right, place.top);
  });

  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return +cell.dataset.v;
    const plain = parseFloat(cell.textContent.replace(/,/g, ""));
    return Number.isNaN(plain) ? cell.textContent : plain;
  };
  const before = (x, y) => {
    if (typeof x === typeof y) return x < y ? -1 : x > y ? 1 : 0;
    return typeof x === "string" ? -1 : 1; // what is not known lies below all numbers
  };

  function table(node) {
    const rows = node.tBodies[0];
    [...node.tHead.rows[0].cells].forEach((head, column) => {
      head.tabIndex = 0;
      if (!head.textContent.trim()) head.setAttribute("aria-label", `column ${column + 1}`);
      const sort = () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        for (const other of node.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sorted = [...rows.rows].sort((a, b) => before(value(a, column), value(b, column)) * (down ? -1 : 1));
        rows.append(...sorted);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        sort();
      });
    });
    if (rows.rows.length < 12) return;
    const filter = document.createElement("input");
    const count = document.createElement("span");
    filter.className = "filter";
    filter.type = "search";
    filter.placeholder = "show rows with …";
    filter.setAttribute("aria-label", "show rows with");
    count.className = "quiet";
    count.setAttribute("role", "status");
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows.rows) {
        const text = (row.textContent + " " + [...row.querySelectorAll("[data-tip]")].map((n) => n.dataset.tip) +
          (row.classList.contains("learns") ? " learns" : "")).toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? ` ${shown} of ${rows.rows.length} rows` : "";
    });
    node.before(filter, count);
  }

  function chart(svg) {
    const marks = [...svg.querySelectorAll(".mark, .line")];
    if (!marks.length) return;
    let at = -1;
    svg.tabIndex = 0;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      at = Math.min(Math.max(at + step, 0), marks.length - 1);
      marks[at].focus();
    });
  }

  function pair(root) {
    const of = (name) => root.querySelectorAll(`[data-layer="${CSS.escape(name)}"]`);
    let last = null;
    const choose = (name, from) => {
      if (last) for (const node of of(last)) node.classList.remove("chosen");
      last = name;
      for (const node of of(name)) {
        node.classList.add("chosen");
        if (node === from) continue;
        const box = node.closest(".graph, .wide"), place = node.getBoundingClientRect();
        const room = box.getBoundingClientRect();
        box.scrollTop += place.top - room.top - room.height / 2;
      }
    };
    for (const node of root.querySelectorAll("[data-layer]")) {
      node.addEventListener("click", () => choose(node.dataset.layer, node));
      if (!node.classList.contains("node")) continue;
      node.tabIndex = 0;
      node.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(node.dataset.layer, node); });
    }
  }

  function ready(root) {
    root.querySelectorAll("table.data").forEach(table);
    root.querySelectorAll("figure.chart svg").forEach(chart);
    root.querySelectorAll(".beside").forEach(pair);
  }
  const sections = (root) => [...root.querySelectorAll("main > section")];
  const served = new Map(sections(document).map((part) => [part.id, part.innerHTML])); // before it is made ready
  ready(document);

  addEventListener("beforeprint", () => {
    for (const node of document.querySelectorAll("details")) node.open = true; // paper cannot be opened
  });

  async function again(known) {
    const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    const standing = document.getElementById("standing");
    if (!answer || !answer.ok) {
      standing.textContent = "It has ended, or the program that showed it has. " + standing.textContent;
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    standing.textContent = fresh.getElementById("standing")?.textContent ?? "";
    for (const part of sections(fresh)) {
      if (known.get(part.id) === part.innerHTML) continue;
      const here = document.getElementById(part.id), next = document.importNode(part, true);
      known.set(part.id, part.innerHTML);
      if (here) here.replaceWith(next);
      else document.querySelector("main").append(next);
      ready(next);
    }
    setTimeout(again, 2000, known);
  }
  if (document.body.hasAttribute("data-live")) setTimeout(again, 1000, served);

  return { say, ready };
})();
