"use strict";
(() => {
  const PAGE = 50; // rows of the sample table
  const CLIP = 400; // characters of a text in a row, of which two lines are seen
  const LONG = 20000; // characters of a text that are shown at once
  const MOST_CHIPS = 12;
  const MOST_PROBABLE = 12;
  const NOTHING = -1;

  const data = JSON.parse(document.getElementById("data").textContent);
  const S = data.samples, N = S.ids.length, sides = S.sides;
  const main = sides[0], baseline = sides[1] || null;
  const place = new Map(S.ids.map((id, at) => [id, at]));
  const labelAt = new Map(data.labels.map((name, at) => [name, at]));
  const unstable = new Map(Object.entries(S.unstable).map(([at, set]) => [Number(at), S.sets[set]]));
  const textColumn = Math.max(0, S.columns.indexOf("text"));

  const $ = (id) => document.getElementById(id);

  // Everything outside goes in as text: nothing here reads markup.
  function el(name, properties, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "class") made.className = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.flat().filter((each) => each !== null && each !== undefined));
    return made;
  }

  function svg(name, properties, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const set = (number) => (number === NOTHING ? null : S.sets[number]);

  function text(number, at) {
    const parts = [];
    for (const item of S.texts[number]) {
      if (Array.isArray(item)) for (let piece = item[0]; piece <= item[1]; piece++) parts.push(S.pieces[piece]);
      else parts.push(item < 0 ? S.inputs[-1 - item][at] || "" : S.pieces[item]);
    }
    return parts.join("");
  }

  // --- what a sample is ----------------------------------------------------------------------------------------------

  const has = (number, label) => number !== NOTHING && S.sets[number].includes(label);

  /** How a label's cell stands: hit, absent, missed, added or unanswered; null where the run lacks the sample or its gold. */
  function cell(side, at, label) {
    if (side.predicted[at] === NOTHING || S.gold[at] === NOTHING) return null;
    if (has(side.unanswered[at], label)) return "unanswered";
    const gold = has(S.gold[at], label), said = has(side.predicted[at], label);
    return gold ? (said ? "hit" : "missed") : said ? "added" : "absent";
  }
  const isRight = (state) => state === "hit" || state === "absent";

  const answered = (side, at) => S.sets[side.unanswered[at]].length === 0;
  const exact = (side, at) => answered(side, at) && side.predicted[at] === S.gold[at];

  function some(side, at, kind) {
    return data.labels.some((_, label) => cell(side, at, label) === kind);
  }

  const ofSample = {
    all: () => true,
    wrong: (at) => S.gold[at] !== NOTHING && !exact(main, at),
    right: (at) => S.gold[at] !== NOTHING && exact(main, at),
    missed: (at) => some(main, at, "missed"),
    added: (at) => some(main, at, "added"),
    unstable: (at) => unstable.has(at),
  };
  data.failures.forEach((kind, number) => { ofSample[kind] = (at) => main.failure[at] === number; });
  data.changes.forEach((kind, number) => { if (kind) ofSample[kind] = (at) => S.change[at] === number; });

  const ofLabel = {
    all: (at, label) => has(S.gold[at], label) || sides.some((side) => has(side.predicted[at], label)),
    wrong: (at, label) => { const now = cell(main, at, label); return now !== null && !isRight(now); },
    right: (at, label) => cell(main, at, label) === "hit",
    missed: (at, label) => cell(main, at, label) === "missed",
    added: (at, label) => cell(main, at, label) === "added",
    unstable: (at, label) => (unstable.get(at) || []).includes(label),
    regressed: (at, label) => flipped(at, label, (then, now) => isRight(then) && !isRight(now)),
    fixed: (at, label) => flipped(at, label, (then, now) => !isRight(then) && isRight(now)),
    churned: (at, label) => flipped(at, label, (then, now) => !isRight(then) && !isRight(now) && then !== now),
  };
  data.failures.forEach((kind, number) => {
    ofLabel[kind] = (at, label) => main.failure[at] === number && has(main.unanswered[at], label);
  });

  function flipped(at, label, test) {
    const then = baseline && cell(baseline, at, label), now = cell(main, at, label);
    return Boolean(then && now && test(then, now));
  }

  const haystacks = new Array(N);
  function found(at, words) {
    if (haystacks[at] === undefined) {
      haystacks[at] = [S.ids[at], ...S.inputs.map((column) => column[at] || "")].join("\n").toLowerCase();
    }
    return words.every((word) => haystacks[at].includes(word));
  }

  // --- which samples are shown ---------------------------------------------------------------------------------------

  const state = { q: "", kind: "all", label: "", missed: null, added: null, page: 0, sample: null };
  let shown = [];

  function read() {
    const given = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    state.q = given.get("q") || "";
    state.kind = given.get("kind") in data.kinds ? given.get("kind") : "all";
    state.label = labelAt.has(given.get("label")) ? given.get("label") : "";
    state.missed = given.get("missed");
    state.added = given.get("added");
    state.page = Math.max(0, (parseInt(given.get("page"), 10) || 1) - 1);
    state.sample = place.has(given.get("sample")) ? given.get("sample") : null;
  }

  function hash(changes) {
    const now = { ...state, ...changes };
    const given = new URLSearchParams();
    if (now.q) given.set("q", now.q);
    if (now.kind !== "all") given.set("kind", now.kind);
    if (now.label) given.set("label", now.label);
    if (now.missed !== null) given.set("missed", now.missed);
    if (now.added !== null) given.set("added", now.added);
    if (now.page && !now.sample) given.set("page", now.page + 1);
    if (now.sample) given.set("sample", now.sample);
    return "#" + given;
  }

  /** A pair of errors: a label that was missed and one that was added; "" is that nothing was. */
  function confuses(at) {
    return [["missed", state.missed], ["added", state.added]].every(([kind, name]) => {
      if (name === null) return true;
      return name === "" ? !some(main, at, kind) : labelAt.has(name) && cell(main, at, labelAt.get(name)) === kind;
    });
  }

  function select() {
    const label = state.label ? labelAt.get(state.label) : null;
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const pair = state.missed !== null || state.added !== null;
    shown = [];
    for (let at = 0; at < N; at++) {
      if (label === null ? !ofSample[state.kind](at) : !ofLabel[state.kind](at, label)) continue;
      if (pair && !confuses(at)) continue;
      if (words.length && !found(at, words)) continue;
      shown.push(at);
    }
    state.page = Math.min(state.page, Math.max(0, Math.ceil(shown.length / PAGE) - 1));
  }

  function remember() {
    try { history.replaceState(null, "", hash({})); } catch { /* a frame that may not: the page works without */ }
  }

  function change(changes) {
    Object.assign(state, { page: 0 }, changes);
    select();
    remember();
    draw();
  }

  // --- the table -----------------------------------------------------------------------------------------------------

  const SIGNS = { hit: ["✓", "right"], missed: ["−", "missed"], added: ["+", "added"], unanswered: ["?", "unanswered"], wrong: ["✗", "wrong"] };

  function chip(kind, name) {
    const [sign, word] = SIGNS[kind];
    return el("span", { class: "chip " + kind }, el("span", { "aria-hidden": "true" }, sign + " "), el("span", { class: "vh" }, word + ": "), el("bdi", null, name));
  }

  function marks(side, at, most = Infinity) {
    if (side.predicted[at] === NOTHING) return [el("span", { class: "quiet" }, "not in this run")];
    const made = [];
    if (side.failure[at] !== NOTHING) made.push(el("span", { class: "chip failure" }, data.failures[side.failure[at]]));
    if (S.gold[at] === NOTHING) {
      made.push(...set(side.predicted[at]).map((label) => el("span", { class: "chip plain" }, el("bdi", null, data.labels[label]))));
    } else {
      const labels = [...new Set([...set(S.gold[at]), ...set(side.predicted[at])])].sort((a, b) => a - b);
      for (const label of labels) {
        const kind = cell(side, at, label);
        if (kind !== "absent") made.push(chip(kind, data.labels[label]));
      }
    }
    if (!made.length) made.push(S.gold[at] === NOTHING ? el("span", { class: "chip plain" }, "none") : chip("hit", "none"));
    return made.length > most ? [...made.slice(0, most), `and ${made.length - most} more`] : made;
  }

  function badge(at) {
    const kind = data.changes[S.change[at]];
    const made = [];
    if (kind) made.push(el("span", { class: "badge " + kind }, kind));
    if (unstable.has(at)) made.push(el("span", { class: "quiet" }, (kind ? " · " : "") + "unstable"));
    return made;
  }

  const sampleText = (at) => {
    const value = S.inputs.length ? S.inputs[textColumn][at] : null;
    return value !== null ? value : S.inputs.map((column) => column[at]).filter((each) => each !== null).join(" · ");
  };

  function row(at) {
    const id = S.ids[at];
    const said = [baseline, main].filter(Boolean).map((side) =>
      el("td", { class: "said", role: "cell", "data-name": baseline ? data.names[side === main ? 0 : 1] : null }, marks(side, at, MOST_CHIPS)));
    return el("tr", { role: "row" },
      el("td", { class: "id", role: "cell" }, el("a", { href: hash({ sample: id }) }, el("bdi", null, id))),
      el("td", { class: "text-of", role: "cell" }, el("div", { class: "clip" }, sampleText(at).slice(0, CLIP))),
      ...said,
      baseline || unstable.size ? el("td", { class: "what", role: "cell" }, badge(at)) : null);
  }

  function draw() {
    const first = state.page * PAGE;
    const rows = shown.slice(first, first + PAGE);
    $("sample-table").tBodies[0].replaceChildren(...rows.map(row));
    $("sample-table").hidden = !rows.length;
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${N.toLocaleString("en")} samples`;
    $("pages").hidden = shown.length <= PAGE;
    $("page").textContent = `${(first + 1).toLocaleString("en")} to ${(first + rows.length).toLocaleString("en")}`;
    $("previous").disabled = !state.page;
    $("next").disabled = first + PAGE >= shown.length;
    if ($("q").value !== state.q) $("q").value = state.q;
    $("kind").value = state.kind;
    $("label").value = state.label;
    const pair = [["missed", state.missed], ["added", state.added]].filter(([, name]) => name !== null);
    $("pair").hidden = !pair.length;
    $("pair").textContent = pair.map(([kind, name]) => `${kind} ${name || "nothing"}`).join(", ") + " ✕";
    $("clear").hidden = !(state.q || state.kind !== "all" || state.label || pair.length);
  }

  function turn(by) {
    state.page += by;
    remember();
    draw();
    $("count").scrollIntoView({ block: "nearest" });
  }

  function set_up_table() {
    const [run, before] = data.names;
    const heads = [["id", "sample"], ["", "text"], ...(before ? [["said", before]] : []), ["said", before ? run : "labels"]];
    if (baseline || unstable.size) heads.push(["what", baseline ? "change" : ""]);
    $("sample-table").setAttribute("role", "table");
    $("sample-table").tHead.rows[0].append(
      ...heads.map(([name, title]) => el("th", { scope: "col", class: name, role: "columnheader" }, el("bdi", null, title))));
    $("kind").append(...Object.entries(data.kinds).map(([kind, n]) => el("option", { value: kind }, `${kind} (${n.toLocaleString("en")})`)));
    $("label").append(el("option", { value: "" }, "all labels"), ...data.labels.map((name) => el("option", { value: name }, name)));
    for (const id of ["filters", "signs"]) $(id).hidden = false;

    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("q").addEventListener("input", () => change({ q: $("q").value.trim() }));
    $("kind").addEventListener("change", () => change({ kind: $("kind").value }));
    $("label").addEventListener("change", () => change({ label: $("label").value }));
    $("pair").addEventListener("click", () => { change({ missed: null, added: null }); $("kind").focus(); });
    $("clear").addEventListener("click", () => { change({ q: "", kind: "all", label: "", missed: null, added: null }); $("q").focus(); });
    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));

    const body = $("sample-table").tBodies[0];
    body.addEventListener("click", (event) => {
      if (event.target.closest("a") || String(getSelection())) return;
      const link = event.target.closest("tr").querySelector("a");
      link.focus();
      link.click();
    });
    body.addEventListener("keydown", (event) => {
      const links = [...body.querySelectorAll("td.id a")];
      const at = links.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      if (to === links.length && !$("next").disabled) { turn(1); body.querySelector("td.id a").focus(); }
      else if (to < 0 && state.page) { turn(-1); [...body.querySelectorAll("td.id a")].pop().focus(); }
      else if (links[to]) links[to].focus();
    });
  }

  // --- one sample ----------------------------------------------------------------------------------------------------

  function block(content, kind = "") {
    const box = el("pre", { class: "text " + kind, tabindex: "0" });
    if (content.length <= LONG) { box.textContent = content || "(empty)"; return box; }
    box.textContent = content.slice(0, LONG);
    const more = el("button", { type: "button", onclick: () => { box.textContent = content; more.remove(); } },
      `Show all ${content.length.toLocaleString("en")} characters`);
    return el("div", null, box, more);
  }

  function fact(list, name, ...content) {
    list.append(el("dt", null, name), el("dd", null, ...content));
  }

  function fields(side, at, list) {
    const gold = S.gold_fields[at] || [], said = side.fields[at];
    if (!said) return;
    data.fields.forEach((name, number) => {
      if (!said[number]) return;
      const [answer, right] = said[number];
      if (answer === null) fact(list, name, el("span", { class: "chip unanswered" }, "? unanswered"));
      else fact(list, name, right === null ? answer : chip(right ? "hit" : "wrong", answer), right === false ? `gold: ${gold[number]}` : "");
    });
  }

  function probabilities(side, at) {
    const given = side.probabilities[at];
    if (!given) return null;
    const ranked = given.map((p, label) => [p, label]).filter(([p]) => p !== null).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    const line = ([p, label]) => el("tr", null,
      el("th", { scope: "row" }, el("bdi", null, data.labels[label])),
      el("td", null, svg("svg", { width: 100, height: 8, "aria-hidden": "true" },
        svg("rect", { class: "track", width: 100, height: 8, rx: 2 }), svg("rect", { class: "bar", width: 100 * p, height: 8, rx: 2 }))),
      el("td", { class: "n" }, p));
    const table = (rows) => el("table", { class: "p" }, el("caption", { class: "vh" }, "P(label)"), el("tbody", null, rows.map(line)));
    const rest = ranked.slice(MOST_PROBABLE);
    return [el("h3", null, "P(label)"), table(ranked.slice(0, MOST_PROBABLE)),
      rest.length ? el("details", null, el("summary", null, `${rest.length} more`), table(rest)) : null];
  }

  function repeats(side, at) {
    const all = side.repeats[at];
    if (!all || all.length < 2) return null;
    return [el("h3", null, "In each repeat"), el("ol", { start: "0" }, all.map(([said, open]) =>
      el("li", null, S.sets[open].length ? "unanswered" : S.sets[said].map((label) => data.labels[label]).join(", ") || "none")))];
  }

  function exchanges(side, at) {
    const plan = S.plans[side.plan[at]], came = side.answers[at];
    return came.map((number, call) => {
      const heading = S.pieces[plan[2 * call]], request = S.requests[plan[2 * call + 1]];
      const [raw = NOTHING, note = NOTHING, error = NOTHING, reasoning = NOTHING] = S.completions[number];
      const sent = [];
      for (let message = 0; message < request.length; message += 2) {
        sent.push(el("h4", null, S.pieces[request[message]]), block(text(request[message + 1], at)));
      }
      return el("div", null,
        el("h3", null, "Came back" + (heading ? ": " + heading : "")),
        raw === NOTHING ? null : block(text(raw, at)),
        error === NOTHING ? null : el("p", { class: "error" }, text(error, at)),
        raw === NOTHING && error === NOTHING ? el("p", { class: "quiet" }, "(no text)") : null,
        note === NOTHING ? null : el("p", { class: "quiet" }, S.pieces[note]),
        reasoning === NOTHING ? null : el("details", null, el("summary", null, "Reasoning"), block(text(reasoning, at))),
        // What was sent is long and seldom opened: it is made when it is.
        later("What was sent", () => sent));
    });
  }

  function later(title, make) {
    const box = el("details", null, el("summary", null, title));
    box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(...make()); });
    return box;
  }

  function sideOf(side, at) {
    const name = data.names[side === main ? 0 : 1];
    const list = el("dl");
    if (side.why[at] !== undefined) fact(list, "why", S.pieces[side.why[at]]);
    if (side.off_list[at]) fact(list, "off list", side.off_list[at].map((piece) => S.pieces[piece]).join(", "));
    if (side.mended.includes(at)) fact(list, "mended", "the answer was broken and had to be mended");
    fields(side, at, list);
    return el("div", null,
      el("h3", { class: "side-name" }, el("bdi", null, name)),
      el("p", null, marks(side, at)),
      list.children.length ? list : null,
      repeats(side, at), probabilities(side, at), exchanges(side, at));
  }

  function open() {
    const at = place.get(state.sample), position = shown.indexOf(at);
    $("sample-id").replaceChildren(el("bdi", null, S.ids[at]));
    $("place").textContent = position < 0 ? "" : `${(position + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
    $("before").disabled = position <= 0;
    $("after").disabled = position < 0 || position === shown.length - 1;
    const gold = set(S.gold[at]);
    const list = el("dl");
    S.columns.forEach((name, column) => {
      const value = S.inputs[column][at];
      if (column !== textColumn && value !== null) fact(list, name, value);
    });
    fact(list, "gold", gold === null ? "(unlabelled)" : gold.length ? gold.map((label) => el("span", { class: "chip plain" }, el("bdi", null, data.labels[label]))) : "none");
    (S.gold_fields[at] || []).forEach((value, number) => { if (value !== null) fact(list, `gold ${data.fields[number]}`, value); });
    if (S.change[at]) fact(list, "change", badge(at));
    if (unstable.has(at)) fact(list, "unstable", unstable.get(at).map((label) => data.labels[label]).join(", "));
    const value = S.inputs.length ? S.inputs[textColumn][at] : null;
    $("detail").replaceChildren(
      ...(value === null ? [] : [block(value, "read")]),
      list,
      el("div", { class: "sides" }, [baseline, main].filter(Boolean).map((side) => sideOf(side, at))));
    if (!$("sample").open) $("sample").showModal();
    $("sample").scrollTop = 0;
    $("sample-id").focus();
  }

  function flip(by) {
    const to = shown[shown.indexOf(place.get(state.sample)) + by];
    if (to === undefined) return;
    state.sample = S.ids[to];
    state.page = Math.floor(shown.indexOf(to) / PAGE);
    remember();
    draw();
    open();
  }

  function closed() {
    const id = state.sample;
    state.sample = null;
    remember();
    const link = [...document.querySelectorAll("#sample-table td.id a")].find((each) => each.textContent === id);
    if (link) link.focus();
  }

  // --- the page ------------------------------------------------------------------------------------------------------

  function follow(event) {
    if (event && location.hash && !location.hash.includes("=")) return; // a section of the page
    const before = state.sample;
    read();
    select();
    if (state.sample !== null && shown.includes(place.get(state.sample))) {
      state.page = Math.floor(shown.indexOf(place.get(state.sample)) / PAGE);
    }
    draw();
    if (state.sample !== null) open();
    else {
      if ($("sample").open) $("sample").close();
      if (location.hash.includes("=") && before === null) $("samples").scrollIntoView();
    }
  }

  function sortable(table) {
    const body = table.tBodies[0], given = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const value = (line, column) => line.cells[column].dataset.v;
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      const words = given.some((line) => value(line, column) !== "" && Number.isNaN(Number(value(line, column))));
      const first = words ? "ascending" : "descending", second = words ? "descending" : "ascending";
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const order = was === first ? second : was === second ? "none" : first;
        heads.forEach((each) => { if (each.hasAttribute("aria-sort")) each.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        const sorted = order === "none" ? given : [...given].sort((a, b) => {
          const [x, y] = [value(a, column), value(b, column)];
          if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1); // what is not defined comes last either way
          return sign * (words ? x.localeCompare(y) : x - y);
        });
        body.append(...sorted);
      });
    });
  }

  function themes() {
    const button = $("theme"), root = document.documentElement;
    const stored = { get: () => { try { return localStorage.getItem("harness-theme"); } catch { return null; } },
      put: (theme) => { try { localStorage.setItem("harness-theme", theme); } catch { /* kept for this page alone */ } } };
    const system = matchMedia("(prefers-color-scheme: dark)");
    const now = () => root.dataset.theme || (system.matches ? "dark" : "light");
    const tell = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; button.setAttribute("aria-label", `${button.textContent} colours`); };
    if (["light", "dark"].includes(stored.get())) root.dataset.theme = stored.get();
    button.addEventListener("click", () => {
      root.dataset.theme = now() === "dark" ? "light" : "dark";
      stored.put(root.dataset.theme);
      tell();
    });
    system.addEventListener("change", tell);
    tell();
    button.hidden = false;
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if ($("sample").open) {
      if (event.target.tagName === "PRE") return; // arrows scroll it
      if (event.key === "ArrowLeft" || event.key === "k") flip(-1);
      if (event.key === "ArrowRight" || event.key === "j") flip(1);
    } else if (event.key === "/" && !typing) {
      event.preventDefault();
      $("q").focus();
      $("q").select();
    } else if (event.key === "Escape" && event.target === $("q")) change({ q: "" });
  }

  themes();
  sortable($("label-table"));
  set_up_table();
  $("close").addEventListener("click", () => $("sample").close());
  $("sample").addEventListener("close", closed);
  $("sample").addEventListener("click", (event) => { if (event.target === $("sample")) $("sample").close(); });
  $("before").addEventListener("click", () => flip(-1));
  $("after").addEventListener("click", () => flip(1));
  document.addEventListener("keydown", keys);
  addEventListener("hashchange", follow);
  follow();
})();
