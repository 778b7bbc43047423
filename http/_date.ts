/**
 * Dates in the fields of requests. A pure function.
 *
 * @module
 */

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const day = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const longDay = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const month = `(?<month>${months.join("|")})`;
const time = "(?<time>\\d\\d:\\d\\d:\\d\\d)";

/** The three forms of a date (RFC 9110 §5.6.7). Only the first is still sent; all are in GMT. */
const forms = [
  `${day}, (?<day>\\d\\d) ${month} (?<year>\\d{4}) ${time} GMT`,
  `${longDay}, (?<day>\\d\\d)-${month}-(?<year>\\d\\d) ${time} GMT`,
  `${day} ${month} (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`));

/** Parses an HTTP date into milliseconds; `undefined` when the value is not one, or has another time zone than GMT. */
export function parseDate(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const groups = forms.map((form) => form.exec(value)?.groups).find((found) => found !== undefined);
  if (groups === undefined) return undefined;
  const digits = Number(groups.year);
  const thisYear = new Date().getUTCFullYear();
  // A year of two digits is the one that is not more than 50 years ahead.
  const full = groups.year?.length === 2 ? digits + 100 * Math.floor((thisYear + 50 - digits) / 100) : digits;
  const monthNumber = `${months.indexOf(groups.month ?? "") + 1}`.padStart(2, "0");
  const dayNumber = (groups.day ?? "").trim().padStart(2, "0");
  const iso = `${`${full}`.padStart(4, "0")}-${monthNumber}-${dayNumber}T${groups.time}`;
  const parsed = new Date(`${iso}Z`);
  // `Date` makes 3 March of 31 February, which is no date.
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(iso) ? parsed.getTime() : undefined;
}
