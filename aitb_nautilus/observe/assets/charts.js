/* The charts of the two kinds of page: equity and price of one run, curves of several. */

const byId = (id) => document.getElementById(id);

/* Buttons beside a chart: zoom, reset, and switches named by data-switch. */
function wireTools(card, chart, switches = {}) {
  for (const button of card.querySelectorAll("[data-do]")) {
    const act = { in: () => chart().zoom(0.5), out: () => chart().zoom(2), reset: () => chart().reset() };
    button.addEventListener("click", act[button.dataset.do]);
  }
  for (const button of card.querySelectorAll("[data-switch]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      switches[button.dataset.switch](on);
    });
  }
}

function drawdown(values, peaks) {
  return values.map((value, i) => value / peaks[i] - 1);
}

const percentAxis = (value, step) => axisText(value * 100, step * 100) + "%";

function equityChart(data) {
  const { curve, decimals, currency } = data;
  const { ts, equity, market } = curve;
  const fall = drawdown(equity, curve.peak);
  const marketFall = drawdown(market, curve.market_peak);
  const load = curve.exposure.map((value, i) => (equity[i] > 0 ? value / equity[i] : 0));
  const main = {
    height: 270,
    title: `Equity, ${currency}`,
    format: axisText,
    layers: [
      lineLayer({ ts, ys: market, paint: "--market", width: 1.3 }),
      lineLayer({ ts, ys: equity, paint: "--strategy", width: 1.8 }),
    ],
  };
  const panels = [
    main,
    {
      height: 104,
      title: "Drawdown",
      zero: true,
      format: percentAxis,
      layers: [
        lineLayer({ ts, ys: marketFall, paint: "--market", width: 1 }),
        lineLayer({ ts, ys: fall, paint: "--loss", width: 1.3, fill: 0.16 }),
      ],
    },
    {
      height: 66,
      title: "Exposure, share of equity",
      zero: true,
      format: percentAxis,
      layers: [lineLayer({ ts, ys: load, paint: "--strategy", width: 1, fill: 0.16 })],
    },
  ];
  const chart = new TimeChart(byId("equity-chart"), {
    label: "Equity and drawdown against holding the market.",
    ts,
    panels,
    minSpan: Math.max(MINUTE, (ts[ts.length - 1] - ts[0]) / 5000),
    overview: { ts, ys: equity, paint: "--strategy" },
    describe: (i) => ({
      title: momentText(ts[i]),
      rows: [
        ["Equity", numberText(equity[i], decimals), "--strategy"],
        ["Return", percentText(equity[i] / data.start - 1, 2, true)],
        ["Market", numberText(market[i], decimals), "--market"],
        ["Market return", percentText(market[i] / data.start - 1, 2, true)],
        ["Drawdown", percentText(fall[i]), "--loss"],
        ["Market drawdown", percentText(marketFall[i])],
        ["Exposure", percentText(load[i], 0)],
      ],
      points: [
        [0, ts[i], market[i], "--market"],
        [0, ts[i], equity[i], "--strategy"],
        [1, ts[i], fall[i], "--loss"],
      ],
    }),
  });
  wireTools(byId("equity"), () => chart, {
    log: (on) => {
      main.log = on;
      chart.draw();
    },
  });
  return chart;
}

/* Everything a tooltip or a table says about a round trip. */
function describeTrade(data, i) {
  const { trades, currency, decimals } = data;
  const rows = [
    ["Entry", `${momentText(trades.ts_open[i])} at ${priceText(trades.open_price[i])}`],
    ["Exit", trades.is_open[i] ? "still open" : `${momentText(trades.ts_close[i])} at ${priceText(trades.close_price[i])}`],
    ["Quantity", priceText(trades.quantity[i])],
    ["Net result", `${numberText(trades.pnl[i], decimals, true)} ${currency}`, trades.pnl[i] > 0 ? "--gain" : "--loss"],
  ];
  if (!trades.is_open[i]) {
    rows.push(["Return", percentText(trades.return_frac[i], 2, true)]);
    rows.push(["Held", `${spanText(trades.ts_close[i] - trades.ts_open[i])}, ${trades.bars_held[i]} bars`]);
    rows.push(["Reason", reasonText(trades.name("exit_purpose", i))]);
  }
  rows.push(["Strategy", trades.name("strategy_id", i)]);
  return { title: `${trades.isLong(i) ? "Long" : "Short"} ${trades.name("instrument_id", i)}`, rows };
}

const reasonText = (purpose) => purpose.replace(/^exit:/, "").replaceAll("_", " ") || "\u2013";

