const PANEL_GAP = 26; // above each panel, where its title stands

/* Panels above each other on one time axis, with zoom, pan, a cross-hair and an overview strip. */

class TimeChart {
  static all = [];

  /* options: label (for screen readers), ts (times that the cross-hair snaps to), panels,
     describe(index) -> {title, rows: [[name, text, paint]]}, overview {ts, ys, paint},
     pick(chart, x, y) -> the same as describe plus points, or null, minSpan (ms), onView(view). */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.panels = options.panels;
    this.ts = options.ts;
    const pad = (this.ts[this.ts.length - 1] - this.ts[0]) * 0.004 || HOUR;
    this.full = [this.ts[0] - pad, this.ts[this.ts.length - 1] + pad];
    this.range = [...this.full];
    this.cursor = null;
    this.build();
    this.listen();
    TimeChart.all.push(this);
    new ResizeObserver(() => this.draw()).observe(this.stage);
    this.draw();
  }

  build() {
    this.stage = document.createElement("div");
    this.stage.className = "stage";
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-roledescription", "chart");
    this.stage.setAttribute("aria-label", `${this.options.label} Arrow keys move the cursor, plus and minus zoom, Home resets.`);
    this.canvas = document.createElement("canvas");
    this.glass = document.createElement("canvas");
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.spoken = document.createElement("p");
    this.spoken.className = "unseen";
    this.spoken.setAttribute("aria-live", "polite");
    this.stage.append(this.canvas, this.glass, this.tip);
    this.host.replaceChildren(this.stage, this.spoken);
    const height = this.panels.reduce((sum, panel) => sum + panel.height, 0) + PANEL_GAP * this.panels.length + 32;
    this.stage.style.height = `${height}px`;
    this.overview = new Overview(this);
    this.host.append(this.overview.canvas);
  }

  /* Geometry of the present size and range. */
  layout() {
    const width = this.stage.clientWidth;
    const left = width < 560 ? 54 : 68;
    const right = width - 18;
    const [t0, t1] = this.range;
    this.view = {
      t0, t1, left, right,
      width: right - left,
      x: (t) => left + ((t - t0) / (t1 - t0)) * (right - left),
      t: (x) => t0 + ((x - left) / (right - left)) * (t1 - t0),
    };
    let top = PANEL_GAP;
    for (const panel of this.panels) {
      panel.top = top;
      panel.bottom = top + panel.height;
      top = panel.bottom + PANEL_GAP;
      this.scale(panel);
    }
    this.bottom = this.panels[this.panels.length - 1].bottom;
  }

  scale(panel) {
    let low = Infinity;
    let high = -Infinity;
    for (const layer of panel.layers) {
      const extent = layer.extent(this.view);
      if (extent) [low, high] = [Math.min(low, extent[0]), Math.max(high, extent[1])];
    }
    if (low > high) [low, high] = [0, 1];
    panel.isLog = Boolean(panel.log) && low > 0;
    if (panel.zero) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    const room = panel.isLog ? (high / low) ** 0.06 : (high - low) * 0.07;
    if (panel.isLog) [low, high] = room > 1 ? [low / room, high * room] : [low * 0.99, high * 1.01];
    else if (room === 0) [low, high] = [low - Math.abs(low || 1) * 0.01, high + Math.abs(high || 1) * 0.01];
    else [low, high] = [panel.zero && low === 0 ? 0 : low - room, panel.zero && high === 0 ? 0 : high + room];
    const height = panel.bottom - panel.top;
    const f = panel.isLog ? Math.log : (v) => v;
    const [a, b] = [f(low), f(high)];
    panel.low = low;
    panel.high = high;
    panel.y = (v) => panel.bottom - ((f(v) - a) / (b - a)) * height;
  }

  static prepare(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const ctx = canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    return ctx;
  }

  draw() {
    if (this.stage.clientWidth === 0) return;
    this.layout();
    const ctx = TimeChart.prepare(this.canvas, this.stage.clientWidth, this.stage.clientHeight);
    ctx.font = `11.5px ${colour("--font")}`;
    const ticks = timeTicks(this.view.t0, this.view.t1, this.view.width / 66);
    for (const panel of this.panels) this.drawPanel(ctx, panel, ticks);
    ctx.textAlign = "center";
    for (const tick of ticks) {
      const x = this.view.x(tick.t);
      if (x < this.view.left - 1 || x > this.view.right + 1) continue;
      ctx.fillStyle = colour(tick.strong ? "--ink" : "--muted");
      ctx.fillText(tick.text, x, this.bottom + 20);
    }
    this.drawGlass();
    this.overview.draw();
    this.options.onView?.(this.view);
    this.stage.dataset.drawn = "yes";
  }

  drawPanel(ctx, panel, ticks) {
    const { left, right } = this.view;
    const values = (panel.isLog ? logTicks : linearTicks)(panel.low, panel.high, 1.5 + panel.height / 56);
    ctx.lineWidth = 1;
    ctx.strokeStyle = colour("--grid");
    ctx.beginPath();
    for (const value of values) {
      const y = Math.round(panel.y(value)) + 0.5;
      ctx.moveTo(left, y);
      ctx.lineTo(right, y);
    }
    for (const tick of ticks) {
      const x = Math.round(this.view.x(tick.t)) + 0.5;
      if (x < left) continue;
      ctx.moveTo(x, panel.top);
      ctx.lineTo(x, panel.bottom);
    }
    ctx.stroke();
    ctx.fillStyle = colour("--muted");
    ctx.textAlign = "right";
    const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0] ?? 1);
    for (const value of values) {
      const y = panel.y(value);
      if (y > panel.top - 2 && y < panel.bottom + 2) ctx.fillText(panel.format(value, step), left - 8, y + 4);
    }
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, panel.top, right - left, panel.bottom - panel.top);
    ctx.clip();
    for (const layer of panel.layers) layer.draw(ctx, panel, this.view);
    ctx.restore();
    if (panel.title) {
      ctx.textAlign = "left";
      ctx.fillStyle = colour("--ink");
      const remark = panel.log && !panel.isLog ? " (not logarithmic: it reaches zero)" : "";
      ctx.fillText(panel.title + remark, left, panel.top - 9);
    }
  }

  drawGlass() {
    const ctx = TimeChart.prepare(this.glass, this.stage.clientWidth, this.stage.clientHeight);
    const { top } = this.panels[0];
    if (this.selection) {
      const [a, b] = this.selection;
      ctx.fillStyle = colour("--strategy");
      ctx.globalAlpha = 0.14;
      ctx.fillRect(Math.min(a, b), top, Math.abs(b - a), this.bottom - top);
      ctx.globalAlpha = 1;
    }
    if (this.cursor === null) return;
    const { t, points } = this.cursor;
    const x = Math.round(this.view.x(t)) + 0.5;
    ctx.strokeStyle = colour("--muted");
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, this.bottom);
    ctx.stroke();
    ctx.setLineDash([]);
    for (const [panel, at, value, paint] of points) {
      ctx.fillStyle = colour(paint);
      ctx.strokeStyle = colour("--card");
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(this.view.x(at), this.panels[panel].y(value), 4.5, 0, 7);
      ctx.fill();
      ctx.stroke();
    }
  }

  /* Put the cursor on a row, or on what `picked` describes. */
  point(index, picked = null) {
    const [t0, t1] = this.range;
    if (this.ts[index] < t0 || this.ts[index] > t1) {
      const shift = this.ts[index] < t0 ? this.ts[index] - t0 : this.ts[index] - t1;
      this.show(t0 + shift, t1 + shift);
    }
    this.index = index;
    const about = picked ?? this.options.describe(index);
    this.cursor = { t: about.t ?? this.ts[index], points: about.points ?? [] };
    this.drawGlass();
    fillTip(this.tip, about);
    this.tip.hidden = false;
    const x = this.view.x(this.cursor.t);
    const width = this.tip.offsetWidth;
    const place = x + 18 + width > this.stage.clientWidth ? x - width - 14 : x + 14;
    this.tip.style.left = `${Math.max(0, place)}px`;
    return about;
  }

  leave() {
    this.cursor = null;
    this.tip.hidden = true;
    this.drawGlass();
  }

  /* Show a stretch of time, kept within what there is. */
  show(t0, t1) {
    const least = this.options.minSpan;
    const span = Math.min(Math.max(t1 - t0, least), this.full[1] - this.full[0]);
    const middle = (t0 + t1) / 2;
    const start = Math.min(Math.max(middle - span / 2, this.full[0]), this.full[1] - span);
    this.range = [start, start + span];
    this.leave();
    this.draw();
  }

  reset() {
    this.show(...this.full);
  }

  zoom(factor, at = (this.range[0] + this.range[1]) / 2) {
    const [t0, t1] = this.range;
    this.show(at - (at - t0) * factor, at + (t1 - at) * factor);
  }

  pan(share) {
    const shift = (this.range[1] - this.range[0]) * share;
    this.show(this.range[0] + shift, this.range[1] + shift);
  }

  listen() {
    attachGestures(this);
    this.stage.addEventListener("keydown", (event) => {
      const actions = {
        ArrowLeft: () => this.key(-1, event),
        ArrowRight: () => this.key(1, event),
        "+": () => this.zoom(0.6),
        "=": () => this.zoom(0.6),
        "-": () => this.zoom(1 / 0.6),
        PageUp: () => this.pan(-0.5),
        PageDown: () => this.pan(0.5),
        Home: () => this.reset(),
        Escape: () => this.leave(),
      };
      const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
    this.stage.addEventListener("blur", () => this.leave());
  }

  key(step, event) {
    const middle = nearestIndex(this.ts, (this.range[0] + this.range[1]) / 2);
    const from = this.cursor === null ? middle : this.index;
    const visible = lowerBound(this.ts, this.range[1]) - lowerBound(this.ts, this.range[0]);
    const stride = Math.max(1, Math.round(visible / (event.shiftKey ? 20 : 200)));
    const index = Math.min(this.ts.length - 1, Math.max(0, from + step * stride));
    const about = this.point(index);
    this.spoken.textContent = [about.title, ...about.rows.map(([name, text]) => `${name} ${text}`)].join(", ");
  }
}

/* Fill a tooltip; every text goes in as text, never as markup. */
function fillTip(tip, { title, rows }) {
  const head = document.createElement("strong");
  head.textContent = title;
  const list = document.createElement("dl");
  for (const [name, text, paint] of rows) {
    const term = document.createElement("dt");
    term.textContent = name;
    if (paint) {
      const dot = document.createElement("i");
      dot.style.background = `var(${paint})`;
      term.prepend(dot);
    }
    const value = document.createElement("dd");
    value.textContent = text;
    list.append(term, value);
  }
  tip.replaceChildren(head, list);
}
