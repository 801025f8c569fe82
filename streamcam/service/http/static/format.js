// Numbers for people.

/** "0.2 s", "12 s", "3 min 5 s", "2 h 10 min", "4 d 3 h" */
export function span(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** "0:05.0", "12:34", "1:02:03": a position in a video; tenths below a minute's worth of detail. */
export function position(seconds, tenths = false) {
  const t = Math.max(0, seconds);
  const whole = Math.floor(t);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const hours = Math.floor(whole / 3600);
  const text = hours
    ? `${hours}:${String(parts[0]).padStart(2, "0")}:${String(parts[1]).padStart(2, "0")}`
    : `${parts[0]}:${String(parts[1]).padStart(2, "0")}`;
  return tenths ? `${text}.${Math.floor((t - whole) * 10)}` : text;
}

/** "950", "47 k", "1.2 M" */
export function count(number) {
  if (number < 10_000) return String(number);
  return number < 999_500 ? `${Math.round(number / 1e3)} k` : `${(number / 1e6).toFixed(1)} M`;
}

export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${number < 10 && unit ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

export function milliseconds(seconds) {
  return seconds < 0.9995 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

export function lift(value) {
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/** Of a moment: today's as a time, others with their day. */
export function moment(text) {
  const when = new Date(text);
  const today = new Date().toDateString() === when.toDateString();
  const style = today
    ? { timeStyle: "medium" }
    : { dateStyle: "medium", timeStyle: "short" };
  return when.toLocaleString(undefined, style);
}