function priceChart(data) {
  const card = byId("prices");
  const select = byId("instrument");
  const caption = byId("candle-length");
  const { trades } = data;
  const style = { candles: true };
  let chart = null;

  const show = (position) => {
    const bars = data.instruments[position];
    const code = trades.texts.instrument_id.indexOf(bars.id);
    const rows = [];
    for (let i = 0; i < trades.rows; i++) if (trades.instrument_id[i] === code) rows.push(i);
    const candles = candleLayer(bars, style);
    const marks = tradeLayer(trades, rows);
    const range = chart?.range;
    if (chart) TimeChart.all.splice(TimeChart.all.indexOf(chart), 1);
    chart = new TimeChart(byId("price-chart"), {
      label: `Price of ${bars.id} with ${rows.length} trades.`,
      ts: bars.ts,
      minSpan: bars.step * 12,
      panels: [{ height: 380, title: bars.id, format: axisText, layers: [candles, marks] }],
      overview: { ts: bars.ts, ys: bars.close, paint: "--market" },
      onView: (view) => {
        const joined = spanText(candles.interval(view));
        caption.textContent = style.candles ? `Each candle is ${joined}` : `Closes of ${joined}`;
      },
      describe: (i) => ({
        title: momentText(bars.ts[i]),
        rows: [
          ["Open", priceText(bars.open[i])],
          ["High", priceText(bars.high[i])],
          ["Low", priceText(bars.low[i])],
          ["Close", priceText(bars.close[i])],
        ],
      }),
      pick: (self, x, y) => pickTrade(data, marks, self, x, y),
    });
    if (range) chart.show(...range);
  };

  select.addEventListener("change", () => show(Number(select.value)));
  wireTools(card, () => chart, {
    candles: (on) => {
      style.candles = on;
      chart.draw();
    },
  });
  show(0);
  return (i) => {
    const position = data.instruments.findIndex((bars) => bars.id === trades.name("instrument_id", i));
    if (position < 0) return;
    if (select.value !== String(position)) {
      select.value = String(position);
      show(position);
    }
    const span = Math.max((trades.ts_close[i] - trades.ts_open[i]) * 4, chart.options.minSpan * 6);
    const middle = (trades.ts_open[i] + trades.ts_close[i]) / 2;
    chart.show(middle - span / 2, middle + span / 2);
    card.scrollIntoView({ block: "start" });
    chart.stage.focus({ preventScroll: true });
  };
}

/* The trade whose entry or exit is nearest to the pointer, within reach. */
function pickTrade(data, marks, chart, x, y) {
  const { trades } = data;
  const panel = chart.panels[0];
  let best = null;
  let reach = 15 ** 2;
  for (const i of marks.inView(chart.view)) {
    for (const [t, price] of marks.ends(i)) {
      const distance = (chart.view.x(t) - x) ** 2 + (panel.y(price) - y) ** 2;
      if (distance < reach) {
        reach = distance;
        best = { i, t };
      }
    }
  }
  if (!best) return null;
  const { i } = best;
  const paint = trades.pnl[i] > 0 ? "--gain" : "--loss";
  const points = marks.ends(i).map(([t, price]) => [0, t, price, paint]);
  return { ...describeTrade(data, i), t: best.t, points };
}

/* Curves of several runs, each rebased to 100 at its own start. */
function comparisonChart(data) {
  const runs = data.runs.filter((run) => run.rows > 0);
  const length = (run) => run.ts[run.ts.length - 1] - run.ts[0];
  const longest = runs.reduce((a, b) => (length(b) > length(a) ? b : a));
  const times = Float64Array.from(new Set(runs.flatMap((run) => Array.from(run.ts)))).sort();
  const curves = runs.map((run) => ({
    run,
    paint: `--run-${run.place}`,
    dash: [[], [7, 4], [2, 3], [9, 3, 2, 3]][Math.floor((run.place - 1) / 2) % 4],
    growth: run.equity.map((value) => (value / run.start) * 100),
    fall: drawdown(run.equity, run.peak),
  }));
  const main = {
    height: 320,
    title: "Growth of 100",
    format: axisText,
    layers: [
      lineLayer({ ts: longest.ts, ys: longest.market.map((v) => (v / longest.start) * 100), paint: "--market", width: 1.2 }),
      ...curves.map(({ run, growth, paint, dash }) => lineLayer({ ts: run.ts, ys: growth, paint, dash, width: 1.8 })),
    ],
  };
  const under = {
    height: 130,
    title: "Drawdown",
    zero: true,
    format: percentAxis,
    layers: curves.map(({ run, fall, paint, dash }) => lineLayer({ ts: run.ts, ys: fall, paint, dash, width: 1.3 })),
  };
  const at = (run, t) => (t < run.ts[0] || t > run.ts[run.ts.length - 1] ? -1 : nearestIndex(run.ts, t));
  const chart = new TimeChart(byId("equity-chart"), {
    label: "Growth and drawdown of the compared runs.",
    ts: times,
    panels: [main, under],
    minSpan: Math.max(MINUTE, (times[times.length - 1] - times[0]) / 5000),
    overview: { ts: longest.ts, ys: longest.equity, paint: `--run-${longest.place}` },
    describe: (index) => {
      const t = times[index];
      const rows = [];
      const points = [];
      for (const { run, growth, fall, paint } of curves) {
        const i = at(run, t);
        if (i < 0) continue;
        rows.push([run.name, `${percentText(growth[i] / 100 - 1, 2, true)} (drawdown ${percentText(fall[i])})`, paint]);
        points.push([0, run.ts[i], growth[i], paint], [1, run.ts[i], fall[i], paint]);
      }
      const i = at(longest, t);
      if (i >= 0) rows.push(["Market", percentText(longest.market[i] / longest.start - 1, 2, true), "--market"]);
      return { title: momentText(t), rows, points };
    },
  });
  wireTools(byId("equity"), () => chart, {
    log: (on) => {
      main.log = on;
      chart.draw();
    },
  });
}
