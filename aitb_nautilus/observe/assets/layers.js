/* What a panel of a time chart can draw. A layer has
   extent(view): [low, high] of what is visible, or null; draw(ctx, panel, view): paints itself. */

const paletteCache = new Map();

/* A colour of the style sheet, by the name of its variable. */
function colour(name) {
  if (!paletteCache.has(name)) {
    const style = getComputedStyle(document.documentElement);
    paletteCache.set(name, style.getPropertyValue(name).trim());
  }
  return paletteCache.get(name);
}

/* First index whose time is not before t. */
function lowerBound(ts, t) {
  let low = 0;
  let high = ts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ts[middle] < t) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nearestIndex(ts, t) {
  const i = lowerBound(ts, t);
  if (i === 0) return 0;
  if (i === ts.length) return i - 1;
  return t - ts[i - 1] < ts[i] - t ? i - 1 : i;
}

/* Indices of what is visible, with one neighbour on each side. */
function visibleRange(ts, view) {
  return [Math.max(0, lowerBound(ts, view.t0) - 1), Math.min(ts.length, lowerBound(ts, view.t1) + 1)];
}

function lineLayer({ ts, ys, paint, width = 1.6, dash = [], fill = null, baseline = 0 }) {
  return {
    extent(view) {
      const [from, to] = visibleRange(ts, view);
      let low = Infinity;
      let high = -Infinity;
      for (let i = from; i < to; i++) {
        if (ys[i] < low) low = ys[i];
        if (ys[i] > high) high = ys[i];
      }
      return low <= high ? [low, high] : null;
    },
    draw(ctx, panel, view) {
      const [from, to] = visibleRange(ts, view);
      if (from >= to) return;
      const path = new Path2D();
      for (let i = from; i < to; i++) path.lineTo(view.x(ts[i]), panel.y(ys[i]));
      if (fill) {
        const area = new Path2D(path);
        area.lineTo(view.x(ts[to - 1]), panel.y(baseline));
        area.lineTo(view.x(ts[from]), panel.y(baseline));
        ctx.globalAlpha = fill;
        ctx.fillStyle = colour(paint);
        ctx.fill(area);
        ctx.globalAlpha = 1;
      }
      ctx.strokeStyle = colour(paint);
      ctx.lineWidth = width;
      ctx.lineJoin = "round";
      ctx.setLineDash(dash);
      ctx.stroke(path);
      ctx.setLineDash([]);
    },
  };
}

/* Bars as candles; where they would be too thin, neighbours are joined into longer ones. */
function candleLayer(bars, style) {
  const { ts, open, high, low, close, step } = bars;
  const line = lineLayer({ ts, ys: close, paint: "--strategy", width: 1.3 });
  const joined = (view) => {
    const visible = Math.max(1, (view.t1 - view.t0) / Math.max(1, step));
    const wanted = visible / Math.max(1, view.width / 6);
    return [1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 96, 168, 336, 720].find((g) => g >= wanted) ?? Math.ceil(wanted);
  };
  return {
    interval: (view) => (style.candles ? joined(view) : 1) * step,
    extent(view) {
      const [from, to] = visibleRange(ts, view);
      let bottom = Infinity;
      let top = -Infinity;
      for (let i = from; i < to; i++) {
        if (low[i] < bottom) bottom = low[i];
        if (high[i] > top) top = high[i];
      }
      return bottom <= top ? [bottom, top] : null;
    },
    draw(ctx, panel, view) {
      if (!style.candles) return line.draw(ctx, panel, view);
      const group = joined(view);
      const [from, to] = visibleRange(ts, view);
      const slot = (view.width * group * step) / (view.t1 - view.t0);
      const body = Math.max(1, Math.min(14, slot * 0.68));
      for (let first = from - (from % group); first < to; first += group) {
        const last = Math.min(first + group, ts.length) - 1;
        let bottom = low[first];
        let top = high[first];
        for (let i = first + 1; i <= last; i++) {
          if (low[i] < bottom) bottom = low[i];
          if (high[i] > top) top = high[i];
        }
        const rose = close[last] >= open[first];
        const x = view.x((ts[first] - step + ts[last]) / 2);
        const yOpen = panel.y(open[first]);
        const yClose = panel.y(close[last]);
        ctx.fillStyle = colour(rose ? "--rise" : "--fall");
        ctx.fillRect(x - 0.5, panel.y(top), 1, panel.y(bottom) - panel.y(top));
        ctx.fillRect(x - body / 2, Math.min(yOpen, yClose), body, Math.max(1, Math.abs(yOpen - yClose)));
      }
    },
  };
}

/* Round trips: a triangle at the entry (up for long, down for short), a line to the exit, a cross
   there; teal if it won, orange if it lost. Where there are many, points only. */
function tradeLayer(trades, rows) {
  const inView = (view) =>
    rows.filter((i) => trades.ts_close[i] >= view.t0 && trades.ts_open[i] <= view.t1);
  return {
    extent: () => null,
    inView,
    /* Time and price of a trade's entry and, once it has ended, of its exit. */
    ends(i) {
      const entry = [trades.ts_open[i], trades.open_price[i]];
      return trades.is_open[i] ? [entry] : [entry, [trades.ts_close[i], trades.close_price[i]]];
    },
    draw(ctx, panel, view) {
      const shown = inView(view);
      const dense = shown.length > view.width / 7;
      for (const i of shown) drawTrade(ctx, panel, view, trades, i, dense);
    },
  };
}

function tradePaint(trades, i) {
  return colour(trades.pnl[i] > 0 ? "--gain" : trades.pnl[i] < 0 ? "--loss" : "--muted");
}

function drawTrade(ctx, panel, view, trades, i, dense) {
  const x0 = view.x(trades.ts_open[i]);
  const y0 = panel.y(trades.open_price[i]);
  const paint = tradePaint(trades, i);
  if (dense) {
    ctx.fillStyle = paint;
    ctx.globalAlpha = 0.75;
    ctx.beginPath();
    ctx.arc(x0, y0, 2.2, 0, 7);
    ctx.fill();
    ctx.globalAlpha = 1;
    return;
  }
  const up = trades.isLong(i) ? -1 : 1;
  if (!trades.is_open[i]) {
    const x1 = view.x(trades.ts_close[i]);
    const y1 = panel.y(trades.close_price[i]);
    ctx.strokeStyle = paint;
    ctx.lineWidth = 1.4;
    ctx.globalAlpha = 0.8;
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(x1 - 3.5, y1 - 3.5);
    ctx.lineTo(x1 + 3.5, y1 + 3.5);
    ctx.moveTo(x1 + 3.5, y1 - 3.5);
    ctx.lineTo(x1 - 3.5, y1 + 3.5);
    ctx.stroke();
  }
  ctx.fillStyle = paint;
  ctx.strokeStyle = colour("--card");
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(x0, y0 + 6 * up);
  ctx.lineTo(x0 - 5.5, y0 - 4 * up);
  ctx.lineTo(x0 + 5.5, y0 - 4 * up);
  ctx.closePath();
  ctx.fill();
  ctx.stroke();
}
