// A small chart of rows over time.

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [320, 80];

/** Points that are kept of the course of an import; of more, every other one goes. */
const POINTS = 240;

const noted = (id) => `penstock.course.${id}`;

/** Notes how many rows have been looked at, and gives the course so far: moments and rows. It survives a reload. */
export function note(id, rows) {
  let course = [];
  try {
    course = JSON.parse(sessionStorage.getItem(noted(id))) ?? [];
  } catch {
    // It is drawn from here on.
  }
  if (course.at(-1)?.[1] !== rows || course.length === 0) course.push([Date.now(), rows]);
  if (course.length > POINTS) course = course.filter((_, at) => at % 2 === 0 || at === course.length - 1);
  sessionStorage.setItem(noted(id), JSON.stringify(course));
  return course;
}

/** Draws a course, up to `total` rows where they are known. */
export function draw(svg, course, total, name) {
  const [[start]] = course;
  const end = Math.max(course.at(-1)[0], start + 1);
  const most = Math.max(total ?? 0, course.at(-1)[1], 1);
  const point = ([at, rows]) =>
    `${(((at - start) / (end - start)) * WIDTH).toFixed(1)},${(HEIGHT - 1 - (rows / most) * (HEIGHT - 2)).toFixed(1)}`;
  const line = document.createElementNS(SPACE, "polyline");
  line.setAttribute("points", course.map(point).join(" "));
  svg.replaceChildren(line);
  svg.setAttribute("aria-label", name);
}
