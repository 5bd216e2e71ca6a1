"use strict";
/* A map of an arena: zoom, pan, a cursor, and a list of what is live at the op under it. */
function arena(root, data) {
  const [map, live, ticks, now] = [".map", ".live", ".ticks", ".now"].map((name) => root.querySelector(name));
  const boxes = [...map.querySelectorAll(".box")].map((node) => ({
    node, x: +node.getAttribute("x"), w: +node.getAttribute("width"), y: +node.getAttribute("y"),
    h: +node.getAttribute("height"), role: node.dataset.role, title: node.querySelector("title").textContent,
    fill: node.getAttribute("fill"),
  }));
  const count = Math.max(data.ops.length, 1);
  const near = data.limit && data.limit < 1.7 * data.top;
  const all = { x0: 0, x1: count, y0: 0, y1: 1.06 * Math.max(data.top, near ? data.limit : 0, 1) };
  let view = { ...all };
  let chosen = data.ops.reduce((best, op, i) => (op[2] > data.ops[best][2] ? i : best), 0);
  const number = (n) => n.toLocaleString("en-US");
  const L = 70, T = 24, H = 380, LT = 440, LH = 130;
  let W = 920;

  const svg = (tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  function steps(low, high, room, power) {
    let step = 1;
    while ((high - low) / step > room) {
      step = power ? step * 2 : step * (String(step)[0] === "2" ? 2.5 : 2);
    }
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(v);
    return found;
  }

  function axis() {
    ticks.replaceChildren();
    const height = (v, top, size, low, high) => top + size * (1 - (v - low) / (high - low));
    const say = (x, y, text, extra = {}) => ticks.append(svg("text", { x, y, ...extra }, text));
    const bytes = (v) => (v % 1024 ? number(v) + " B" : number(v / 1024) + " KiB");
    for (const v of steps(view.y0, view.y1, 8, true)) {
      const y = height(v, T, H, view.y0, view.y1);
      ticks.append(svg("path", { d: `M${L - 5} ${y}H${L}` }));
      say(L - 8, y + 4, bytes(v), { "text-anchor": "end" });
    }
    for (const v of steps(0, all.y1, 3, true)) {
      say(L - 8, height(v, LT, LH, 0, all.y1) + 4, bytes(v), { "text-anchor": "end" });
    }
    for (const v of steps(view.x0, view.x1, Math.max(W / 75, 2), false)) {
      say(L + (W * (v - view.x0)) / (view.x1 - view.x0), LT + LH + 16, number(v), { "text-anchor": "middle" });
    }
    say(L + W / 2, LT + LH + 34, "op", { "text-anchor": "middle" });
    say(L, LT - 8, `live bytes; at most ${number(data.bound)} B` + (W > 500 ? ", which no placement goes below" : ""));
    for (const [start, end, name] of data.spans) {
      const [a, b] = [Math.max(start, view.x0), Math.min(end, view.x1)];
      if ((b - a) / (view.x1 - view.x0) > (7 * name.length) / W) {
        say(L + (W * ((a + b) / 2 - view.x0)) / (view.x1 - view.x0), 16, name, { "text-anchor": "middle" });
      }
    }
    if (data.limit) {
      const inside = data.limit > view.y0 && data.limit < view.y1;
      const y = inside ? height(data.limit, T, H, view.y0, view.y1) - 5 : T + 14;
      const text = `SRAM ${number(data.limit)} B` + (inside ? "" : data.limit >= view.y1 ? " ↑" : " ↓");
      say(L + W, y, text, { class: "alert", "text-anchor": "end" });
    }
  }

  function draw() {
    map.setAttribute("viewBox", `${view.x0} ${-view.y1} ${view.x1 - view.x0} ${view.y1 - view.y0}`);
    live.setAttribute("viewBox", `${view.x0} ${-all.y1} ${view.x1 - view.x0} ${all.y1}`);
    axis();
  }

  function choose(op) {
    chosen = Math.min(Math.max(op, 0), data.ops.length - 1);
    if (chosen < 0) return;
    for (const node of root.querySelectorAll(".cursor")) {
      for (const [key, value] of Object.entries({ x: chosen, y: 0, width: 1, height: all.y1 })) {
        node.setAttribute(key, value);
      }
    }
    const [name, phase, bytes] = data.ops[chosen];
    const head = document.createElement("p");
    const strong = document.createElement("b");
    strong.textContent = name;
    head.append(strong, ` (op ${chosen}, ${phase}): ${number(bytes)} B live at most`);
    const list = document.createElement("ul");
    const there = boxes.filter((b) => b.x <= chosen && chosen < b.x + b.w).sort((a, b) => b.h - a.h);
    for (const box of there.slice(0, 14)) {
      const item = document.createElement("li");
      const swatch = document.createElement("i");
      swatch.style.background = box.fill;
      item.append(swatch, box.title);
      list.append(item);
    }
    if (there.length > 14) {
      const rest = there.slice(14).reduce((sum, box) => sum + box.h, 0);
      const item = document.createElement("li");
      item.textContent = `${there.length - 14} more, ${number(rest)} B`;
      list.append(item);
    }
    now.replaceChildren(head, list);
  }

  function zoom(factor, x, y) {
    const width = Math.min(Math.max((view.x1 - view.x0) * factor, 4), count);
    const height = Math.min(Math.max((view.y1 - view.y0) * factor, 64), all.y1);
    const [fx, fy] = [(x - view.x0) / (view.x1 - view.x0), (y - view.y0) / (view.y1 - view.y0)];
    place(x - fx * width, y - fy * height, width, height);
  }

  function place(x0, y0, width, height) {
    const x = Math.min(Math.max(x0, 0), count - width);
    const y = Math.min(Math.max(y0, 0), all.y1 - height);
    view = { x0: x, x1: x + width, y0: y, y1: y + height };
    draw();
  }

  function at(event, node) {
    const box = node.getBoundingClientRect();
    const [fx, fy] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [view.x0 + fx * (view.x1 - view.x0), view.y1 - fy * (view.y1 - view.y0)];
  }

  let held = null;
  for (const node of [map, live]) {
    node.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, ...at(event, node));
    }, { passive: false });
    node.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY, view: { ...view }, moved: false };
      node.setPointerCapture(event.pointerId);
    });
    node.addEventListener("pointermove", (event) => {
      if (!held) return;
      const box = node.getBoundingClientRect();
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      held.moved = held.moved || Math.hypot(dx, dy) > 4;
      const [width, height] = [held.view.x1 - held.view.x0, held.view.y1 - held.view.y0];
      if (held.moved) {
        place(held.view.x0 - (dx / box.width) * width, held.view.y0 + (dy / box.height) * height, width, height);
      }
    });
    node.addEventListener("pointerup", (event) => {
      if (held && !held.moved) choose(Math.floor(at(event, node)[0]));
      held = null;
    });
    node.addEventListener("pointercancel", () => { held = null; });
  }
  map.addEventListener("keydown", (event) => {
    const middle = [chosen + 0.5, (view.y0 + view.y1) / 2];
    const actions = {
      ArrowRight: () => choose(chosen + 1), ArrowLeft: () => choose(chosen - 1),
      Home: () => choose(0), End: () => choose(data.ops.length - 1),
      "+": () => zoom(0.8, ...middle), "-": () => zoom(1.25, ...middle),
      0: () => { view = { ...all }; draw(); },
    };
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  });

  map.addEventListener("mousemove", (event) => {
    const box = boxes.find((b) => b.node === event.target);
    mcusim.say(!box || (held && held.moved) ? "" : box.title, event.clientX, event.clientY);
  });
  map.addEventListener("mouseleave", () => mcusim.say(""));
  for (const box of boxes) {
    box.node.setAttribute("aria-label", box.title);
    box.node.querySelector("title").remove(); // the tip says it at once
  }

  for (const button of root.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on);
      for (const box of boxes) {
        if (box.role === button.dataset.role) box.node.classList.toggle("dim", !on);
      }
    });
  }

  /* One unit of the picture is one pixel: letters stay as large as all others in a narrow window. */
  function fit(width) {
    if (width < 1) return; // in a part of the page that is not shown
    W = Math.max(width, 200) - L - 10;
    whole.setAttribute("viewBox", `0 0 ${W + L + 10} 610`);
    for (const part of [map, live]) part.setAttribute("width", W);
    axis();
  }

  const whole = root.querySelector(".whole"), wide = () => fit(whole.parentNode.clientWidth);
  draw();
  choose(chosen);
  wide();
  addEventListener("resize", wide);
  addEventListener("beforeprint", () => fit(1000));
  addEventListener("afterprint", wide);
}

{
  const data = JSON.parse(document.getElementById("data").textContent);
  document.querySelectorAll(".arena").forEach((root, number) => arena(root, data[number]));
}
