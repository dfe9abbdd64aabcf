/* The snippet: counts page views and what the page reports, and keeps nothing about a visitor.
 *
 *   <script defer data-site="ID" src="https://HOST/static/track.js"></script>
 *
 * No cookie, no fingerprint; the browser's storage holds events that could not be sent, and
 * nothing else. `data-outbound` on the tag counts clicks on links to other hosts too.
 * track.js is this file without comments and blanks: python -m rjsmin <track.src.js >track.js
 */
((w, d, n, l) => {
  const tag = d.currentScript, site = tag.dataset.site, key = "millrace:" + site,
    url = new URL("../v1/track", tag.src);
  let queue = [], from = d.referrer, path, timer, kept;

  const on = (to, kind, then) => to.addEventListener(kind, then, true),
    // Blocked storage throws on the mere look at it.
    safe = (use) => { try { return use() } catch { } };

  // Asked not to be counted: the page's own calls must still find a function.
  if (n.globalPrivacyControl || n.doNotTrack == 1) return w.millrace = () => {};

  const keep = () => {
    queue = queue.slice(-200);
    if (queue[0] || kept)
      kept = safe(() => queue[0] ? w.localStorage[key] = JSON.stringify(queue) : w.localStorage.removeItem(key));
  };

  const flush = () => {
    timer = clearTimeout(timer);
    while (n.onLine && queue[0]) {
      const events = queue.splice(0, 15), body = JSON.stringify({ site, sent_at: Date.now(), events }),
        // The same ids again: what arrived after all is counted once.
        again = () => { queue.unshift(...events); keep() };
      // A beacon outlives the page, and is never answered. No request of over 64 KB outlives it.
      d.hidden && safe(() => n.sendBeacon(url, body)) ||
        fetch(url, { method: "POST", body, keepalive: body.length < 2e4 })
          .then((r) => /429|5../.test(r.status) && again(), again);
    }
    keep();
  };

  const track = (event_type, metadata) => {
    // Copied, as it may change; what has no JSON is left out.
    safe(() => queue.push(JSON.parse(JSON.stringify({
      // Only a secure page has randomUUID.
      id: w.crypto.randomUUID ? crypto.randomUUID() : Math.random().toString(36).slice(2) + Date.now(),
      event_type, metadata, timestamp: Date.now(),
      // Of a query string only the campaign leaves the browser.
      page: l.pathname + (l.search.match(/\butm_\w+=[^&]*/g) || []).join("&").replace(/^./, "?$&"),
      referrer: from.split(/[?#]/)[0] || void 0
    }))));
    timer = timer || setTimeout(flush, 500);
  };

  const view = (again) => {
    if (path == l.pathname && again !== 1) return;
    // Whoever goes on within one load did not come from there again.
    if (path) from = "";
    path = l.pathname;
    track("pageview");
  };

  const push = history.pushState;
  history.pushState = function () { push.apply(this, arguments); view() };
  on(w, "popstate", view);
  on(w, "pageshow", (e) => e.persisted && view(1));
  on(w, "online", flush);
  on(d, "visibilitychange", () => d.hidden && flush());
  if ("outbound" in tag.dataset)
    ["click", "auxclick"].forEach((kind) => on(d, kind, (e) => {
      const a = e.target.closest("a[href]");
      if (a && e.button < 2 && /^http/.test(a.protocol) && a.host != l.host)
        track("outbound", { url: a.origin + a.pathname });
    }));

  safe(() => kept = queue = [].concat(JSON.parse(w.localStorage[key])));
  const start = () => {
    view();
    w.millrace?.q?.forEach((each) => track(...each));
    w.millrace = track;
  };
  d.prerendering ? on(d, "prerenderingchange", start) : start();
})(window, document, navigator, location);
