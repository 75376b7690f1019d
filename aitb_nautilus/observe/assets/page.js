/* Start the page: colours, tips, the table of trades, the charts. */

const PAGE_ROWS = 15;

function wireTheme() {
  const button = byId("theme");
  const root = document.documentElement;
  const redraw = () => {
    paletteCache.clear();
    for (const chart of TimeChart.all) chart.draw();
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  button.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    redraw();
  });
  dark.addEventListener("change", redraw);
  let before;
  const main = byId("main");
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    main.style.width = "700px"; // about what is printed on: the charts are drawn for it
    redraw();
    main.style.width = "";
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    redraw();
  });
}

/* Anything with data-tip shows it beside the pointer. */
function wireTips() {
  const tip = document.createElement("div");
  tip.className = "tip floating";
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("pointermove", (event) => {
    const source = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    tip.hidden = !source;
    if (!source) return;
    tip.textContent = source.dataset.tip;
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const y = Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8);
    tip.style.transform = `translate(${Math.max(8, x)}px, ${Math.max(8, y)}px)`;
  });
}

/* Mark in the bar on top which section is being read. */
function wireNavigation() {
  const links = new Map();
  for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        for (const [id, link] of links) {
          if (id === target.id) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
      }
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  for (const id of links.keys()) watch.observe(byId(id));
}

/* Give coded text columns back their texts. */
function readTrades(trades) {
  trades.name = (column, i) => trades.texts[column][trades[column][i]];
  trades.isLong = (i) => trades.name("side", i) === "LONG";
  return trades;
}

function tradeTable(data, locate) {
  const { trades, decimals } = data;
  const body = byId("trade-rows");
  const status = byId("trade-page");
  const order = Array.from({ length: trades.rows }, (_, i) => i);
  let page = 0;
  const keys = {
    opened: (i) => trades.ts_open[i],
    instrument: (i) => trades.name("instrument_id", i),
    side: (i) => trades.name("side", i),
    held: (i) => trades.bars_held[i],
    reason: (i) => trades.name("exit_purpose", i),
    return: (i) => trades.return_frac[i],
    pnl: (i) => trades.pnl[i],
  };
  const draw = () => {
    const first = page * PAGE_ROWS;
    const rows = order.slice(first, first + PAGE_ROWS).map((i) => tradeRow(data, i, decimals, locate));
    body.replaceChildren(...rows);
    const last = Math.min(first + PAGE_ROWS, order.length);
    status.textContent = `${first + 1}\u2013${last} of ${order.length.toLocaleString("en-US")}`;
    byId("trade-back").disabled = page === 0;
    byId("trade-next").disabled = last === order.length;
  };
  byId("trade-back").addEventListener("click", () => (page--, draw()));
  byId("trade-next").addEventListener("click", () => (page++, draw()));
  for (const head of document.querySelectorAll("#trade-table th[data-key]")) {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending";
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      const key = keys[head.dataset.key];
      const way = down ? 1 : -1;
      order.sort((a, b) => {
        const [p, q] = [key(a), key(b)];
        return p < q ? -way : p > q ? way : a - b;
      });
      page = 0;
      draw();
    });
  }
  draw();
}

function tradeRow(data, i, decimals, locate) {
  const { trades } = data;
  const open = trades.is_open[i];
  const row = document.createElement("tr");
  const cells = [
    [momentText(trades.ts_open[i])],
    [trades.name("instrument_id", i)],
    [trades.isLong(i) ? "Long" : "Short"],
    [priceText(trades.open_price[i]), "num"],
    [open ? "\u2013" : priceText(trades.close_price[i]), "num"],
    [String(trades.bars_held[i]), "num"],
    [open ? "still open" : reasonText(trades.name("exit_purpose", i))],
    [open ? "\u2013" : percentText(trades.return_frac[i], 2, true), "num"],
    [numberText(trades.pnl[i], decimals, true), `num ${trades.pnl[i] > 0 ? "gain" : trades.pnl[i] < 0 ? "loss" : ""}`],
  ];
  for (const [text, kind] of cells) {
    const cell = document.createElement("td");
    cell.textContent = text;
    if (kind) cell.className = kind;
    row.append(cell);
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Show";
  button.setAttribute("aria-label", `Show this trade on the chart, opened ${cells[0][0]}`);
  button.addEventListener("click", () => locate(i));
  const cell = document.createElement("td");
  cell.append(button);
  row.append(cell);
  return row;
}

async function start() {
  wireTheme();
  wireTips();
  wireNavigation();
  const data = await unpackColumns(JSON.parse(byId("payload").textContent));
  if (data.kind === "comparison") {
    if (byId("equity-chart")) comparisonChart(data);
  } else {
    readTrades(data.trades);
    if (byId("equity-chart")) equityChart(data);
    const locate = byId("price-chart") ? priceChart(data) : () => {};
    if (byId("trade-table")) tradeTable(data, locate);
  }
  document.documentElement.dataset.ready = "yes";
}

start();
