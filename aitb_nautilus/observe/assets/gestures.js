/* Mouse, wheel and touch on a time chart, and the overview strip below it.
   Mouse: move shows values, drag zooms, Shift and drag pans, double click resets. Wheel: with Ctrl or
   Cmd zooms, sideways pans. Touch: one finger shows values, two fingers zoom and pan. */

function attachGestures(chart) {
  const { stage } = chart;
  const fingers = new Map();
  let drag = null;

  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const hover = (event) => {
    const [x, y] = place(event);
    if (x < chart.view.left || x > chart.view.right) return chart.leave();
    const index = nearestIndex(chart.ts, chart.view.t(x));
    chart.point(index, chart.options.pick?.(chart, x, y) ?? null);
  };

  const pinch = () => {
    const [a, b] = [...fingers.values()].map(([x]) => x).sort((p, q) => p - q);
    const gap = Math.max(20, b - a);
    if (drag?.kind !== "pinch") {
      drag = { kind: "pinch", gap, t: chart.view.t((a + b) / 2), range: [...chart.range] };
      return;
    }
    const span = ((drag.range[1] - drag.range[0]) * drag.gap) / gap;
    const share = ((a + b) / 2 - chart.view.left) / chart.view.width;
    chart.show(drag.t - share * span, drag.t + (1 - share) * span);
  };

  stage.addEventListener("pointerdown", (event) => {
    const [x] = place(event);
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, place(event));
      if (fingers.size === 1) hover(event);
      return;
    }
    if (event.button !== 0 || x < chart.view.left) return;
    stage.setPointerCapture(event.pointerId);
    drag = event.shiftKey ? { kind: "pan", x, range: [...chart.range] } : { kind: "select", x };
  });

  stage.addEventListener("pointermove", (event) => {
    const [x] = place(event);
    if (event.pointerType === "touch") {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, place(event));
      if (fingers.size === 2) pinch();
      else hover(event);
    } else if (drag?.kind === "pan") {
      const shift = ((drag.x - x) / chart.view.width) * (drag.range[1] - drag.range[0]);
      chart.show(drag.range[0] + shift, drag.range[1] + shift);
    } else if (drag?.kind === "select" && Math.abs(x - drag.x) > 4) {
      chart.selection = [drag.x, Math.min(Math.max(x, chart.view.left), chart.view.right)];
      chart.drawGlass();
    } else hover(event);
  });

  const finish = (event) => {
    fingers.delete(event.pointerId);
    if (drag?.kind === "select" && chart.selection) {
      const [a, b] = chart.selection.map((x) => chart.view.t(x)).sort((p, q) => p - q);
      chart.selection = null;
      chart.show(a, b);
    }
    if (fingers.size === 0) drag = null;
  };
  stage.addEventListener("pointerup", finish);
  stage.addEventListener("pointercancel", finish);
  stage.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch" && !drag) chart.leave();
  });
  stage.addEventListener("dblclick", () => chart.reset());
  stage.addEventListener(
    "wheel",
    (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!event.ctrlKey && !event.metaKey && !sideways) return;
      event.preventDefault();
      if (sideways) chart.pan(event.deltaX / chart.view.width);
      else chart.zoom(Math.exp(event.deltaY * 0.0022), chart.view.t(place(event)[0]));
    },
    { passive: false },
  );
}

/* The whole series in small, with a window that can be moved and resized. */
class Overview {
  constructor(chart) {
    this.chart = chart;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "overview";
    this.canvas.setAttribute("aria-hidden", "true");
    let drag = null;
    const x = (event) => event.clientX - this.canvas.getBoundingClientRect().left;
    this.canvas.addEventListener("pointerdown", (event) => {
      const [a, b] = chart.range.map((t) => this.x(t));
      const at = x(event);
      this.canvas.setPointerCapture(event.pointerId);
      const part = Math.abs(at - a) < 9 ? "start" : Math.abs(at - b) < 9 ? "end" : "window";
      if (part === "window" && (at < a || at > b)) {
        const half = (chart.range[1] - chart.range[0]) / 2;
        chart.show(this.t(at) - half, this.t(at) + half);
      }
      drag = { part, at, range: [...chart.range] };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const shift = this.t(x(event)) - this.t(drag.at);
      const [t0, t1] = drag.range;
      const least = chart.options.minSpan;
      if (drag.part === "start") chart.show(Math.min(t0 + shift, t1 - least), t1);
      else if (drag.part === "end") chart.show(t0, Math.max(t1 + shift, t0 + least));
      else chart.show(t0 + shift, t1 + shift);
    });
    const stop = () => (drag = null);
    this.canvas.addEventListener("pointerup", stop);
    this.canvas.addEventListener("pointercancel", stop);
  }

  x(t) {
    const { view, full } = this.chart;
    return view.left + ((t - full[0]) / (full[1] - full[0])) * view.width;
  }

  t(x) {
    const { view, full } = this.chart;
    return full[0] + ((x - view.left) / view.width) * (full[1] - full[0]);
  }

  draw() {
    const { view, full, options, range } = this.chart;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (width === 0) return;
    const ctx = TimeChart.prepare(this.canvas, width, height);
    const { ts, ys, paint } = options.overview;
    const layer = lineLayer({ ts, ys, paint, width: 1, fill: 0.12, baseline: -Infinity });
    const whole = { t0: full[0], t1: full[1], x: (t) => this.x(t) };
    const [low, high] = layer.extent(whole) ?? [0, 1];
    const y = (v) => (v === -Infinity ? height : height - 4 - ((v - low) / (high - low || 1)) * (height - 8));
    layer.draw(ctx, { y }, whole);
    const [a, b] = range.map((t) => this.x(t));
    ctx.fillStyle = colour("--card");
    ctx.globalAlpha = 0.72;
    ctx.fillRect(view.left, 0, a - view.left, height);
    ctx.fillRect(b, 0, view.right - b, height);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colour("--handle");
    ctx.lineWidth = 1;
    ctx.strokeRect(a + 0.5, 0.5, Math.max(1, b - a - 1), height - 1);
    ctx.fillStyle = colour("--handle");
    for (const at of [a, b]) ctx.fillRect(at - 2, height / 2 - 9, 4, 18);
  }
}
