/* Ticks, and numbers and times as text. All times are ms UTC. */

const MINUTE = 60e3;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const TIME_STEPS = [
  1e3, 5e3, 15e3, 30e3, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY,
];
const MONTH_STEPS = [1, 2, 3, 6, 12, 24, 60, 120];

const two = (n) => String(n).padStart(2, "0");

/* Ticks of a linear axis: about `count` of them at round values. */
function linearTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0) || !isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(k * step);
  return ticks;
}

/* Ticks of a logarithmic axis; over less than a decade they are those of a linear one. */
function logTicks(low, high, count) {
  if (high / low < 8) return linearTicks(low, high, count).filter((v) => v > 0);
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const m of [1, 2, 5]) {
      const value = m * 10 ** power;
      if (value >= low && value <= high) ticks.push(value);
    }
  }
  return ticks;
}

/* Ticks of a time axis, each {t, text, strong}; strong marks the start of a larger unit. */
function timeTicks(t0, t1, count) {
  const span = t1 - t0;
  const step = TIME_STEPS.find((s) => span / s <= count);
  if (step !== undefined) {
    const ticks = [];
    for (let t = Math.ceil(t0 / step) * step; t <= t1; t += step) ticks.push(timeTick(t, step));
    return ticks;
  }
  const months = MONTH_STEPS.find((m) => span / (m * 30.44 * DAY) <= count) ?? 240;
  const first = new Date(t0);
  let month = first.getUTCFullYear() * 12 + first.getUTCMonth();
  month = Math.ceil(month / months) * months;
  const ticks = [];
  for (;; month += months) {
    const t = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (t > t1) return ticks;
    if (t < t0) continue;
    const january = month % 12 === 0;
    const text = january ? String(Math.floor(month / 12)) : MONTHS[month % 12];
    ticks.push({ t, text, strong: january });
  }
}

function timeTick(t, step) {
  const date = new Date(t);
  if (t % DAY === 0) {
    const text = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
    return { t, text, strong: step < DAY || date.getUTCDate() === 1 };
  }
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  return { t, text: step < MINUTE ? `${clock}:${two(date.getUTCSeconds())}` : clock, strong: false };
}

function dateText(t) {
  const date = new Date(t);
  return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

function momentText(t) {
  const date = new Date(t);
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  return `${dateText(t)} ${clock}${t % MINUTE >= 1e3 ? ":" + two(date.getUTCSeconds()) : ""}`;
}

function spanText(ms) {
  if (ms < HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < DAY) return `${+(ms / HOUR).toFixed(1)} h`;
  return `${+(ms / DAY).toFixed(1)} d`;
}

const MINUS = "\u2212";

function numberText(value, digits, signed = false) {
  const text = Math.abs(value).toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  if (Number(text.replaceAll(",", "")) === 0) return text;
  return value < 0 ? MINUS + text : signed ? "+" + text : text;
}

const percentText = (fraction, digits = 2, signed = false) =>
  numberText(fraction * 100, digits, signed) + "%";

function priceText(value) {
  const size = Math.abs(value);
  const digits = size >= 1000 ? 2 : size >= 1 ? 4 : 8;
  const text = numberText(value, digits);
  return size < 1000 && text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/* Labels of an axis: as many digits as its step needs; millions are shortened. */
function axisText(value, step) {
  if (Math.abs(value) >= 1e6) return axisText(value / 1e6, step / 1e6) + "M";
  let digits = 0;
  while (digits < 8 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++;
  return numberText(value, digits);
}
