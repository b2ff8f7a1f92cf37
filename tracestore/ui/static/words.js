// Durations, sizes, times and recorded text in words: what tracestore/display/units.py and escape.py say, for
// a browser. Knows numbers and text, no element. Invariant: what comes out of `visible` has no control
// character but newline and tab, and none that reorders or hides text.

const UNSEEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e" +
    "\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufeff\\uffa0\\ufff9-\\ufffb" +
    "\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]",
  "gu",
);

/** Return `text` with control, bidi and invisible characters replaced by visible names. */
export function visible(text) {
  return text.replaceAll("\r\n", "\n").replace(UNSEEN, (character) => {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** Return recorded text as one line of at most `most` characters. */
export function line(text, most = 300) {
  if (text === null || text === undefined) return "";
  const cut = String(text).slice(0, most + 1);
  const shown = visible(cut)
    .replace(/[\n\t]+/g, " ")
    .trim();
  return cut.length > most ? `${shown.slice(0, most)}…` : shown;
}

const UNITS_NS = [
  [1, "ns", 1000],
  [1e3, "µs", 999.5],
  [1e6, "ms", 999.5],
  [1e9, "s", 60],
];

/** Return "850 ns", "12.3 ms", "1.20 s", "2 min 05 s", "3 h 20 min" or "4 d 02 h"; "-" for none. */
export function durationText(ns) {
  if (ns === null || ns === undefined) return "-";
  if (ns === 0) return "0";
  if (ns < 0) return `-${durationText(-ns)}`;
  for (const [size, unit, limit] of UNITS_NS) {
    if (ns >= size * limit) continue;
    const value = ns / size;
    const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    const isExact = Number.isInteger((ns * 10 ** digits) / size);
    return `${isExact ? Number(value.toFixed(digits)) : value.toFixed(digits)} ${unit}`;
  }
  const two = (count) => String(Math.floor(count)).padStart(2, "0");
  const seconds = ns / 1e9;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
  return `${countText(Math.floor(seconds / 86400))} d ${two((seconds % 86400) / 3600)} h`;
}

/** Return a duration that is kept in whole milliseconds. */
export function millisecondsText(ms) {
  if (ms === 0) return "< 1 ms";
  return durationText(ms === null || ms === undefined ? null : ms * 1e6);
}

/** Return a number with commas between thousands; "" for what is none. */
export function countText(count) {
  return typeof count === "number" ? count.toLocaleString("en-US") : "";
}

/** Return "1 span", "2,300 spans". */
export function amountText(count, noun) {
  return `${countText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Return a size as "812 B", "1.2 kB" or "3.4 MB" (powers of 1,000). */
export function sizeText(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999950) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Return US dollars, four digits of them. */
export function costText(cost) {
  const total = cost?.total_cost;
  if (typeof total !== "number" || !(Math.abs(total) < 1e12)) return "";
  return `$${Number(total.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 8 })}`;
}

/** Return the offset of this browser's time zone at a moment, as "UTC+01:00". */
export function zoneText(ms = Date.now()) {
  const minutes = -new Date(ms).getTimezoneOffset();
  if (!minutes) return "UTC";
  const two = (count) => String(Math.floor(count)).padStart(2, "0");
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(size / 60)}:${two(size % 60)}`;
}

/** Return a moment as "2026-11-20 18:32:08", local; with `isExact` milliseconds and the zone too. */
export function timeText(ms, isExact = false) {
  if (ms === null || ms === undefined) return "-";
  const moment = new Date(ms - new Date(ms).getTimezoneOffset() * 60000);
  if (Number.isNaN(moment.getTime())) return `time ${ms} ms`;
  const [date, time] = moment.toISOString().split("T");
  return isExact ? `${date} ${time.slice(0, 12)} ${zoneText(ms)}` : `${date} ${time.slice(0, 8)}`;
}

/** Return a moment for a tooltip: local with its zone, UTC, and the number that was recorded. */
export function exactTime(ms) {
  const moment = new Date(ms);
  if (Number.isNaN(moment.getTime())) return `${ms} ms since 1970`;
  return `${timeText(ms, true)}\n${moment.toISOString()}\n${ms} ms since 1970`;
}
