// Figures, times and names as people read them. Nothing known is a dash, never 0.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const NONE = "–";

export function count(value) {
  return isKnown(value) ? WHOLE.format(value) : NONE;
}

export function short(value) {
  return isKnown(value) ? (value < 10_000 ? WHOLE.format(value) : SHORT.format(value)) : NONE;
}

export function rate(value) {
  if (!isKnown(value)) return NONE;
  return value >= 10 ? WHOLE.format(value) : value.toFixed(1);
}

export function share(value, digits = 0) {
  return isKnown(value) ? `${(value * 100).toFixed(digits)}\u202f%` : NONE;
}

export function dollars(value) {
  if (!isKnown(value)) return NONE;
  if (value === 0) return "$0";
  if (value >= 100) return `$${WHOLE.format(value)}`;
  if (value >= 1) return `$${value.toFixed(2)}`;
  const digits = Math.min(8, 1 - Math.floor(Math.log10(value)));
  return `$${value.toFixed(digits)}`;
}

export function duration(seconds) {
  if (!isKnown(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days}\u202fd ${hours}\u202fh`;
  if (hours > 0) return `${hours}\u202fh ${String(minutes).padStart(2, "0")}\u202fmin`;
  if (minutes >= 10) return `${minutes}\u202fmin`;
  return minutes > 0 ? `${minutes}\u202fmin ${String(whole % 60).padStart(2, "0")}\u202fs` : `${whole}\u202fs`;
}

export function clock(date) {
  return CLOCK.format(date);
}

export function moment(date) {
  return MOMENT.format(date);
}

export function score(value) {
  return isKnown(value) ? value.toFixed(3) : NONE;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** Return a name of the service in words: `too_similar` is "too similar". */
export function words(name) {
  return String(name).replaceAll("_", " ");
}

export function isKnown(value) {
  return typeof value === "number" && Number.isFinite(value);
}
