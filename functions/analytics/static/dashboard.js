"use strict";
/* The dashboard: what is looked at stands in the URL, what is shown comes from the query API. */
(() => {
  const BASE = new URL("../", location.href);
  const LIVE_MS = 10_000, DAY_MS = 86_400_000, SHORT_LIST = 8, LONG_LIST = 200;
  const MEASURES = { visitors: "Visitors", pageviews: "Page views", events: "Events" };
  const INTERVALS = { "5m": "Five minutes", hour: "Hours", day: "Days", week: "Weeks", month: "Months" };
  const LABELS = {
    page: "Pages", link: "Links", referrer: "Referrers", country: "Countries", device: "Devices",
    browser: "Browsers", os: "Systems", name: "Events", goal: "Goals", utm_source: "Sources",
    utm_medium: "Mediums", utm_campaign: "Campaigns", utm_term: "Terms", utm_content: "Contents",
  };
  const SINGULAR = {
    page: "Page", link: "Link", referrer: "Referrer", country: "Country", device: "Device",
    browser: "Browser", os: "System", name: "Event", goal: "Goal", utm_source: "Source",
    utm_medium: "Medium", utm_campaign: "Campaign", utm_term: "Term", utm_content: "Content",
  };
  const PANELS = [
    ["page", "link"],
    ["referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"],
    ["country"],
    ["device", "browser", "os"],
    ["name", "goal"],
  ];
  const LINK_PANELS = [["referrers", "Referrers", "referrer"], ["locations", "Countries", "country"], ["devices", "Devices", "device"]];
  const HINTS = {
    goal: "Set one with PUT /v1/sites/{site}/goals/{name}.",
    name: "Report what matters: millrace(\"signup\", {plan: \"pro\"}).",
  };

  const $ = (id) => document.getElementById(id);
  const tabs = {};
  let sites = [], running = new AbortController(), liveTimer, liveSite;

  // ---- Elements -----------------------------------------------------------------------------

  function el(tag, given = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "class") node.className = value;
      else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== undefined && child !== ""));
    return node;
  }

  const unseen = (text) => el("span", { class: "unseen" }, text);

  function state(title, hint, ...actions) {
    return el("div", { class: "state" }, el("b", {}, title), el("span", {}, hint || ""), ...actions);
  }

  const bones = (number) => Array.from({ length: number }, () => el("div", { class: "bone" }));

  // ---- Words and numbers --------------------------------------------------------------------

  const whole = new Intl.NumberFormat("en");
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const short = (number) => number < 10_000 ? whole.format(number) : compact.format(number);
  const percent = (part) => `${(part * 100).toFixed(part < 0.1 ? 1 : 0)}%`;
  const regions = new Intl.DisplayNames("en", { type: "region", fallback: "code" });
  const DEVICES = { desktop: "Desktop", mobile: "Mobile", tablet: "Tablet", tv: "TV" };

  function named(rollup, value) {
    if (rollup === "country") {
      try { return /^[A-Z]{2}$/.test(value) ? regions.of(value) : value; } catch { return value; }
    }
    return rollup === "device" ? DEVICES[value] || value : value;
  }

  const label = (rollup) => LABELS[rollup] || rollup.replace(/^prop:/, "");
  const singular = (rollup) => SINGULAR[rollup] || rollup.replace(/^prop:/, "");

  function delta(now, before) {
    if (!before) return undefined;
    const change = Math.round((now / before - 1) * 100);
    const way = change > 0 ? "up" : change < 0 ? "down" : "";
    return el("span", { class: `delta ${way}` },
      el("span", { "aria-hidden": "true" }, `${{ up: "↑", down: "↓" }[way] || ""}${Math.abs(change)}%`),
      unseen(`${way || "changed"} ${Math.abs(change)} percent, from ${whole.format(before)}`));
  }

  // ---- Dates, in the site's own time zone ---------------------------------------------------

  const localDate = (zone, at = Date.now()) =>
    new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(at);
  const shift = (date, days) => new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
  const days = (from, to) => Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;

  function range(view, zone) {
    const today = localDate(zone);
    switch (view.period) {
      case "today": return [today, today];
      case "yesterday": return [shift(today, -1), shift(today, -1)];
      case "7d": return [shift(today, -6), today];
      case "month": return [today.slice(0, 8) + "01", today];
      case "12m": {
        const [year, month] = today.split("-").map(Number);
        return [new Date(Date.UTC(year, month - 12, 1)).toISOString().slice(0, 10), today];
      }
      case "custom": return [view.from || shift(today, -29), view.to || today];
      default: return [shift(today, -29), today];
    }
  }

  function intervals(from, to, zone) {
    const number = days(from, to);
    if (number <= 2) return from >= shift(localDate(zone), -1) ? ["hour", "5m"] : ["hour"];
    if (number <= 14) return ["day", "hour"];
    return number <= 92 ? ["day", "week"] : ["month", "week", "day"];
  }

  function times(zone, interval) {
    const options = {
      "5m": { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, hour: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
      month: { month: "short", year: "numeric" },
    }[interval] || { day: "numeric", month: "short" };
    const fine = interval === "hour" || interval === "5m";
    const long = fine ? { weekday: "short", day: "numeric", month: "short", ...options }
      : interval === "month" ? { month: "long", year: "numeric" } : { weekday: "short", day: "numeric", month: "short", year: "numeric" };
    const tick = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    const date = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short" });
    const full = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...long });
    const midnight = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return {
      tick: (at) => fine && midnight.format(at * 1000) === "00:00" ? date.format(at * 1000) : tick.format(at * 1000),
      full: (at) => (interval === "week" ? "Week of " : "") + full.format(at),
    };
  }

  // ---- What is looked at --------------------------------------------------------------------

  function read() {
    const query = new URLSearchParams(location.search);
    const get = (name, otherwise = "") => query.get(name) ?? otherwise;
    return {
      site: get("site"), link: get("link"), domain: get("domain"), period: get("period", "30d"),
      from: get("from"), to: get("to"), interval: get("interval"), compare: get("compare", "previous"),
      measure: get("measure"),
      filters: query.getAll("filter").filter((filter) => filter.includes(":")),
    };
  }

  function look(changes) {
    const view = { ...read(), ...changes }, query = new URLSearchParams();
    const standard = { period: "30d", compare: "previous" };
    for (const [name, value] of Object.entries(view)) {
      if (name === "filters") value.forEach((filter) => query.append("filter", filter));
      else if (value !== (standard[name] ?? "")) query.set(name, value);
    }
    history.pushState(null, "", `${location.pathname}?${query}`);
    return show();
  }

  const split = (filter) => [
    filter.startsWith("prop:") ? filter.split(":", 2).join(":") : filter.split(":", 1)[0],
    filter.startsWith("prop:") ? filter.split(":").slice(2).join(":") : filter.split(":").slice(1).join(":"),
  ];

  // ---- The API ------------------------------------------------------------------------------

  /** What the API answered instead; `status` is 0 where it was not reached. */
  class Failed extends Error {
    constructor(status, message) { super(message); this.status = status; }
  }

  async function api(path, query = [], options = {}) {
    const url = new URL(path, BASE);
    for (const [name, value] of query) if (value) url.searchParams.append(name, value);
    const ask = () => fetch(url, {
      ...options, headers: { ...options.headers, authorization: `Bearer ${Login.token()}` },
    }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Failed(0, "The API cannot be reached.");
    });
    const token = Login.token();
    let response = await ask();
    if (response.status === 401 && await Login.renew(token)) response = await ask();
    if (response.status === 401) {
      askForLogin("Log in again, please.");
      throw new DOMException("logged out", "AbortError");
    }
    if (response.ok) return response.json();
    const answer = await response.json().catch(() => ({}));
    options.signal?.throwIfAborted();
    throw new Failed(response.status, explained(response.status, answer));
  }

  function explained(status, answer) {
    const faults = (answer.errors || []).map((each) => `${each.field}: ${each.reason || each.message}`).join("; ");
    if (status === 404) return "There is nothing of that name, or it is not yours.";
    return faults || answer.detail || answer.title || `The API answered ${status}.`;
  }

  // ---- Everything ---------------------------------------------------------------------------

  async function show() {
    running.abort();
    running = new AbortController();
    const view = read();
    const site = sites.find((each) => each.id === view.site) || sites[0];
    $("problem").hidden = $("welcome").hidden = true;
    $("numbers").hidden = false;
    if (!view.link && !site) return welcomeFirst();
    // A deep link may name a site that is not in the list.
    const wanted = view.link ? undefined : view.site && site.id !== view.site ? { id: view.site, name: view.site, timezone: "UTC", properties: [], unknown: true } : site;
    const zone = wanted ? wanted.timezone : "UTC";
    controls(view, wanted, zone);
    chips(view);
    if (view.link) await showLink(view, zone, running.signal);
    else await showSite(view, wanted, zone, running.signal);
  }

  function controls(view, site, zone) {
    const [from, to] = range(view, zone), choices = intervals(from, to, zone);
    $("site").replaceChildren(
      ...(view.link || site.unknown ? [el("option", { value: "" }, view.link ? "Sites…" : site.name)] : []),
      ...sites.map((each) => el("option", { value: each.id }, each.name)));
    $("site").value = view.link || site.unknown ? "" : site.id;
    $("link").value = view.link;
    $("period").value = view.period;
    $("dates").hidden = view.period !== "custom";
    [$("from").value, $("to").value] = [from, to];
    $("compare").value = view.compare;
    $("compare-pick").hidden = $("interval-pick").hidden = Boolean(view.link);
    $("interval").replaceChildren(...choices.map((each) => el("option", { value: each }, INTERVALS[each])));
    view.interval = choices.includes(view.interval) ? view.interval : choices[0];
    $("interval").value = view.interval;
    // Minutes are known for two days: there is nothing to compare them with.
    $("compare").disabled = view.interval === "5m";
    const title = view.link ? `/${view.link}` : site.name;
    $("heading").textContent = title;
    document.title = `${title} · Analytics`;
    $("footnote").textContent = `Times are ${zone === "UTC" ? "UTC" : `of ${zone}`}. No cookies, no fingerprints; visitors are counted by ids that expire.`;
  }

  function chips(view) {
    const all = view.filters.map((filter, at) => {
      const [rollup, value] = split(filter);
      return chip(`${singular(rollup)}: `, named(rollup, value), () => look({ filters: view.filters.filter((_, other) => other !== at) }));
    });
    if (view.link) all.push(chip("Short link: ", `/${view.link}`, () => look({ link: "", domain: "" })));
    $("chips").replaceChildren(...all);
    $("chips").hidden = !all.length;
  }

  function chip(what, value, drop) {
    return el("button", {
      class: "chip", "aria-label": `Remove filter ${what}${value}`,
      onclick: async () => { const done = drop(); $("content").focus(); await done; },
    }, what, el("b", {}, value), el("span", { class: "x", "aria-hidden": "true" }, "✕"));
  }

  function complain(error) {
    if (error.name === "AbortError") return;
    rested();
    $("numbers").hidden = true;
    $("problem").replaceChildren(el("span", {}, error.message), el("button", { class: "primary", onclick: () => sites.length ? show() : begin() }, "Try again"));
    $("problem").hidden = false;
  }

  // ---- A site -------------------------------------------------------------------------------

  async function showSite(view, site, zone, signal) {
    const [from, to] = range(view, zone), span = [["from", from], ["to", to]];
    const filters = view.filters.map((filter) => ["filter", filter]);
    const path = `v1/stats/${encodeURIComponent(site.id)}`;
    waiting();
    panels(site);
    watch(site);
    try {
      const stats = await api(path, [...span, ...filters, ["interval", view.interval], ["compare", view.interval === "5m" ? "" : view.compare]], { signal });
      overview(view, stats, zone);
      if (!stats.totals.events && !view.filters.length && site.created_at && from <= localDate(zone, Date.parse(site.created_at)))
        return welcomeSnippet(site);
      await Promise.all([...$("panels").children].map((panel) => fill(panel, view, path, span, signal)));
    } catch (error) { complain(error); }
  }

  function waiting() {
    const overview = document.querySelector(".overview");
    overview.setAttribute("aria-busy", "true");
    if ($("tiles").children.length) return;
    Chart.clear();
    $("chart").replaceChildren(...bones(1));
    $("tiles").replaceChildren(...Object.values(MEASURES).map((name) =>
      el("div", { class: "tile" }, el("p", { class: "name" }, name), el("div", { class: "bone" }))));
  }

  const rested = () => document.querySelector(".overview").removeAttribute("aria-busy");

  function overview(view, stats, zone) {
    const measure = MEASURES[view.measure] ? view.measure : "visitors";
    const { totals, compare } = stats, notes = {
      visitors: stats.uniques === "exact" ? "counted exactly" : stats.uniques,
      pageviews: totals.visitors ? `${(totals.pageviews / totals.visitors).toFixed(1)} per visitor` : "",
      events: "page views among them",
    };
    rested();
    measures(Object.entries(MEASURES).map(([each, name]) => ({
      measure: each, name, total: totals[each], note: notes[each], before: compare && compare.totals[each],
    })), measure);
    plot(measure, MEASURES[measure], stats.series.map((each) => ({ ...each, at: Date.parse(each.start) })),
      compare && compare.series.map((each) => ({ ...each, at: Date.parse(each.start) })), zone, stats.interval || view.interval);
    table(stats.series, compare && compare.series, MEASURES, times(zone, stats.interval || view.interval), zone);
  }

  function measures(all, chosen) {
    const focused = document.activeElement && document.activeElement.dataset.measure;
    $("tiles").replaceChildren(...all.map(({ measure, name, total, note, before }) => el("button", {
      class: "tile", "data-measure": measure, "aria-pressed": String(measure === chosen), onclick: () => look({ measure }),
    }, el("span", { class: "name" }, name), el("span", { class: "figure" }, el("span", { title: whole.format(total) }, short(total)), delta(total, before)), el("span", { class: "note" }, note || ""))));
    if (focused) $("tiles").querySelector(`[data-measure="${focused}"]`)?.focus();
  }

  function plot(measure, name, series, before, zone, interval) {
    const now = Date.now(), { tick, full } = times(zone, interval);
    const past = series.map((each) => each.at <= now);
    const values = series.map((each, at) => past[at] ? each[measure] : null);
    const open = series.findIndex((each, at) => past[at] && each.final === false);
    $("legend").replaceChildren(el("li", {}, name),
      ...(before ? [el("li", { class: "before" }, read().compare === "year" ? "A year before" : "Previous period")] : []),
      ...(open >= 0 ? [el("li", { class: "open" }, "Not final yet")] : []));
    if (!values.some(Boolean) && !(before && before.some((each) => each[measure]))) {
      Chart.clear();
      return $("chart").replaceChildren(el("p", { class: "empty" }, "Nothing was counted in this period."));
    }
    $("chart").replaceChildren();
    Chart.draw($("chart"), {
      times: series.map((each) => each.at / 1000), values, zone, tick,
      settled: open < 0 ? series.length : open,
      before: before && series.map((_, at) => before[at] ? before[at][measure] : null),
      describe: (at) => ({
        title: full(series[at].at) + (series[at].final === false ? " · so far" : ""),
        rows: [
          [name, whole.format(values[at] ?? 0)],
          ...(before && before[at] ? [[full(before[at].at), whole.format(before[at][measure])]] : []),
        ],
      }),
    });
  }

  function table(series, before, columns, { full }) {
    const names = Object.entries(columns), head = (text) => el("th", { scope: "col" }, text);
    const rows = series.filter((each) => Date.parse(each.start) <= Date.now()).map((each, at) => el("tr", {},
      el("td", {}, full(Date.parse(each.start)), each.final === false ? " (so far)" : ""),
      ...names.map(([name]) => el("td", {}, whole.format(each[name]))),
      ...(before ? names.map(([name]) => el("td", {}, before[at] ? whole.format(before[at][name]) : "–")) : [])));
    $("table").replaceChildren(el("table", {}, el("caption", { class: "unseen" }, "The chart's numbers"),
      el("thead", {}, el("tr", {}, head("Time"), ...names.map(([, name]) => head(name)), ...(before ? names.map(([, name]) => head(`${name} before`)) : []))),
      el("tbody", {}, ...rows)));
  }

  // ---- Lists --------------------------------------------------------------------------------

  function panels(site) {
    const key = `site ${site.id} ${(site.properties || []).join()}`;
    if ($("panels").dataset.of === key) return;
    $("panels").dataset.of = key;
    const groups = PANELS.map((rollups, at) => at === PANELS.length - 1 ? [...rollups, ...(site.properties || []).map((name) => `prop:${name}`)] : rollups);
    $("panels").replaceChildren(...groups.map((rollups, at) => {
      tabs[at] = rollups.includes(tabs[at]) ? tabs[at] : rollups[0];
      const content = el("div", { class: "content", id: `list-${at}`, role: "tabpanel", "aria-labelledby": `tab-${at}-${rollups.indexOf(tabs[at])}` }, ...bones(6));
      const list = el("div", { class: "tabs", role: "tablist", "aria-label": label(rollups[0]), onkeydown: arrows },
        ...rollups.map((rollup, which) => el("button", {
          class: "tab", role: "tab", id: `tab-${at}-${which}`, "data-rollup": rollup, "aria-controls": `list-${at}`,
          "aria-selected": String(rollup === tabs[at]), tabindex: rollup === tabs[at] ? "0" : "-1", onclick: choose,
        }, label(rollup))));
      return el("section", { class: `card panel${at === groups.length - 1 ? " wide" : ""}`, "data-at": String(at) }, list, content);
    }));

    function choose(event) {
      const chosen = event.currentTarget, panel = chosen.closest(".panel");
      tabs[panel.dataset.at] = chosen.dataset.rollup;
      for (const tab of panel.querySelectorAll(".tab")) {
        tab.setAttribute("aria-selected", String(tab === chosen));
        tab.tabIndex = tab === chosen ? 0 : -1;
      }
      panel.querySelector(".content").setAttribute("aria-labelledby", chosen.id);
      delete panel.dataset.long;
      panel.refill?.();
    }
  }

  function arrows(event) {
    const all = [...event.currentTarget.children], at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = all[(to + all.length) % all.length];
    tab.focus();
    tab.click();
  }

  async function fill(panel, view, path, span, signal) {
    panel.refill = () => fill(panel, view, path, span, signal);
    const rollup = tabs[panel.dataset.at], content = panel.querySelector(".content"), limit = panel.dataset.long ? LONG_LIST : SHORT_LIST;
    // A list is not narrowed by its own choice: the other values stay there to choose from.
    const filters = view.filters.filter((filter) => split(filter)[0] !== rollup).map((filter) => ["filter", filter]);
    panel.setAttribute("aria-busy", "true");
    content.classList.add("stale");
    const current = () => tabs[panel.dataset.at] === rollup && !signal.aborted;
    try {
      // One more tells that there are more; page views are not shown among the events.
      const most = limit + (rollup === "name" ? 2 : 1);
      const answer = await api(path, [...span, ...filters, ["interval", "day"], ["by", rollup], ["limit", most]], { signal });
      if (!current()) return;
      content.replaceChildren(...rowsOf(rollup, answer, view, panel, limit));
    } catch (error) {
      if (error.name === "AbortError" || !current()) return;
      content.replaceChildren(error.status === 422
        ? state(`${label(rollup)} are not kept for this filter`, error.message)
        : state("This list could not be loaded", error.message, el("button", { class: "small plain", onclick: panel.refill }, "Try again")));
    }
    content.classList.toggle("tall", Boolean(panel.dataset.long));
    panel.removeAttribute("aria-busy");
    content.classList.remove("stale");
  }

  function rowsOf(rollup, { top, series }, view, panel, limit) {
    const found = (top ? top.rows : []).filter((row) => !(rollup === "name" && row.value === "pageview"));
    if (!found.length) return [state(`No ${label(rollup).toLowerCase()} yet`, HINTS[rollup] || "Nothing of that kind was counted in this period.")];
    const second = rollup === "goal" ? "Rate" : rollup === "name" || rollup.startsWith("prop:") ? "Events" : "Views";
    // A list adds up the days' visitors, of UTC and estimated where the site's days are others.
    const visitors = (series || []).reduce((sum, day) => sum + day.visitors, 0);
    const figure = (row) => second === "Rate" ? percent(visitors ? Math.min(row.visitors / visitors, 1) : 0)
      : short(second === "Events" ? row.events : row.pageviews);
    const shown = list(rollup, ["Visitors", second], found.slice(0, limit).map((row) => [row.value, row.visitors, [short(row.visitors), figure(row)]]), view);
    const rest = found.length <= limit && second === "Views" && top.other && top.other.pageviews;
    if (rest) shown.tBodies[0].append(el("tr", { class: "rest" }, el("td", {}, el("span", { class: "row" }, rollup === "referrer" ? "Direct and others" : "None or others")), el("td", {}), el("td", {}, short(rest))));
    return [shown,
      ...(found.length > limit || panel.dataset.long ? [el("button", {
        class: "more small plain", "aria-expanded": String(Boolean(panel.dataset.long)),
        onclick: () => { if (panel.dataset.long) delete panel.dataset.long; else panel.dataset.long = "1"; panel.refill(); },
      }, panel.dataset.long ? "Show fewer" : "Show more")] : [])];
  }

  /** A list as a table; a click on a value filters by it where `view` is given. */
  function list(rollup, columns, rows, view) {
    const most = Math.max(...rows.map(([, size]) => size), 1);
    return el("table", { class: "list" }, el("caption", { class: "unseen" }, label(rollup)),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, singular(rollup)), ...columns.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.map(([value, size, figures]) => {
        const meter = el("span", { class: "meter", "aria-hidden": "true" }), text = named(rollup, value), filter = `${rollup}:${value}`;
        meter.style.width = `calc((100% - 8px) * ${size / most})`;
        const name = !view ? el("span", { class: "row", title: text }, text) : el("button", {
          class: "row", title: text, "aria-pressed": String(view.filters.includes(filter)), onclick: () => narrow(rollup, filter),
        }, text);
        return el("tr", {}, el("td", {}, meter, name), ...figures.map((each) => el("td", {}, each)));
      })));
  }

  async function narrow(rollup, filter) {
    const others = read().filters.filter((each) => split(each)[0] !== rollup);
    const done = look({ filters: read().filters.includes(filter) ? others : [...others, filter].slice(-2) });
    // The row goes with its list: whoever uses the keyboard goes on at the filter.
    ($("chips").lastElementChild || $("content")).focus();
    await done;
  }

  // ---- Right now ----------------------------------------------------------------------------

  function watch(site) {
    clearTimeout(liveTimer);
    liveSite = site.id;
    if (document.hidden) return;
    const again = () => { clearTimeout(liveTimer); if (liveSite === site.id) liveTimer = setTimeout(() => watch(site), LIVE_MS); };
    api(`v1/stats/${encodeURIComponent(site.id)}/live`).then((live) => {
      if (liveSite !== site.id) return;
      if (!$("welcome").hidden && live.visitors) show();
      const text = whole.format(live.visitors);
      if ($("live-count").dataset.text !== text) {
        $("live-count").dataset.text = text;
        $("live-count").replaceChildren(text, unseen(live.visitors === 1 ? " visitor right now" : " visitors right now"));
      }
      const most = Math.max(...live.minutes.map((minute) => minute.visitors), 1);
      $("live-bars").replaceChildren(...live.minutes.map((minute) => {
        const bar = el("i");
        bar.style.height = `${100 * minute.visitors / most}%`;
        return bar;
      }));
      $("live").hidden = false;
    }, () => { $("live").hidden = true; }).then(again);
  }

  function unwatch() {
    clearTimeout(liveTimer);
    liveSite = undefined;
    $("live").hidden = true;
  }

  // ---- A short link -------------------------------------------------------------------------

  async function showLink(view, zone, signal) {
    unwatch();
    waiting();
    delete $("panels").dataset.of;
    const [from, to] = range(view, zone);
    try {
      const stats = await api(`v1/links/${encodeURIComponent(view.link)}/stats`, [["from", from], ["to", to], ["domain", view.domain]], { signal });
      rested();
      const series = stats.by_day.map((day) => ({ ...day, start: `${day.date}T00:00:00Z`, at: Date.parse(day.date) }));
      const chosen = view.measure === "visitors" ? "visitors" : "clicks";
      const columns = { clicks: "Clicks", visitors: "Visitors" }, since = times(zone, "day").full(Date.parse(stats.created_at));
      measures([
        { measure: "clicks", name: "Clicks", total: stats.clicks, note: `the link is of ${since}` },
        { measure: "visitors", name: "Visitors", total: series.reduce((sum, day) => sum + day.visitors, 0), note: "sum of the days" },
      ], chosen);
      $("tiles").append(el("div", { class: "tile" }, el("p", { class: "name" }, "Bots"), el("p", { class: "figure" }, short(stats.bots)), el("p", { class: "note" }, "not among the clicks")));
      plot(chosen, columns[chosen], series, null, zone, "day");
      table(series, null, columns, times(zone, "day"));
      $("panels").replaceChildren(...LINK_PANELS.map(([field, title, rollup], at) => {
        const rows = (stats[field] || []).map((row) => [row.value, row.clicks, [short(row.clicks)]]);
        return el("section", { class: `card panel${at === LINK_PANELS.length - 1 ? " wide" : ""}` },
          el("div", { class: "tabs" }, el("h2", { class: "tab" }, title)),
          el("div", { class: "content" }, rows.length ? list(rollup, ["Clicks"], rows) : state(`No ${title.toLowerCase()} yet`)));
      }));
    } catch (error) { complain(error); }
  }

  // ---- Before there is anything to see ------------------------------------------------------

  function welcomeSnippet(site) {
    const code = `<script defer data-site="${site.id}" src="${new URL("static/track.js", BASE)}"></script>`;
    const copy = el("button", { class: "primary", onclick: () => navigator.clipboard.writeText(code).then(() => { copy.textContent = "Copied"; }) }, "Copy");
    $("welcome").replaceChildren(el("h2", {}, "Waiting for the first visit"),
      el("p", {}, `Put this into the head of every page of ${site.name}. It sets no cookie, keeps nothing, and weighs 2 KB.`),
      el("pre", { tabindex: "0", "aria-label": "The snippet" }, code), copy);
    $("welcome").hidden = false;
    $("numbers").hidden = true;
  }

  function welcomeFirst() {
    unwatch();
    rested();
    const name = el("input", { name: "name", required: true, maxlength: "100", placeholder: "My site" });
    const origin = el("input", { name: "origin", type: "url", required: true, placeholder: "https://example.com" });
    const failure = el("p", { class: "failure", role: "alert" });
    const add = async (event) => {
      event.preventDefault();
      failure.textContent = "";
      try {
        const site = await api("v1/sites", [], {
          method: "POST", headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
          body: JSON.stringify({ name: name.value, origins: [new URL(origin.value).origin], timezone: Intl.DateTimeFormat().resolvedOptions().timeZone }),
        });
        sites = [site];
        await look({ site: site.id });
      } catch (error) { failure.textContent = error.message; }
    };
    $("numbers").hidden = true;
    $("welcome").replaceChildren(el("h2", {}, "Your first site"), el("p", {}, "Name it, and say where it lives. Its snippet comes next."),
      el("form", { class: "bar first", onsubmit: add }, el("label", {}, unseen("Name"), name), el("label", {}, unseen("Address"), origin), el("button", { class: "primary" }, "Add site"), failure));
    $("welcome").hidden = false;
  }

  // ---- In and out ---------------------------------------------------------------------------

  let redirects = false;

  function askForLogin(hint) {
    unwatch();
    running.abort();
    Login.leave();
    $("app").hidden = true;
    $("login").hidden = false;
    $("login-hint").textContent = hint || "See who visits your sites and follows your links.";
    $("password-fields").hidden = redirects;
    for (const field of [$("username"), $("password")]) field.required = !redirects;
    if (redirects) $("login-button").focus();
    else $("username").focus();
  }

  async function logIn(event) {
    event.preventDefault();
    $("login-error").textContent = "";
    $("login-button").disabled = true;
    try {
      if (redirects) await Login.redirect();
      else if (await Login.withPassword($("username").value, $("password").value, $("new-password").value)) {
        $("password").value = $("new-password").value = "";
        $("new-password-label").hidden = true;
        await begin();
      } else {
        $("new-password-label").hidden = false;
        $("new-password").required = true;
        $("login-hint").textContent = "This is your first login: choose a password of your own.";
        $("new-password").focus();
      }
    } catch (error) {
      $("login-error").textContent = error.message;
      if (!redirects) $("password").focus();
    } finally { $("login-button").disabled = false; }
  }

  async function begin() {
    $("login").hidden = true;
    $("app").hidden = false;
    $("problem").hidden = true;
    waiting();
    try {
      const found = [];
      for (let cursor = ""; ;) {
        const page = await api("v1/sites", [["limit", "100"], ["cursor", cursor]]);
        found.push(...page.items);
        cursor = page.next_cursor;
        if (!cursor || found.length >= 1000) break;
      }
      sites = found;
    } catch (error) { return complain(error); }
    return show();
  }

  function listen() {
    const on = (id, event, run) => $(id).addEventListener(event, run);
    on("login-form", "submit", logIn);
    on("logout", "click", () => askForLogin());
    on("site", "change", () => $("site").value && look({ site: $("site").value, link: "", domain: "", filters: [] }));
    on("link-form", "submit", (event) => {
      event.preventDefault();
      const code = $("link").value.trim().replace(/[?#].*$/, "").replace(/\/+$/, "").split("/").pop();
      look({ link: code, domain: "", filters: [] });
    });
    on("period", "change", () => look({ period: $("period").value, interval: "", from: $("period").value === "custom" ? $("from").value : "", to: $("period").value === "custom" ? $("to").value : "" }));
    for (const id of ["from", "to"])
      on(id, "change", () => $("from").value && $("to").value && look({ period: "custom", interval: "", from: $("from").value < $("to").value ? $("from").value : $("to").value, to: $("to").value > $("from").value ? $("to").value : $("from").value }));
    on("compare", "change", () => look({ compare: $("compare").value }));
    on("interval", "change", () => look({ interval: $("interval").value }));
    on("as-table", "click", () => {
      const hidden = $("table").classList.toggle("unseen");
      $("as-table").setAttribute("aria-pressed", String(!hidden));
      $("chart").hidden = !hidden;
    });
    on("chart", "keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      $("point").textContent = Chart.step(by);
    });
    addEventListener("popstate", () => show());
    document.addEventListener("visibilitychange", () => {
      const site = sites.find((each) => each.id === liveSite);
      if (!document.hidden && site) watch(site);
    });
  }

  async function main() {
    listen();
    try {
      const config = await (await fetch(new URL("config.json", location.href))).json();
      redirects = !config.cognito;
      if (await Login.start(config)) return await begin();
      askForLogin();
    } catch (error) {
      askForLogin();
      $("login-error").textContent = error instanceof Login.Refused ? error.message : "The dashboard's settings cannot be loaded. Try again.";
    }
  }

  main();
})();
